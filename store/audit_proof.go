package store

import (
	"errors"
	"iter"
)

// AuditWith yields the indexes of the entries with a counterpart, from `from` to before `before`, the newest first. Entries are read behind the last whole
// block only; one that is missing there may be among them.
func (tx *Tx) AuditWith(counterpart string, from, before int64) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		q := AuditQuery{Counterpart: counterpart}
		way, err := tx.narrow(&q)
		if err != nil {
			yield(0, err)
			return
		}
		for at := min(before, way.size) - 1; at >= from; at-- {
			if at, err = way.next(at); err == nil && at >= way.whole {
				var r AuditRecord
				if r, err = tx.auditRecord(at); err == nil && r.Counterpart != counterpart {
					continue
				}
				if errors.Is(err, ErrNotFound) {
					err = nil
				}
			}
			if err == nil && at < from || !yield(at, err) || err != nil {
				return
			}
		}
	}
}
