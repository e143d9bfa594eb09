package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/protocol"
)

// AuditReport is what a successful verification found.
type AuditReport struct {
	Size       int64     // entries
	Erased     int64     // entries whose body was erased
	Root       tlog.Hash // of the tree
	Checkpoint []byte    // the signed note
}

// AuditFault is an audit log that is not what was written. Index is the entry at which it shows first, or -1
// where no single one can be named.
type AuditFault struct {
	Index  int64
	Reason string
}

func (f *AuditFault) Error() string {
	if f.Index < 0 {
		return "audit log: " + f.Reason
	}
	return fmt.Sprintf("audit log, entry %d: %s", f.Index, f.Reason)
}

func fault(index int64, format string, args ...any) error {
	return &AuditFault{Index: index, Reason: fmt.Sprintf(format, args...)}
}

// VerifyAudit proves the audit log: it computes every leaf and the whole tree anew from headers and bodies, and compares them with the
// stored hashes, with the root in the checkpoint and with its signature, which v checks; then it checks that the indexes name exactly
// the entries there are. What it found wrong is an *AuditFault. progress (may be nil) is called now and then. It works on a snapshot
// and holds nobody up.
//
// Someone who holds both the database key and the signing key can write a different log that verifies: against that helps comparing
// with checkpoints that others have kept.
func (s *Store) VerifyAudit(ctx context.Context, v note.Verifier, progress func(done, total int64)) (AuditReport, error) {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	var report AuditReport
	err := s.View(func(tx *Tx) error {
		head, err := tx.openCheckpoint(v, &report)
		if err != nil {
			return err
		}
		check := &auditCheck{tx: tx, seed: maphash.MakeSeed(), total: head.size, progress: progress}
		if err := check.entries(ctx); err != nil {
			return err
		}
		root, err := check.tree.root()
		if err != nil {
			return err
		}
		if root != head.root {
			return fault(-1, "all %d entries and hashes agree with each other, but not with the signed checkpoint: their root is %s, the checkpoint says %s", head.size, root, head.root)
		}
		report.Size, report.Root, report.Erased = head.size, root, check.erased
		return check.indexes(ctx)
	})
	if err != nil {
		return AuditReport{}, fmt.Errorf("verify: %w", err)
	}
	return report, nil
}

func (tx *Tx) openCheckpoint(v note.Verifier, report *AuditReport) (checkpoint, error) {
	signed, err := tx.Checkpoint()
	if errors.Is(err, ErrNotFound) {
		return checkpoint{}, fault(-1, "there is no checkpoint")
	}
	if err != nil {
		return checkpoint{}, err
	}
	report.Checkpoint = signed
	opened, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return checkpoint{}, fault(-1, "the checkpoint's signature does not verify with the key %s: %v", v.Name(), err)
	}
	head, err := parseCheckpoint([]byte(opened.Text))
	if err != nil {
		return checkpoint{}, fault(-1, "%v", err)
	}
	if head.origin != v.Name() {
		return checkpoint{}, fault(-1, "the checkpoint's origin is %q, want %q", head.origin, v.Name())
	}
	return head, nil
}

// auditCheck is a verification under way.
type auditCheck struct {
	tx       *Tx
	tree     auditTree
	total    int64
	erased   int64
	progress func(done, total int64)

	block int64 // the block that span is of
	span  timeSpan

	// The index keys that must be there, as their number and the sum of their keyed hashes: equal sums spare a lookup per key, and
	// whoever wrote the keys could not know the seed.
	seed maphash.Seed
	keys int64
	sum  uint64
}

const progressStep = 4096

func (c *auditCheck) entries(ctx context.Context) error {
	for key, stored := range c.tx.scan(spaceLeaf, "", true) {
		n, err := parseNumber(key[len(spaceLeaf):])
		if err != nil {
			return fault(c.tree.size, "%v", err)
		}
		index := int64(n)
		if c.tree.size >= c.total {
			return fault(index, "the entry lies beyond the signed checkpoint, which covers %d", c.total)
		}
		if index != c.tree.size {
			return fault(c.tree.size, "the entry is missing")
		}
		if err := c.entry(index, stored); err != nil {
			return err
		}
		if c.tree.size%progressStep == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			c.progress(c.tree.size, c.total)
		}
	}
	if c.tx.err != nil {
		return fault(c.tree.size, "cannot be read: %v", c.tx.err)
	}
	if c.tree.size != c.total {
		return fault(c.tree.size, "the entry is missing")
	}
	c.progress(c.total, c.total)
	return nil
}

