package store

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"time"
)

// blockCheck gathers what the entries of one block say of it.
type blockCheck struct {
	open   bool
	partly bool // its first entries were not read
	number int64
	keys   []string
	known  *timeSpan  // of the entries whose time is known
	days   []timeSpan // of erased entries, of whose time only the day is left

	era     *timeSpan // of the blocks so far
	eraPart bool
}

func (c *auditCheck) inBlock(r *AuditRecord) error {
	index := r.Index
	if number := index / timeBlock; !c.block.open || number != c.block.number {
		if err := c.endBlock(); err != nil {
			return err
		}
		b := &c.block
		b.open, b.number, b.keys, b.known, b.days = true, number, b.keys[:0], nil, b.days[:0]
		b.partly = index%timeBlock != 0
		if b.era == nil && index%(timeBlock*timeEra) != 0 {
			b.eraPart = true
		}
	}
	b := &c.block
	if b.keys = append(b.keys, describeBlock(r)...); len(b.keys) > 4096 {
		b.keys = distinct(b.keys)
	}
	span := spanOf(r.Time)
	switch {
	case r.Erased:
		day, err := time.Parse(time.DateOnly, r.Day)
		if err != nil {
			return fault(index, "its day %q is no date", r.Day)
		}
		b.days = append(b.days, timeSpan{day.Unix(), day.AddDate(0, 0, 1).Unix()})
	case b.known == nil:
		b.known = &span
	default:
		*b.known = b.known.with(span)
	}
	return nil
}

// endBlock compares what is kept of a block with what its entries say.
func (c *auditCheck) endBlock() error {
	b := &c.block
	if !b.open {
		return nil
	}
	b.open = false
	first := b.number * timeBlock
	b.keys = distinct(b.keys)
	for _, key := range b.keys {
		if err := c.expect(first, key); err != nil {
			return err
		}
	}
	kept, err := c.tx.timesOf(spaceTimes, b.number)
	if err != nil {
		return fault(first, "the period of its block of %d entries: %v", timeBlock, err)
	}
	if b.known != nil && kept.with(*b.known) != kept {
		return fault(first, "an entry of its block of %d lies outside of the period noted for them, queries would not find it", timeBlock)
	}
	if !b.partly && (!b.explains(kept.first) || !b.explains(kept.end-1)) {
		return fault(first, "the period noted for its block of %d entries is wider than that of the entries", timeBlock)
	}
	return c.inEra(kept)
}

// explains reports whether a bound of the period can come from one of the block's entries.
func (b *blockCheck) explains(second int64) bool {
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

func (c *auditCheck) inEra(kept timeSpan) error {
	b := &c.block
	if b.era == nil {
		b.era = &kept
	} else {
		*b.era = b.era.with(kept)
	}
	last := (c.total - 1) / timeBlock
	if b.number%timeEra != timeEra-1 && b.number != last {
		return nil
	}
	first := b.number / timeEra * timeEra * timeBlock
	noted, err := c.tx.timesOf(spaceEras, b.number/timeEra)
	if err != nil {
		return fault(first, "the period of the %d entries from here on: %v", timeEra*timeBlock, err)
	}
	if noted.with(*b.era) != noted || !b.eraPart && noted != *b.era {
		return fault(first, "the period noted for the %d entries from here on is not theirs", timeEra*timeBlock)
	}
	b.era, b.eraPart = nil, false
	return nil
}

// indexes compares the index keys there are with those that the entries expect.
func (c *auditCheck) indexes(ctx context.Context) error {
	var keys int64
	var sum uint64
	for _, space := range []string{spaceAuditIndex, spaceBlock} {
		for key, value := range c.tx.scan(space, "", true) {
			if !bytes.Equal(value, present) {
				return fault(namedBy(key), "an index names the entry with something beside it")
			}
			keys++
			sum += maphash.String(c.seed, key)
			if keys%progressStep == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	if c.tx.err != nil {
		return fault(-1, "an index cannot be read: %v", c.tx.err)
	}
	if keys != c.keys || sum != c.sum {
		return c.locate(ctx)
	}
	blocks := (c.total + timeBlock - 1) / timeBlock
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

// locate finds the entry whose index keys are not what they should be, the slow way.
func (c *auditCheck) locate(ctx context.Context) error {
	var block []string
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
		if index%timeBlock == 0 {
			block = block[:0]
		}
		if block = append(block, describeBlock(&r)...); index%timeBlock == timeBlock-1 || index == c.total-1 || len(block) > 4096 {
			block = distinct(block)
			for _, key := range block {
				if ok, err := c.tx.has(key); err != nil || !ok {
					return fault(index-index%timeBlock, "an index lacks a value that occurs in its block of %d entries, queries would not find them", timeBlock)
				}
			}
		}
	}
	for key := range c.tx.scan(spaceAuditIndex, "", false) {
		index := namedBy(key)
		r, err := c.tx.auditRecord(index)
		if errors.Is(err, ErrNotFound) {
			return fault(index, "an index names the entry, which is not there")
		}
		if err != nil {
			return err
		}
		known := false
		for _, k := range auditIndexKeys(index, r.AuditEntry) {
			known = known || k == key
		}
		if !known {
			return fault(index, "an index names the entry for a value that it does not have")
		}
	}
	for key := range c.tx.scan(spaceBlock, "", false) {
		first := namedBy(key)
		known := false
		for index := first; first >= 0 && index < min(first+timeBlock, c.total) && !known; index++ {
			r, err := c.tx.auditRecord(index)
			if err != nil {
				return err
			}
			for _, k := range describeBlock(&r) {
				known = known || k == key
			}
		}
		if !known {
			return fault(first, "an index names its block of %d entries for a value that none of them has", timeBlock)
		}
	}
	return fault(-1, "the indexes changed while they were read")
}
