package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// indexForm is the present form of the audit log's indexes. While they are made anew it is followed by " from " and the first entry that is not in them yet.
const indexForm = "3"

const (
	upgradeFrom  = indexForm + " from "
	upgradeParts = 16 // parts of the log after which it is noted how far the indexes are
	upgradeTold  = 10 * time.Second
)

// upgradeIndexes makes the indexes of blocks anew where they have an earlier form, once. A run that was broken off goes on where it was. Entries are not
// touched, and what is written follows from them alone; where the log cannot be read it stops and leaves the rest to the next start, for a verification to
// say where.
func (s *Store) upgradeIndexes() error {
	var form []byte
	err := s.View(func(tx *Tx) (err error) { form, err = tx.get(keyIndexed); return err })
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	from := int64(0)
	given, going := strings.CutPrefix(string(form), upgradeFrom)
	switch {
	case string(form) == indexForm:
		return nil
	case s.w.fault != nil:
		return nil // as it was: nothing is appended
	case going:
		if from, err = strconv.ParseInt(given, 10, 64); err != nil || from < 0 || from%auditPart != 0 {
			return fmt.Errorf("%w: the audit log's indexes have form %q", ErrCorrupt, form)
		}
	case len(form) == 0 || string(form) == "2":
		if err := s.dropIndexes(); err != nil {
			return fmt.Errorf("the audit log's indexes of an earlier form: %w", err)
		}
	default:
		return fmt.Errorf("the audit log's indexes have form %q, this program knows %q: use the program that wrote them, or a newer one", form, indexForm)
	}
	err = s.View(func(tx *Tx) error { return s.makeIndexes(tx, from) })
	if errors.Is(err, errUnreadable) {
		s.log.Error("store: the indexes of the audit log were not completed", "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("make the indexes of the audit log: %w", err)
	}
	return s.noteForm(indexForm)
}

func (s *Store) noteForm(form string) error {
	return s.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(keyIndexed), []byte(form)) })
}

// dropIndexes takes away all that is made anew, and what entries of earlier forms were found by beside it: actors and counterparts one by one.
func (s *Store) dropIndexes() error {
	const actors, counterparts = spaceAuditIndex + "a", spaceAuditIndex + "k"
	s.log.Info("store: the audit log's indexes are made anew, once; entries stay as they are")
	if err := s.db.DropPrefix([]byte(spaceBlock), []byte(spaceTimes), []byte(spaceEras), []byte(actors), []byte(counterparts)); err != nil {
		return err
	}
	return s.noteForm(upgradeFrom + "0")
}

// errUnreadable: the log cannot be read to its end.
var errUnreadable = errors.New("the audit log cannot be read")

// described is what is written of a part of the log.
type described struct {
	end   int64
	keys  map[string][]byte
	spans map[int64]timeSpan
	err   error
}

// makeIndexes describes all whole blocks from an entry on.
func (s *Store) makeIndexes(tx *Tx, from int64) error {
	size := s.w.tree.size
	begun, told := time.Now(), time.Now()
	batch := s.db.NewWriteBatch()
	defer func() { batch.Cancel() }()
	eras := map[int64]timeSpan{}
	if from > 0 && from%(timeBlock*timeEra) != 0 {
		era := from / timeBlock / timeEra
		span, err := tx.timesOf(spaceEras, era)
		if err != nil {
			return err
		}
		eras[era] = span
	}
	return inOrder(context.Background(), (size-from+auditPart-1)/auditPart, func(n int64) *described {
		start := from + n*auditPart
		return tx.describePart(start, min(start+auditPart, size/timeBlock*timeBlock))
	}, func(d *described) error {
		if d.err != nil {
			return fmt.Errorf("%w: %w", errUnreadable, d.err)
		}
		for block, span := range d.spans {
			d.keys[spaceTimes+number(uint64(block))] = span.encode()
			era := block / timeEra
			if old, known := eras[era]; known {
				span = span.with(old)
			}
			eras[era] = span
			d.keys[spaceEras+number(uint64(era))] = span.encode()
		}
		for key, value := range d.keys {
			if err := batch.Set([]byte(key), value); err != nil {
				return err
			}
		}
		if d.end%(upgradeParts*auditPart) != 0 && d.end != size/timeBlock*timeBlock {
			return nil
		}
		s.ease()
		err := batch.Flush()
		if err == nil {
			batch = s.db.NewWriteBatch()
			err = s.noteForm(upgradeFrom + strconv.FormatInt(d.end/auditPart*auditPart, 10))
		}
		if now := time.Now(); now.Sub(told) > upgradeTold || d.end == size && now.Sub(begun) > upgradeTold {
			told = now
			s.log.Info("store: indexes of the audit log", "entries", d.end, "of", size)
		}
		return err
	})
}

// describePart reads the entries from start to before end, whole blocks.
func (tx *Tx) describePart(start, end int64) *described {
	d := &described{end: max(start, end), keys: map[string][]byte{}, spans: map[int64]timeSpan{}}
	it := tx.snap.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(spaceLeaf)})
	defer it.Close()
	it.Seek([]byte(spaceLeaf + number(uint64(start))))
	b := newBlockIndex()
	for index := start; index < end; index++ {
		if !it.Valid() || string(it.Item().Key()) != spaceLeaf+number(uint64(index)) {
			d.err = fmt.Errorf("audit entry %d: %w", index, ErrNotFound)
			return d
		}
		d.err = it.Item().Value(func(stored []byte) error {
			r, err := recordOf(index, stored)
			if err == nil {
				err = b.add(&r)
			}
			return err
		})
		if d.err != nil {
			return d
		}
		it.Next()
		if (index+1)%timeBlock == 0 {
			block := index / timeBlock
			for v, set := range b.sets {
				d.keys[blockKey(v, block)] = set.encode()
			}
			d.spans[block] = b.span()
			b = newBlockIndex()
		}
	}
	return d
}
