package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// AuditReport is what a successful verification found.
type AuditReport struct {
	From       int64       // entries before this one were not read again: their hashes stand for them
	Size       int64       // entries
	Erased     int64       // entries whose body was erased, among those that were read
	Root       tlog.Hash   // of the tree
	Checkpoint []byte      // the signed note
	Proof      []tlog.Hash // that the tree of the earlier checkpoint is the beginning of this one (RFC 6962 §2.1.2), with From > 0
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
// and holds nobody up; it keeps all processors but one at work, and a few parts of the log in memory.
//
// Someone who holds both the database key and the signing key can write a different log that verifies: against that helps comparing
// with checkpoints that others have kept.
func (s *Store) VerifyAudit(ctx context.Context, v note.Verifier, progress func(done, total int64)) (AuditReport, error) {
	return s.verifyAudit(v, progress, func(c *auditCheck) error {
		if err := c.entries(ctx); err != nil {
			return err
		}
		return c.indexes(ctx)
	})
}

// VerifyAuditSince proves that the log still begins with the entries that an earlier checkpoint of it covers, and every entry since, with its place in
// the indexes. Of the entries before it relies on their hashes: whether their content still has these, only VerifyAudit tells. saved is the signed
// note; one that is not of this log, or larger than it, is an *AuditFault.
func (s *Store) VerifyAuditSince(ctx context.Context, v note.Verifier, saved []byte, progress func(done, total int64)) (AuditReport, error) {
	return s.verifyAudit(v, progress, func(c *auditCheck) error {
		then, err := openCheckpoint(saved, v, "the saved checkpoint")
		if err != nil {
			return err
		}
		if then.size > c.total {
			return fault(-1, "the log was put back: the saved checkpoint covers %d entries, the log has %d", then.size, c.total)
		}
		if err := c.begin(then); err != nil {
			return err
		}
		c.lookUp = true
		return c.entries(ctx)
	})
}

// verifyAudit opens the checkpoint, has the tree built and compares both.
func (s *Store) verifyAudit(v note.Verifier, progress func(done, total int64), read func(*auditCheck) error) (AuditReport, error) {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	var report AuditReport
	err := s.View(func(tx *Tx) error {
		signed, err := tx.Checkpoint()
		if errors.Is(err, ErrNotFound) {
			return fault(-1, "there is no checkpoint")
		}
		if err != nil {
			return err
		}
		head, err := openCheckpoint(signed, v, "the checkpoint")
		if err != nil {
			return err
		}
		if err := checkForm(signed); err != nil {
			return err
		}
		c := newAuditCheck(tx, head, progress)
		if err := read(c); err != nil {
			return err
		}
		report = AuditReport{From: c.from, Size: head.size, Erased: c.erased, Root: head.root, Checkpoint: signed, Proof: c.proof}
		return nil
	})
	if err != nil {
		return AuditReport{}, fmt.Errorf("verify: %w", err)
	}
	return report, nil
}

// openCheckpoint verifies a note as this node writes it: one signature, byte for byte.
func openCheckpoint(signed []byte, v note.Verifier, what string) (checkpoint, error) {
	opened, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return checkpoint{}, fault(-1, "%s's signature does not verify with the key %s: %v", what, v.Name(), err)
	}
	head, err := parseCheckpoint([]byte(opened.Text))
	if err != nil {
		return checkpoint{}, fault(-1, "%s: %v", what, err)
	}
	if head.origin != v.Name() {
		return checkpoint{}, fault(-1, "the origin of %s is %q, want %q", what, head.origin, v.Name())
	}
	return head, nil
}

// checkForm finds what a signature leaves open: further signature lines, and bits of its base64 that stand for nothing.
func checkForm(signed []byte) error {
	_, signatures, _ := strings.Cut(string(signed), "\n\n")
	line, rest, _ := strings.Cut(signatures, "\n")
	encoded := line[strings.LastIndexByte(line, ' ')+1:]
	if b, err := base64.StdEncoding.Strict().DecodeString(encoded); err != nil || base64.StdEncoding.EncodeToString(b) != encoded || rest != "" {
		return fault(-1, "the checkpoint's signature is not in the form in which it was written")
	}
	return nil
}

