package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// OnceKept is how long the result of an idempotent command is remembered.
const OnceKept = 30 * 24 * time.Hour

type onceRecord struct {
	Request [sha256.Size]byte `json:"request"` // hash
	Result  []byte            `json:"result"`
	At      time.Time         `json:"at"`
}

// Once runs a changing command at most once per actor and key: the first run's result is kept in the same transaction, and a
// repetition gets it back with repeated = true. The same key with another request is ErrKeyReused. An empty key just runs. If run
// fails nothing is kept; the act should then fail too, or what run did before is committed.
func (tx *Tx) Once(actor, key string, request []byte, run func() ([]byte, error)) (result []byte, repeated bool, err error) {
	if key == "" {
		result, err = run()
		return result, false, err
	}
	if len(actor) > 1024 || len(key) > 1024 {
		return nil, false, fmt.Errorf("idempotency key: %w: actor and key may have 1024 bytes each", ErrTooLarge)
	}
	at := CommandOf(actor, key)
	hash := sha256.Sum256(request)
	switch stored, err := tx.get(spaceOnce + at); {
	case err == nil:
		var r onceRecord
		if err := json.Unmarshal(stored, &r); err != nil {
			return nil, false, fmt.Errorf("idempotency key %q: %w: %w", key, ErrCorrupt, err)
		}
		if r.Request != hash {
			return nil, false, fmt.Errorf("idempotency key %q of %s: %w", key, actor, ErrKeyReused)
		}
		return r.Result, true, nil
	case !errors.Is(err, ErrNotFound):
		return nil, false, fmt.Errorf("idempotency key %q: %w", key, err)
	}
	if err := tx.writable(); err != nil {
		return nil, false, err
	}
	tx.command = at
	result, err = run()
	tx.command = ""
	if err != nil {
		return nil, false, err
	}
	stored, err := json.Marshal(onceRecord{Request: hash, Result: result, At: tx.now})
	if err != nil {
		return nil, false, fmt.Errorf("idempotency key %q: %w", key, err)
	}
	err = errors.Join(tx.put(spaceOnce+at, stored), tx.put(spaceOnceTime+sortableTime(tx.now)+at, present))
	return result, false, err
}

// Command names the command that Once runs at this moment, so that what it makes can be found when the command is repeated; "" outside of one.
func (tx *Tx) Command() string { return tx.command }

// CommandOf is the name that Command gives a command.
func CommandOf(actor, key string) string { return escape(actor) + key }

// sortableTime is a time as eight bytes that sort like it, for all times that time.Time.Unix can tell apart.
func sortableTime(t time.Time) string { return number(uint64(t.Unix()) ^ 1<<63) }

const sweepBatch = 1000

// Sweep forgets the results of idempotent commands older than OnceKept, and message bytes that were acknowledged but not yet dropped.
// It works in small acts, so that nobody waits long behind it. It goes by the node's clock: do not call it while that is in doubt.
func (s *Store) Sweep(ctx context.Context) error {
	for _, step := range []func(*Tx) (int, error){(*Tx).sweepOnce, (*Tx).sweepMessages} {
		for n := sweepBatch; n == sweepBatch; {
			err := s.Update(ctx, func(tx *Tx) (err error) {
				n, err = step(tx)
				return err
			})
			if err != nil {
				return fmt.Errorf("sweep: %w", err)
			}
		}
	}
	return nil
}

func (tx *Tx) sweepOnce() (n int, err error) {
	limit := sortableTime(tx.now.Add(-OnceKept))
	for key := range tx.scan(spaceOnceTime, "", false) {
		rest := key[len(spaceOnceTime):]
		if n == sweepBatch || len(rest) < 8 || rest[:8] >= limit {
			break
		}
		if err := errors.Join(tx.del(key), tx.del(spaceOnce+rest[8:])); err != nil {
			return n, err
		}
		n++
	}
	return n, tx.err
}
