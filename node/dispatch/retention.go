package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"proofmark/store"
)

// refusedFor is how long a document that was refused is kept where its owner set no term: long enough to find out what was wrong with it.
const refusedFor = 365 * 24 * time.Hour

// What one sweep takes on, and one of its transactions: others go between them.
const (
	sweepAtOnce  = 4096
	erasedAtOnce = 32
)

// retention is when a foreign document is to be erased; zero for an own one and where nobody set an end. What is unread stays without one: a
// newer program may understand it.
func (r *Record) retention() time.Time {
	switch {
	case r.Status == Own, r.Status == Recalled:
		return time.Time{}
	case r.Terms != nil && !r.Terms.RetainUntil.IsZero():
		return r.Terms.RetainUntil
	case r.Status == Refused:
		return r.At.Add(refusedFor)
	}
	return time.Time{}
}

// end is retention for the sweep: what is under a legal hold is not in its index.
func (r *Record) end() time.Time {
	if r.Hold != nil {
		return time.Time{}
	}
	return r.retention()
}

// expiryKey sorts by time, to the second.
func expiryKey(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Expire erases every foreign document whose retention has ended, of whatever type and whether it was accepted, refused or not understood, each with
// what its workflow made of it and an audit entry. It goes by the node's clock, and does nothing while that is in doubt. The node calls it every minute.
func (d *Dispatch) Expire(ctx context.Context) error {
	clock := d.Now()
	if ok, err := d.credible(ctx, clock); err != nil || !ok {
		return err
	}
	if err := d.ExpireApprovals(ctx); err != nil {
		return err
	}
	var due []string
	if err := d.Store.View(func(tx *store.Tx) error {
		now := expiryKey(clock)
		for end, id := range Documents.Entries(tx, expiresIndex) {
			if end > now || len(due) == sweepAtOnce {
				break
			}
			due = append(due, id)
		}
		return tx.Err()
	}); err != nil {
		return fmt.Errorf("find what expired: %w", err)
	}
	var faults []error
	for part := range slices.Chunk(due, erasedAtOnce) {
		var failed []error
		err := d.Store.Update(ctx, func(tx *store.Tx) error {
			failed = nil // an act may be run again
			for _, id := range part {
				err := tx.Nested(func(tx *store.Tx) error { return d.expire(tx, id, clock) })
				if err != nil && storeFault(tx, err) {
					return err
				}
				if err != nil { // the others end all the same
					failed = append(failed, err)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("erase what expired: %w", err)
		}
		faults = append(faults, failed...)
	}
	return errors.Join(faults...)
}

// expire erases one document that is still due at a time.
func (d *Dispatch) expire(tx *store.Tx, id string, at time.Time) error {
	rec, err := Documents.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil // withdrawn meanwhile
	}
	if err != nil {
		return err
	}
	if end := rec.end(); end.IsZero() || expiryKey(end) > expiryKey(at) {
		return nil // held meanwhile
	}
	_, err = d.erase(tx, rec, CauseExpired, "", "")
	return err
}

// Erased counts the foreign documents that were erased since the node started: their bytes leave the database's files when it is compacted.
func (d *Dispatch) Erased() int64 { return d.erased.Load() }

// Resume brings the index of documents up to date once, where an earlier program kept them without an end.
func (d *Dispatch) Resume(ctx context.Context) error {
	const done = "dispatch/indexed"
	const version = "1"
	err := d.Store.View(func(tx *store.Tx) error {
		b, err := tx.Get(done)
		if err == nil && string(b) != version {
			err = fmt.Errorf("documents are indexed as version %q, this program knows %q: %w", b, version, store.ErrNotFound)
		}
		return err
	})
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for last, end := "", false; !end; {
		if err := d.Store.Update(ctx, func(tx *store.Tx) (err error) {
			if last, end, err = Documents.Reindex(tx, last, 256); err != nil || !end {
				return err
			}
			return tx.Put(done, []byte(version))
		}); err != nil {
			return fmt.Errorf("index documents by their end: %w", err)
		}
	}
	return nil
}