func (c *auditCheck) entry(index int64, stored []byte) error {
	leaf, kept, err := decodeLeaf(stored)
	if err != nil {
		return fault(index, "%v", err)
	}
	if err := leaf.Check(); err != nil {
		return fault(index, "%v", err)
	}
	e, err := leaf.Entry()
	if err != nil {
		return fault(index, "%v", err)
	}
	if leaf.Body == nil {
		c.erased++
	} else if err := c.time(index, e.Time); err != nil {
		return err
	}
	hashes, err := c.tree.append(leaf.Content())
	if err != nil {
		return fault(index, "%v", err)
	}
	if !bytes.Equal(kept[:tlog.HashSize], hashes[:tlog.HashSize]) {
		return fault(index, "header and body do not give the stored leaf hash")
	}
	for level := 1; level*tlog.HashSize < max(len(kept), len(hashes)); level++ {
		from, to := level*tlog.HashSize, (level+1)*tlog.HashSize
		if to > len(kept) || to > len(hashes) {
			return fault(index, "%d tree hashes are stored with it, want %d", len(kept)/tlog.HashSize, len(hashes)/tlog.HashSize)
		}
		if !bytes.Equal(kept[from:to], hashes[from:to]) {
			return fault(index, "the stored hash over the entries %d to %d is not the one that they give: it or one of them was replaced", index+1-1<<level, index)
		}
	}
	c.expect(index, e)
	return nil
}

// time checks that a query for a period would not skip the entry.
func (c *auditCheck) time(index int64, at time.Time) error {
	if block := index / timeBlock; c.block != block || index == 0 {
		span, err := c.tx.timesOf(block)
		if err != nil {
			return fault(index, "the period of its block: %v", err)
		}
		c.block, c.span = block, span
	}
	if !c.span.overlaps(at, at.Add(1)) {
		return fault(index, "its time %s lies outside of the period noted for its block, queries would not find it", at.Format(time.RFC3339))
	}
	return nil
}

func (c *auditCheck) expect(index int64, e protocol.AuditEntry) {
	for _, key := range auditIndexKeys(index, e) {
		c.keys++
		c.sum += maphash.String(c.seed, key)
	}
}

func (c *auditCheck) indexes(ctx context.Context) error {
	var keys int64
	var sum uint64
	for key := range c.tx.scan(spaceAuditIndex, "", false) {
		keys++
		sum += maphash.String(c.seed, key)
		if keys%progressStep == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if c.tx.err != nil {
		return fault(-1, "an index cannot be read: %v", c.tx.err)
	}
	if keys == c.keys && sum == c.sum {
		return nil
	}
	return c.locate(ctx)
}

// locate finds the entry whose index keys are not what they should be, the slow way.
func (c *auditCheck) locate(ctx context.Context) error {
	for index := range c.total {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := c.tx.auditRecord(index)
		if err != nil {
			return err
		}
		for _, key := range auditIndexKeys(index, r.AuditEntry) {
			if ok, err := c.tx.has(key); err != nil || !ok {
				return fault(index, "it is missing from an index, queries would not find it")
			}
		}
	}
	for key := range c.tx.scan(spaceAuditIndex, "", false) {
		index := int64(-1)
		if n, err := parseNumber(key[max(0, len(key)-8):]); err == nil {
			index = int64(^n)
		}
		r, err := c.tx.auditRecord(index)
		if err != nil {
			return fault(index, "an index names the entry, which is not there")
		}
		known := false
		for _, k := range auditIndexKeys(index, r.AuditEntry) {
			known = known || k == key
		}
		if !known {
			return fault(index, "an index names the entry for a value that it does not have")
		}
	}
	return fault(-1, "the indexes changed while they were read")
}
