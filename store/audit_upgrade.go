package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// indexForm is the present form of the audit log's indexes. A database of form 1 (no mark) knows neither blocks' values nor eras.
const indexForm = "2"

const upgradeBatch = 64 << 10 // keys and values written at once, in bytes

// upgradeIndexes brings the indexes of an earlier program's audit log to today's form, once. A run that was broken off is begun anew. Entries are not
// touched, and what is written follows from them alone; a log that cannot be read to its end stays as it is, for a verification to say where.
func (s *Store) upgradeIndexes(tx *Tx) error {
	form, err := tx.get(keyIndexed)
	if err == nil && string(form) == indexForm {
		return nil
	}
	if err == nil {
		return fmt.Errorf("the audit log's indexes have form %q, this program knows %q: use the program that wrote them, or a newer one", form, indexForm)
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	up := &Tx{s: s, snap: tx.snap, own: newOverlay(), now: tx.now}
	defer up.end()
	flush := func() error {
		batch := s.db.NewWriteBatch()
		defer batch.Cancel()
		for key, w := range up.own.writes {
			if err := batch.Set([]byte(key), w.value); err != nil {
				return err
			}
		}
		return batch.Flush()
	}
	for at := int64(0); at < s.w.tree.size; at++ {
		r, err := up.auditRecord(at)
		if err != nil {
			s.log.Error("store: the indexes of an older audit log were not completed", "error", err)
			return nil
		}
		for _, key := range describeBlock(&r) {
			if known, err := up.has(key); err != nil || !known {
				if err := errors.Join(err, up.put(key, present)); err != nil {
					return err
				}
			}
		}
		if at%timeBlock == 0 { // the periods of blocks are there already, also of entries that were erased since
			span, err := up.timesOf(spaceTimes, at/timeBlock)
			if err == nil {
				err = up.noteSpan(spaceEras, at/timeBlock/timeEra, span)
			}
			if err != nil {
				s.log.Error("store: the indexes of an older audit log were not completed", "error", err)
				return nil
			}
		}
		if up.own.bytes > upgradeBatch {
			if err := flush(); err != nil {
				return fmt.Errorf("complete the indexes of the audit log: %w", err)
			}
			eras := up.own
			up.own = newOverlay()
			for key, w := range eras.writes { // what goes on growing stays in sight
				if key[:1] == spaceEras || key[len(key)-8:] == newestFirst(at/timeBlock) {
					up.own.set(key, w)
				}
			}
		}
	}
	if err := flush(); err != nil {
		return fmt.Errorf("complete the indexes of the audit log: %w", err)
	}
	return s.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(keyIndexed), []byte(indexForm)) })
}
