package store

import (
	"fmt"
	"io"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"proofmark/protocol"
)

// Audit appends an entry to the audit log in this transaction, after those appended before; Time is set from Now if it is zero. An
// entry that cannot be appended fails the act.
func (tx *Tx) Audit(e protocol.AuditEntry) {
	if err := tx.writable(); err != nil {
		tx.fail(fmt.Errorf("audit entry %q: %w", e.Event, err))
		return
	}
	if e.Time.IsZero() {
		e.Time = tx.now
	}
	tx.entries = append(tx.entries, e)
}

// Audited counts the entries that this act appended so far.
func (tx *Tx) Audited() int { return len(tx.entries) }

// Complete has f fill in what the entries of this act leave open, before they are written: who did it under which decision is known where the act is
// authorised, not where it is described.
func (tx *Tx) Complete(f func(*protocol.AuditEntry)) { tx.complete = f }

// appendAudit writes the act's entries, moving tree forward. Leaves, hashes and indexes become part of the act's writes; the
// checkpoint is signed once, when the whole fold is committed.
func (tx *Tx) appendAudit(tree *auditTree) error {
	if len(tx.entries) == 0 {
		return nil
	}
	if err := tx.s.w.fault; err != nil {
		return fmt.Errorf("%w: %w", ErrAuditFault, err)
	}
	for _, e := range tx.entries {
		if tx.complete != nil {
			tx.complete(&e)
		}
		salt := make([]byte, protocol.AuditSaltSize)
		if _, err := io.ReadFull(tx.Random(), salt); err != nil {
			return fmt.Errorf("audit entry %q: salt: %w", e.Event, err)
		}
		leaf, err := protocol.NewAuditLeaf(e, salt)
		if err != nil {
			return fmt.Errorf("audit entry %q: %w", e.Event, err)
		}
		at := number(uint64(tree.size))
		if err := tx.put(spaceLeaf+at, encodeLeaf(leaf, tree.append(leaf.Content()))); err != nil {
			return fmt.Errorf("audit entry %q: %w", e.Event, err)
		}
		for _, key := range auditIndexKeys(tree.size-1, e) {
			if err := tx.put(key, present); err != nil {
				return fmt.Errorf("audit entry %q: index: %w", e.Event, err)
			}
		}
		if tree.size%timeBlock == 0 {
			if err := tx.describeBlock(tree.size/timeBlock - 1); err != nil {
				return fmt.Errorf("audit entry %q: index: %w", e.Event, err)
			}
		}
	}
	return nil
}

// EraseAudit erases the body of an audit entry, as retention or a withdrawal demands; its header, its place in the tree and every
// proof stay valid. ErrNotFound if there is no such entry; erasing twice is no error. That it was erased, and why, is for the caller
// to append.
func (tx *Tx) EraseAudit(index int64) error {
	leaf, hashes, err := tx.leaf(index)
	if err != nil || leaf.Body == nil {
		return err
	}
	full, err := leaf.Entry()
	if err != nil {
		return fmt.Errorf("audit entry %d: %w: %w", index, ErrCorrupt, err)
	}
	leaf.Body, leaf.Salt = nil, nil
	bare, err := leaf.Entry()
	if err != nil {
		return fmt.Errorf("audit entry %d: %w: %w", index, ErrCorrupt, err)
	}
	kept := auditIndexKeys(index, bare)
	for _, key := range auditIndexKeys(index, full) {
		if slices.Contains(kept, key) {
			continue
		}
		if err := tx.del(key); err != nil {
			return fmt.Errorf("audit entry %d: %w", index, err)
		}
	}
	if err := tx.forgetInBlock(index, full, bare); err != nil {
		return fmt.Errorf("audit entry %d: %w", index, err)
	}
	return tx.put(spaceLeaf+number(uint64(index)), encodeLeaf(leaf, hashes))
}

// AuditLeaf returns an entry in its hashed form, as a proof shows it.
func (tx *Tx) AuditLeaf(index int64) (protocol.AuditLeaf, error) {
	leaf, _, err := tx.leaf(index)
	return leaf, err
}

