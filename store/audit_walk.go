package store

import (
	"context"
	"fmt"
	"iter"

	"proofmark/protocol"
)

// WalkAudit hands over the entries that a query selects, the oldest first, within this view and its checkpoint; Limit, Look and Before are not asked. It
// goes over the indexes first and marks in one bit for each entry of the log what they leave, so that ten million entries take a megabyte. progress may
// be nil.
func (tx *Tx) WalkAudit(ctx context.Context, q AuditQuery, progress func(done, total int64), fn func(index int64, leaf protocol.AuditLeaf) error) error {
	way, err := tx.narrow(&q)
	if err != nil {
		return err
	}
	marked := make([]uint64, (way.size+63)/64)
	looks := 0
	for at := way.size - 1; at >= 0; at-- {
		if looks++; looks%progressStep == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if at, err = way.next(at); err != nil {
			return fmt.Errorf("walk the audit log: %w", err)
		}
		if at >= 0 {
			marked[at/64] |= 1 << (at % 64)
		}
	}
	leaves := leafReader{tx: tx, rising: true, last: -2}
	for index := range way.size {
		if index%progressStep == 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if progress != nil {
				progress(index, way.size)
			}
		}
		if index%mappedLook == 0 {
			tx.s.ease()
		}
		if marked[index/64]&(1<<(index%64)) == 0 {
			continue
		}
		stored, err := leaves.stored(index)
		if err != nil {
			return err
		}
		leaf, _, err := decodeLeaf(stored)
		if err != nil {
			return fmt.Errorf("audit entry %d: %w", index, err)
		}
		e, err := entryOf(leaf)
		if err != nil {
			return fmt.Errorf("audit entry %d: %w: %w", index, ErrCorrupt, err)
		}
		if !q.selects(&AuditRecord{Index: index, Erased: leaf.Body == nil, AuditEntry: e}) {
			continue
		}
		if err := fn(index, leaf); err != nil {
			return err
		}
	}
	return nil
}

// AuditLeaves yields the entries from first to before end in their hashed form, the oldest first, one at a time. It ends after an error.
func (tx *Tx) AuditLeaves(first, end int64) iter.Seq2[protocol.AuditLeaf, error] {
	return func(yield func(protocol.AuditLeaf, error) bool) {
		leaves := leafReader{tx: tx, rising: true, last: -2}
		for index := first; index < end; index++ {
			if index%mappedLook == 0 {
				tx.s.ease()
			}
			var leaf protocol.AuditLeaf
			stored, err := leaves.stored(index)
			if err == nil {
				if leaf, _, err = decodeLeaf(stored); err != nil {
					err = fmt.Errorf("audit entry %d: %w", index, err)
				}
			}
			if !yield(leaf, err) || err != nil {
				return
			}
		}
	}
}
