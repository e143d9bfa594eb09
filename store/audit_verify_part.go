package store

import (
	"bytes"
	"context"
	"math/bits"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/mod/sumdb/tlog"
)

// auditPart is the number of entries that a verification checks apart from the others, a power of two: their hashes make one subtree.
const auditPart = 16 * timeBlock

// partCheck is what was found of the entries from start to before end. Its err comes first of all that is wrong there.
type partCheck struct {
	c          *auditCheck
	start, end int64

	tree   auditTree // of these entries alone if start is a multiple of auditPart, else of the log
	upper  []byte    // hashes stored with the last entry that depend on other parts
	erased int64
	sum    keySum

	block      *blockIndex // under way
	firstBlock int64       // of spans
	spans      []timeSpan  // noted for the whole blocks that end here

	form []byte // an entry as it should be stored
	err  error
}

// part checks one part of the log. It runs beside others, and reads with iterators of its own.
func (c *auditCheck) part(ctx context.Context, n int64) *partCheck {
	p := &partCheck{c: c, start: n * auditPart}
	if p.start < c.from {
		p.start, p.tree = c.from, c.tree
	}
	p.end, p.firstBlock = p.start, p.start/timeBlock
	if p.err = ctx.Err(); p.err == nil {
		p.err = p.read(n)
	}
	return p
}

func (p *partCheck) read(n int64) error {
	from, bound := spaceLeaf, spaceLeaf+number(uint64((n+1)*auditPart))
	if p.start > 0 {
		from += number(uint64(p.start - 1))
	}
	last := n == p.c.total/auditPart // it also meets what lies beyond the checkpoint
	it := p.c.tx.snap.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(spaceLeaf)})
	defer it.Close()
	for it.Seek([]byte(from)); it.Valid(); it.Next() {
		key := string(it.Item().Key())
		if key == from {
			continue // the entry before
		}
		if !last && key >= bound {
			break
		}
		index, err := parseNumber(key[len(spaceLeaf):])
		switch {
		case err != nil:
			return fault(p.end, "%v", err)
		case p.end >= p.c.total:
			return fault(int64(index), "the entry lies beyond the signed checkpoint, which covers %d", p.c.total)
		case int64(index) != p.end:
			return fault(p.end, "the entry is missing")
		}
		var wrong error
		if err := it.Item().Value(func(stored []byte) error { wrong = p.entry(p.end, stored); return nil }); err != nil {
			return fault(p.end, "cannot be read: %v", err)
		}
		if wrong != nil {
			return wrong
		}
	}
	if p.end != min((n+1)*auditPart, p.c.total) {
		return fault(p.end, "the entry is missing")
	}
	return nil
}

func (p *partCheck) entry(index int64, stored []byte) error {
	leaf, kept, err := decodeLeaf(stored)
	if err != nil {
		return fault(index, "%v", err)
	}
	if err := leaf.Check(); err != nil {
		return fault(index, "%v", err)
	}
	e, err := entryOf(leaf)
	if err != nil {
		return fault(index, "%v", err)
	}
	if leaf.Body == nil {
		p.erased++
	}
	var hashes [64]tlog.Hash
	own := p.tree.join(0, tlog.RecordHash(leaf.Content()), &hashes)
	p.end++
	if !bytes.Equal(kept[:tlog.HashSize], hashes[0][:]) {
		return fault(index, "header and body do not give the stored leaf hash")
	}
	if n, want := len(kept)/tlog.HashSize, bits.TrailingZeros64(uint64(index)+1)+1; n != want {
		return fault(index, "%d tree hashes are stored with it, want %d", n, want)
	}
	if err := sameHashes(index, 1, kept[tlog.HashSize:], hashes[1:own]); err != nil {
		return err
	}
	p.upper = append(p.upper[:0], kept[own*tlog.HashSize:]...)
	if p.form = appendLeaf(p.form[:0], leaf, kept); !bytes.Equal(p.form, stored) {
		return fault(index, "it is not stored in the form in which it was written")
	}
	for _, key := range auditIndexKeys(index, e) {
		if err := p.expect(index, key); err != nil {
			return err
		}
	}
	return p.inBlock(&AuditRecord{Index: index, Erased: leaf.Body == nil, AuditEntry: e})
}

