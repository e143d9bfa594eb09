package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"proofmark/protocol"
)

// AuditQuery selects audit entries. An empty field selects all; several narrow each other down.
type AuditQuery struct {
	Actor, Action, Counterpart, Decision, Kind, Case, Purpose string

	Object string    // the entry's object or one of its documents
	Text   string    // found in event, purpose, ground or details, in any case
	Since  time.Time // at or after
	Until  time.Time // before
	Limit  int       // 0 = 100
	Before int64     // entries with a smaller index only, for the next page; 0 = from the newest
}

// AuditRecord is an entry with its place in the log. Of an erased one only the header is left.
type AuditRecord struct {
	Index  int64 `json:"index"`
	Erased bool  `json:"erased,omitempty"`
	protocol.AuditEntry
}

// QueryAudit returns the selected entries, newest first. A query with an object, case, actor or counterpart reads only entries with
// that value (the first of these that is given); one with a period alone reads only entries near it; others read the log from its end
// until Limit is reached. The entries of an act show once it is committed.
func (s *Store) QueryAudit(ctx context.Context, q AuditQuery) ([]AuditRecord, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	var out []AuditRecord
	err := s.View(func(tx *Tx) error {
		head, err := tx.auditHead()
		if err != nil {
			return err
		}
		before := head.size
		if q.Before > 0 {
			before = min(before, q.Before)
		}
		read := 0
		for index, err := range q.candidates(tx, before) {
			if read++; read%256 == 0 && err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			r, err := tx.auditRecord(index)
			if err != nil {
				return err
			}
			if q.selects(&r) {
				if out = append(out, r); len(out) == q.Limit {
					return nil
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("query audit log: %w", err)
	}
	return out, nil
}

func (tx *Tx) auditRecord(index int64) (AuditRecord, error) {
	leaf, err := tx.AuditLeaf(index)
	if err != nil {
		return AuditRecord{}, err
	}
	e, err := leaf.Entry()
	if err != nil {
		return AuditRecord{}, fmt.Errorf("audit entry %d: %w: %w", index, ErrCorrupt, err)
	}
	return AuditRecord{Index: index, Erased: leaf.Body == nil, AuditEntry: e}, nil
}

// candidates yields the indexes below before that may be selected, in descending order.
func (q *AuditQuery) candidates(tx *Tx, before int64) iter.Seq2[int64, error] {
	for _, by := range [][2]string{{byObject, q.Object}, {byCase, q.Case}, {byActor, q.Actor}, {byCounterpart, q.Counterpart}} {
		if by[1] != "" {
			return tx.auditIndexed(by[0], by[1], before)
		}
	}
	return q.inPeriod(tx, before)
}

func (tx *Tx) auditIndexed(kind, value string, before int64) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		prefix := auditIndexPrefix(kind, indexed(value))
		for key := range tx.scan(prefix, prefix+newestFirst(before), false) {
			n, err := parseNumber(key[len(prefix):])
			if !yield(int64(^n), err) || err != nil {
				return
			}
		}
		if tx.err != nil {
			yield(0, tx.err)
		}
	}
}

func (q *AuditQuery) inPeriod(tx *Tx, before int64) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		bounded := !q.Since.IsZero() || !q.Until.IsZero()
		for index := before - 1; index >= 0; index-- {
			if bounded && (index == before-1 || index%timeBlock == timeBlock-1) {
				span, err := tx.timesOf(index / timeBlock)
				if err != nil && !errors.Is(err, ErrNotFound) {
					yield(0, err)
					return
				}
				if err == nil && !span.overlaps(q.Since, q.Until) {
					index -= index % timeBlock // to the block's first entry
					continue
				}
			}
			if !yield(index, nil) {
				return
			}
		}
	}
}

func (q *AuditQuery) selects(r *AuditRecord) bool {
	at := r.Time
	if r.Erased {
		at, _ = time.Parse(time.DateOnly, r.Day) // all that is left
	}
	same := func(want, got string) bool { return want == "" || want == got }
	return same(q.Actor, r.Actor) && same(q.Action, string(r.Action)) && same(q.Counterpart, r.Counterpart) &&
		same(q.Decision, r.Decision) && same(q.Kind, r.Kind) && same(q.Case, r.Case) && same(q.Purpose, r.Purpose) &&
		(q.Object == "" || q.Object == r.Object || slices.Contains(r.Documents, q.Object)) &&
		(q.Since.IsZero() || !at.Before(q.Since)) && (q.Until.IsZero() || at.Before(q.Until)) &&
		(q.Text == "" || q.mentions(r))
}

func (q *AuditQuery) mentions(r *AuditRecord) bool {
	text := strings.ToLower(q.Text)
	in := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if in(r.Event) || in(r.Purpose) || in(r.Ground) {
		return true
	}
	for key, value := range r.Details {
		if in(key) || in(value) {
			return true
		}
	}
	return false
}