func (tx *Tx) leaf(index int64) (protocol.AuditLeaf, []byte, error) {
	stored, err := tx.get(spaceLeaf + number(uint64(index)))
	if err != nil {
		return protocol.AuditLeaf{}, nil, fmt.Errorf("audit entry %d: %w", index, err)
	}
	leaf, hashes, err := decodeLeaf(stored)
	if err != nil {
		return leaf, nil, fmt.Errorf("audit entry %d: %w", index, err)
	}
	return leaf, hashes, nil
}

// Checkpoint is the signed head of the audit log, a c2sp.org/tlog-checkpoint note: in a view the snapshot's; in an act the newest that is durable, so that
// it is never older than one that a view has shown to somebody meanwhile. It does not cover entries of acts that are under way.
func (tx *Tx) Checkpoint() ([]byte, error) {
	from := tx
	if tx.own != nil && !tx.done {
		newest := tx.s.acquire() // the act's own snapshot may lie before the commit on top of which it runs
		defer tx.s.release(newest)
		from = &Tx{s: tx.s, snap: newest}
	}
	b, err := from.get(keyCheckpoint)
	if err != nil {
		return nil, fmt.Errorf("audit checkpoint: %w", err)
	}
	return b, nil
}

// AuditHashes reads the tree's stored hashes, for tlog.ProveRecord and tlog.ProveTree against Checkpoint.
func (tx *Tx) AuditHashes() tlog.HashReader { return tlog.HashReaderFunc(tx.readHashes) }

func (tx *Tx) readHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 {
			return nil, fmt.Errorf("audit hash %d: negative", index)
		}
		level, n := tlog.SplitStoredHashIndex(index)
		entry := (n+1)<<level - 1 // the entry that completed the subtree
		stored, err := tx.get(spaceLeaf + number(uint64(entry)))
		if err != nil {
			return nil, fmt.Errorf("hashes of audit entry %d: %w", entry, err)
		}
		hashes, _, err := cutHashes(stored)
		if err == nil && len(hashes) < (level+1)*tlog.HashSize {
			err = fmt.Errorf("%w: level %d is missing", ErrCorrupt, level)
		}
		if err != nil {
			return nil, fmt.Errorf("hashes of audit entry %d: %w", entry, err)
		}
		out[i] = tlog.Hash(hashes[level*tlog.HashSize:])
	}
	return out, nil
}

// AuditSize is the number of entries in the audit log.
func (s *Store) AuditSize() (int64, error) {
	var size int64
	err := s.View(func(tx *Tx) error {
		head, err := tx.auditHead()
		size = head.size
		return err
	})
	return size, err
}

// Checkpoint is the signed head of the audit log, a c2sp.org/tlog-checkpoint note. An empty log has one too.
func (s *Store) Checkpoint() (signedNote []byte, err error) {
	err = s.View(func(tx *Tx) error {
		signedNote, err = tx.Checkpoint()
		return err
	})
	return signedNote, err
}

func (tx *Tx) auditHead() (checkpoint, error) {
	note, err := tx.Checkpoint()
	if err != nil {
		return checkpoint{}, err
	}
	return parseCheckpoint(note)
}

// loadAudit prepares the tree for appending and checks that it has the root that the checkpoint names.
func (s *Store) loadAudit(tx *Tx) error {
	head, err := tx.auditHead()
	if err == nil && head.origin != s.opt.Signer.Name() {
		return fmt.Errorf("%w: it is %q, this node signs as %q", ErrOrigin, head.origin, s.opt.Signer.Name())
	}
	var root tlog.Hash
	if err == nil {
		s.w.tree, err = loadTree(head.size, tx.AuditHashes())
	}
	if err == nil {
		root, err = s.w.tree.root()
	}
	if err == nil && root != head.root {
		err = fmt.Errorf("the stored hashes give the root %s, the checkpoint says %s", root, head.root)
	}
	if err != nil {
		s.w.fault = err
		s.log.Error("store: the audit log contradicts its checkpoint, appending is refused", "error", err)
	}
	return nil
}