// sameHashes compares the hashes stored with an entry, from a level on, with those that it completes; there may be more of them.
func sameHashes(index int64, level int, kept []byte, want []tlog.Hash) error {
	for i, h := range want {
		if !bytes.Equal(kept[i*tlog.HashSize:(i+1)*tlog.HashSize], h[:]) {
			return fault(index, "the stored hash over the entries %d to %d is not the one that they give: it or one of them was replaced", index+1-1<<(level+i), index)
		}
	}
	return nil
}

// after is the log's tree behind a part that is not whole.
func (p *partCheck) after(before auditTree) auditTree {
	if p.start%auditPart != 0 {
		return p.tree
	}
	for level := range bits.Len64(auditPart) - 1 {
		if p.tree.size>>level&1 == 1 {
			before.levels[level] = p.tree.levels[level]
		}
	}
	before.size += p.tree.size
	return before
}

// expect notes an index key that must be there.
func (p *partCheck) expect(index int64, key string) error {
	if !p.c.lookUp {
		p.sum.note(p.c.seed, key, present)
		return nil
	}
	if ok, err := p.c.tx.has(key); err != nil || !ok {
		return fault(index, "it is missing from an index, queries would not find it")
	}
	return nil
}

func (p *partCheck) inBlock(r *AuditRecord) error {
	if r.Index >= p.c.whole {
		return nil
	}
	if p.block == nil {
		p.block = newBlockIndex()
	}
	if err := p.block.add(r); err != nil {
		return fault(r.Index, "%v", err)
	}
	if (r.Index+1)%timeBlock != 0 {
		return nil
	}
	defer func() { p.block = nil }()
	return p.endBlock(r.Index / timeBlock)
}

// endBlock compares what is kept of a block with what its entries say.
func (p *partCheck) endBlock(block int64) error {
	first, b := block*timeBlock, p.block
	read := max(0, p.start-first) // the offset from which on its entries were read
	for v, set := range b.sets {
		key := blockKey(v, block)
		if !p.c.lookUp {
			p.sum.note(p.c.seed, key, set.encode())
			continue
		}
		stored, err := p.c.tx.get(key)
		if err != nil {
			return fault(first, "an index lacks a value that occurs in its block of %d entries, queries would not find them", timeBlock)
		}
		if kept, err := decodeSet(stored); err != nil || kept.from(read) != *set {
			return fault(first, "an index names other entries of its block of %d than those that have the value", timeBlock)
		}
	}
	kept, err := p.c.tx.timesOf(spaceTimes, block)
	if err != nil {
		return fault(first, "the period of its block of %d entries: %v", timeBlock, err)
	}
	if b.known != nil && kept.with(*b.known) != kept {
		return fault(first, "an entry of its block of %d lies outside of the period noted for them, queries would not find it", timeBlock)
	}
	if read == 0 && (!b.explains(kept.first) || !b.explains(kept.end-1)) {
		return fault(first, "the period noted for its block of %d entries is wider than that of the entries", timeBlock)
	}
	p.spans = append(p.spans, kept)
	return nil
}

// explains reports whether a bound of the period can come from one of the block's entries.
func (b *blockIndex) explains(second int64) bool {
	if b.known != nil && (second == b.known.first || second == b.known.end-1) {
		return true
	}
	for _, day := range b.days {
		if second >= day.first && second < day.end {
			return true
		}
	}
	return false
}

// inEra compares the period noted for many blocks with those of each, once the last of them is there.
func (c *auditCheck) inEra(block int64, kept timeSpan) error {
	if c.era == nil {
		c.era = &kept
	} else {
		*c.era = c.era.with(kept)
	}
	if block%timeEra != timeEra-1 && (block+1)*timeBlock != c.whole {
		return nil
	}
	first := block / timeEra * timeEra * timeBlock
	noted, err := c.tx.timesOf(spaceEras, block/timeEra)
	if err != nil {
		return fault(first, "the period of the %d entries from here on: %v", timeEra*timeBlock, err)
	}
	if noted.with(*c.era) != noted || !c.eraPart && noted != *c.era {
		return fault(first, "the period noted for the %d entries from here on is not theirs", timeEra*timeBlock)
	}
	c.era, c.eraPart = nil, false
	return nil
}
