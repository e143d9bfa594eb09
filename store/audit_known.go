package store

import (
	"errors"
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

// ResumeOut takes an outgoing channel up behind a message that the database does not know, because it is older: the next message follows seq and hash,
// which the peer has acknowledged with receipt. What was fixed here and not yet acknowledged lies before it. It never goes back (ErrSequence).
func (tx *Tx) ResumeOut(peer, channel string, seq uint64, hash string, receipt []byte) error {
	var st outState
	if err := tx.readState(spaceOut, peer, channel, &st); err != nil {
		return err
	}
	if seq < st.Seq {
		return onChannel(peer, channel, fmt.Errorf("%w: to be resumed behind %d, it is at %d", ErrSequence, seq, st.Seq))
	}
	for n := st.Dropped + 1; n <= st.Seq; n++ {
		if err := tx.dropMessage(peer, channel, n); err != nil {
			return err
		}
	}
	st.Seq, st.Head, st.Acked, st.AckedHead, st.Receipt, st.Dropped = seq, hash, seq, hash, receipt, seq
	return errors.Join(tx.keepHash(peer, channel, seq, hash), tx.writeState(spaceOut, peer, channel, &st))
}
