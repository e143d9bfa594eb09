package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// chore is work on the database that no commit may come between.
type chore struct {
	do   func() error
	done chan error
}

// discardAny has every file of the value log rewritten that holds a deleted value, however small its part.
const discardAny = 1e-9

// Reclaim makes deleted bytes leave the files: the table in memory is written out and its log deleted, the tables are merged into one level, which leaves
// out what was deleted or replaced, and value-log files with deleted values are rewritten. Acts wait while the table in memory is written out (a fraction of a
// second), and otherwise go on; the whole may take minutes on a large database. Run it daily, and after erasures.
//
// What is not reached: values of 32 KiB and more in the newest file of the value log, until it is full (256 MiB) or the database is opened again; bytes
// that views still open could read, until a later run; and what a disk or file system keeps of deleted files. All of it stays encrypted.
func (s *Store) Reclaim(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.users.Done()
	s.reclaiming.Lock()
	defer s.reclaiming.Unlock()
	if err := s.alone(ctx, s.writeOutMemory); err != nil {
		return fmt.Errorf("reclaim: write out the table in memory: %w", err)
	}
	if err := s.db.Flatten(2); err != nil {
		return fmt.Errorf("reclaim: compact tables: %w", err)
	}
	for ctx.Err() == nil {
		err := s.db.RunValueLogGC(discardAny)
		if errors.Is(err, badger.ErrNoRewrite) {
			s.fitCache() // it may have grown since it was opened
			return nil
		}
		if err != nil {
			return fmt.Errorf("reclaim: rewrite value log: %w", err)
		}
	}
	return ctx.Err()
}

// alone has the writer do a chore between two commits.
func (s *Store) alone(ctx context.Context, do func() error) error {
	c := &chore{do: do, done: make(chan error, 1)}
	select {
	case s.chores <- c:
		return <-c.done
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
}

// writeOutMemory turns the table in memory into a file, deletes its log, and merges it with the level below. Badger does this on its own once the table is
// full; the one way to ask for it while the database is open is to drop a prefix, so one is made that nothing else has. It runs in the writer: Badger refuses
// writes meanwhile.
func (s *Store) writeOutMemory() error {
	if s.w.broken != nil {
		return fmt.Errorf("%w: %w", ErrFailed, s.w.broken)
	}
	if err := s.checkDisk(2 * s.opt.MemTable); err != nil {
		return err
	}
	err := s.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(keyDropped), present) })
	if err == nil {
		s.renew() // to the version just written: what was erased in the one before, nobody can see any more, and merging drops it
		err = s.db.DropPrefix([]byte(keyDropped))
	}
	if err != nil { // half done, it leaves Badger in a state that only opening it again mends
		s.w.broken = err
		s.log.Error("store: writing out the table in memory failed, writing stops until a restart", "error", err)
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return nil
}
