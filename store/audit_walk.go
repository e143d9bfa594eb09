package store

import (
	"context"
	"fmt"

	"proofmark/protocol"
)

// WalkAudit hands over the entries that a query selects, the oldest first, within this view and its checkpoint; Limit, Look and Before are not asked. It
// goes over the indexes first and marks in one bit for each entry of the log what they leave, so that ten million entries take a megabyte. progress may
// be nil.
func (tx *Tx) WalkAudit(ctx context.Context, q AuditQuery, progress func(done, total int64), fn func(index int64, leaf protocol.AuditLeaf) error) error {
	head, err := tx.auditHead()
	if err != nil {
		return err
	}
	marked := make([]uint64, (head.size+63)/64)
	sources := tx.sources(&q)
	for at := head.size - 1; at >= 0; at-- {
		if at%progressStep == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if at, err = agree(sources, at); err != nil {
			return fmt.Errorf("walk the audit log: %w", err)
		}
		if at >= 0 {
			marked[at/64] |= 1 << (at % 64)
		}
	}
	for index := range head.size {
		if index%progressStep == 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if progress != nil {
				progress(index, head.size)
			}
		}
		if marked[index/64]&(1<<(index%64)) == 0 {
			continue
		}
		leaf, err := tx.AuditLeaf(index)
		if err != nil {
			return err
		}
		e, err := leaf.Entry()
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