// auditCheck is a verification under way.
type auditCheck struct {
	tx       *Tx
	tree     auditTree
	head     checkpoint
	total    int64
	whole    int64 // entries in whole blocks
	from     int64
	erased   int64
	proof    []tlog.Hash
	lookUp   bool // index keys are looked up one by one, not summed up
	progress func(done, total int64)

	seed maphash.Seed
	sums []keySum // of the index keys that must be there, for each part of the log

	era     *timeSpan // of its blocks so far
	eraPart bool      // its first blocks were not read
}

func newAuditCheck(tx *Tx, head checkpoint, progress func(done, total int64)) *auditCheck {
	c := &auditCheck{tx: tx, head: head, total: head.size, whole: head.size / timeBlock * timeBlock, progress: progress, seed: maphash.MakeSeed()}
	c.sums = c.noSums()
	return c
}

const progressStep = 4096

// begin takes the tree up where an earlier checkpoint left it.
func (c *auditCheck) begin(then checkpoint) (err error) {
	hashes := c.tx.AuditHashes()
	if c.tree, err = loadTree(then.size, hashes); err != nil {
		return fault(-1, "the hashes of the first %d entries cannot be read: %v", then.size, err)
	}
	root, err := c.tree.root()
	if err != nil {
		return err
	}
	if root != then.root {
		return fault(-1, "the first %d entries are not those that the saved checkpoint covers: their root is %s, the checkpoint says %s; `audit verify` without --from says where, unless the log was written anew as a whole",
			then.size, root, then.root)
	}
	c.from = then.size
	c.eraPart = then.size%(timeBlock*timeEra) != 0
	if then.size == 0 {
		return nil
	}
	if c.proof, err = tlog.ProveTree(c.total, then.size, hashes); err != nil {
		return fault(-1, "the tree's hashes do not give a proof of consistency: %v", err)
	}
	if err := tlog.CheckTree(c.proof, c.total, c.head.root, then.size, then.root); err != nil {
		return fault(-1, "the log of %d entries does not continue the one of %d that the saved checkpoint covers", c.total, then.size)
	}
	return nil
}

// entries reads the entries from the checked part on and compares the tree that they give with the signed root.
func (c *auditCheck) entries(ctx context.Context) error {
	first := c.from / auditPart
	parts := c.total/auditPart + 1 - first // the last one looks for entries beyond the checkpoint
	err := inOrder(ctx, parts, func(n int64) *partCheck { return c.part(ctx, first+n) }, c.take)
	if err != nil {
		return err
	}
	c.progress(c.total, c.total)
	root, err := c.tree.root()
	if err == nil && root != c.head.root {
		err = fault(-1, "all %d entries and hashes agree with each other, but not with the signed checkpoint: their root is %s, the checkpoint says %s", c.total, root, c.head.root)
	}
	return err
}

// take joins what was found of one part of the log to what was found of those before it.
func (c *auditCheck) take(p *partCheck) error {
	if p.err != nil {
		return p.err
	}
	last := p.end - 1
	if p.end-p.start == auditPart {
		var hashes [64]tlog.Hash
		level := bits.Len64(auditPart) - 1
		if n := c.tree.join(level, p.tree.levels[level], &hashes); n > 1 || len(p.upper) > 0 {
			if err := sameHashes(last, level+1, p.upper, hashes[1:n]); err != nil {
				return err
			}
		}
	} else {
		c.tree = p.after(c.tree)
	}
	c.erased += p.erased
	if !c.lookUp {
		c.sums[p.start/auditPart].add(p.sum)
	}
	for i, span := range p.spans {
		if err := c.inEra(p.firstBlock+int64(i), span); err != nil {
			return err
		}
	}
	if p.end%mappedLook == 0 {
		c.tx.s.ease()
	}
	if p.end < c.total {
		c.progress(p.end, c.total)
	}
	return nil
}
