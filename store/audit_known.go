package store

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ParseCheckpoint reads size and root of an audit log from its checkpoint, or from a whole note without looking at its signatures.
func ParseCheckpoint(b []byte) (size int64, root tlog.Hash, err error) {
	c, err := parseCheckpoint(b)
	return c.size, c.root, err
}

// AuditRootAt is the root that the audit log had when it had so many entries; ErrNotFound if it never had.
func (tx *Tx) AuditRootAt(size int64) (tlog.Hash, error) {
	head, err := tx.auditHead()
	if err != nil {
		return tlog.Hash{}, err
	}
	if size < 0 || size > head.size {
		return tlog.Hash{}, fmt.Errorf("audit log with %d entries: %w: it has %d", size, ErrNotFound, head.size)
	}
	return tlog.TreeHash(size, tx.AuditHashes())
}
