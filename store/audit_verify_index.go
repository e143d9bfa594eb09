package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// keySum stands for a set of index keys with their values: how many there are, and the sum of their keyed hashes. Equal sums spare a lookup for each key, and
// whoever wrote the keys could not know the seed.
type keySum struct {
	keys int64
	sum  uint64
}

func (s *keySum) note(seed maphash.Seed, key string, value []byte) {
	var h maphash.Hash
	h.SetSeed(seed)
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(len(key)))
	_, _ = h.Write(size[:]) // it never fails
	_, _ = h.WriteString(key)
	_, _ = h.Write(value)
	s.keys++
	s.sum += h.Sum64()
}

func (s *keySum) add(o keySum) { s.keys, s.sum = s.keys+o.keys, s.sum+o.sum }

// noSums has a sum for each part of the log, and one for what names no entry of it.
func (c *auditCheck) noSums() []keySum { return make([]keySum, c.total/auditPart+2) }

// partOf is the place of an index key in sums.
func (c *auditCheck) partOf(key string) int64 {
	if index := namedBy(key); index >= 0 && index < c.total {
		return index / auditPart
	}
	return c.total/auditPart + 1
}

// namedBy is the entry that an index key names, the first of a block, or -1.
func namedBy(key string) int64 {
	n, err := parseNumber(key[max(0, len(key)-8):])
	if err != nil {
		return -1
	}
	index := int64(^n)
	if key[:1] == spaceBlock {
		index *= timeBlock
	}
	return index
}

// indexSpaces are the indexes of entries and of blocks.
var indexSpaces = []string{spaceAuditIndex, spaceBlock}

// indexes compares the index keys there are with those that the entries expect.
func (c *auditCheck) indexes(ctx context.Context) error {
	found := c.noSums()
	for _, space := range indexSpaces {
		bounds := append(append([]string{space}, c.tx.s.splits(space)...), string([]byte{space[0] + 1}))
		type part struct {
			sums []keySum
			err  error
		}
		err := inOrder(ctx, int64(len(bounds)-1), func(n int64) part {
			sums := c.noSums()
			return part{sums, c.sumUp(ctx, space, bounds[n], bounds[n+1], sums)}
		}, func(p part) error {
			for i := range p.sums {
				found[i].add(p.sums[i])
			}
			c.tx.s.ease()
			return p.err
		})
		if err != nil {
			return err
		}
	}
	for i := range found {
		if found[i] != c.sums[i] {
			return c.locate(ctx, int64(i))
		}
	}
	blocks := c.whole / timeBlock
	for space, want := range map[string]int64{spaceTimes: blocks, spaceEras: (blocks + timeEra - 1) / timeEra} {
		n := int64(0)
		for range c.tx.scan(space, "", false) {
			n++
		}
		if n != want {
			return fault(-1, "periods are noted for %d parts of the log, which has %d", n, want)
		}
	}
	return nil
}

// sumUp sums up the keys of a space from one to before another. It runs beside others.
func (c *auditCheck) sumUp(ctx context.Context, space, from, end string, sums []keySum) error {
	it := c.tx.snap.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(space)})
	defer it.Close()
	n := 0
	for it.Seek([]byte(from)); it.Valid(); it.Next() {
		key := string(it.Item().Key())
		if key >= end {
			return nil
		}
		if n++; n%progressStep == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		err := it.Item().Value(func(value []byte) error {
			if space == spaceAuditIndex && !bytes.Equal(value, present) {
				return fault(namedBy(key), "an index names the entry with something beside it")
			}
			sums[c.partOf(key)].note(c.seed, key, value)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// maxSplits bounds into how many parts a space is split.
const maxSplits = 64

// splits are keys of a space, in ascending order, between which lie about as many tables.
func (s *Store) splits(space string) []string {
	var keys []string
	for _, t := range s.db.Tables() {
		if left := string(t.Left); strings.HasPrefix(left, space) {
			keys = append(keys, left)
		}
	}
	keys = distinct(keys)
	for len(keys) > maxSplits {
		half := keys[:0]
		for i := 0; i < len(keys); i += 2 {
			half = append(half, keys[i])
		}
		keys = half
	}
	return keys
}

// locate finds the first entry of a part of the log whose index keys are not what they should be.
func (c *auditCheck) locate(ctx context.Context, part int64) error {
	expected := map[string][]byte{}
	var b *blockIndex
	for index := part * auditPart; index < min((part+1)*auditPart, c.total); index++ {
		r, err := c.tx.auditRecord(index)
		if err != nil {
			return err
		}
		for _, key := range auditIndexKeys(index, r.AuditEntry) {
			expected[key] = present
		}
		if index%timeBlock == 0 {
			b = newBlockIndex()
		}
		if err := b.add(&r); err != nil {
			return err
		}
		if (index+1)%timeBlock == 0 {
			for v, set := range b.sets {
				expected[blockKey(v, index/timeBlock)] = set.encode()
			}
		}
	}
	at, reason := int64(-1), ""
	note := func(key, ofEntry, ofBlock string) {
		if index := namedBy(key); reason == "" || index < at {
			if at, reason = index, ofEntry; key[:1] == spaceBlock {
				reason = ofBlock
			}
		}
	}
	for _, space := range indexSpaces {
		n := 0
		for key, value := range c.tx.scan(space, "", true) {
			if n++; n%progressStep == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if c.partOf(key) != part {
				continue
			}
			want, known := expected[key]
			switch {
			case !known && namedBy(key) >= c.total:
				note(key, "an index names the entry, which is not there", "an index names a block of entries, which are not there")
			case !known:
				note(key, "an index names the entry for a value that it does not have", "an index names its block of entries for a value that none of them has, or before the block is whole")
			case !bytes.Equal(value, want):
				note(key, "an index names the entry with something beside it", "an index names other entries of its block than those that have the value, queries would not find them")
			}
			delete(expected, key)
		}
	}
	for key := range expected {
		note(key, "it is missing from an index, queries would not find it", "an index lacks a value that occurs in its block of entries, queries would not find them")
	}
	if reason == "" {
		reason = "the indexes changed while they were read"
	}
	return fault(at, "%s", reason)
}

// distinct sorts keys and drops repetitions.
func distinct(keys []string) []string {
	slices.Sort(keys)
	return slices.Compact(keys)
}
