package correlate

import (
	"encoding/binary"
	"slices"
)

// entry is what a gallery keeps of a signature.
type entry struct {
	id        string
	class     *classUse
	spots     spotCode
	reach     reach
	polar     packedPolar
	signature []byte // nil where it is fetched
}

// contents is the gallery at one moment. What it leads to never changes, so a search
// reads it without a lock: a change makes new blocks where it touches old ones.
type contents struct {
	full []*block // of blockSize entries each
	last *block
}

const blockSize = 1024

func (v *contents) len() int { return len(v.full)*blockSize + v.last.len() }

// at returns an entry's block and its place there.
func (v *contents) at(i int) (*block, int) {
	if b := i / blockSize; b < len(v.full) {
		return v.full[b], i % blockSize
	}
	return v.last, i % blockSize
}

// block holds entries side by side, each field apart from the others and in one piece:
// a hundred thousand entries are a few hundred pieces of memory.
type block struct {
	codes      []spotCode
	reaches    []uint8
	classes    []*classUse
	ids        []string
	polar      []byte   // of all entries, one behind the other
	polarEnds  []uint32 // where each ends
	signatures [][]byte // none where they are fetched
}

func (b *block) len() int { return len(b.ids) }

// with is the block with one more entry. It shares the memory: a block does not see
// beyond its own length.
func (b *block) with(e entry) *block {
	c := *b
	if c.codes == nil {
		c = *b.clone(0)
	}
	c.codes, c.reaches = append(c.codes, e.spots), append(c.reaches, uint8(e.reach))
	c.classes, c.ids = append(c.classes, e.class), append(c.ids, e.id)
	c.polar = append(c.polar, e.polar...)
	c.polarEnds = append(c.polarEnds, uint32(len(c.polar)))
	if e.signature != nil {
		c.signatures = append(c.signatures, e.signature)
	}
	return &c
}

// clone copies the first n entries, with room for a whole block.
func (b *block) clone(n int) *block {
	c := &block{
		codes: make([]spotCode, n, blockSize), reaches: make([]uint8, n, blockSize), classes: make([]*classUse, n, blockSize),
		ids: make([]string, n, blockSize), polar: slices.Clone(b.polar[:b.polarEnd(n)]), polarEnds: make([]uint32, n, blockSize),
	}
	copy(c.codes, b.codes)
	copy(c.reaches, b.reaches)
	copy(c.classes, b.classes)
	copy(c.ids, b.ids)
	copy(c.polarEnds, b.polarEnds)
	if b.signatures != nil {
		c.signatures = slices.Clone(b.signatures[:n])
	}
	return c
}

// replaced is the block with another entry in place at.
func (b *block) replaced(at int, e entry) *block {
	c := b.clone(b.len())
	c.codes[at], c.reaches[at], c.classes[at], c.ids[at] = e.spots, uint8(e.reach), e.class, e.id
	from, to := b.polarEnd(at), b.polarEnd(at+1)
	c.polar = slices.Concat(b.polar[:from], e.polar, b.polar[to:])
	for i := range c.polarEnds[at:] {
		c.polarEnds[at+i] += uint32(len(e.polar)) - uint32(to-from) // may wrap around twice
	}
	if e.signature != nil {
		c.signatures[at] = e.signature
	}
	return c
}

// entry gathers an entry's fields, which stay the block's memory.
func (b *block) entry(at int) entry {
	e := entry{id: b.ids[at], class: b.classes[at], spots: b.codes[at], reach: reach(b.reaches[at]), polar: b.polarOf(at)}
	if b.signatures != nil {
		e.signature = b.signatures[at]
	}
	return e
}

// polarEnd is where the polar code of the first n entries ends.
func (b *block) polarEnd(n int) int {
	if n == 0 {
		return 0
	}
	return int(b.polarEnds[n-1])
}

func (b *block) polarOf(at int) packedPolar { return b.polar[b.polarEnd(at):b.polarEnd(at+1)] }

// packedPolar is a polar code as a gallery keeps it: the first used ring and the one
// after the last, and what lies between.
type packedPolar []byte

const (
	ringBytes = 2 * ringWords * 8
	maxPolar  = 2 + rings*ringBytes
)

func packPolar(code *polarCode) packedPolar {
	from, to := code.span()
	p := make(packedPolar, 0, 2+(to-from)*ringBytes)
	p = append(p, byte(from), byte(to))
	for r := from; r < to; r++ {
		for w := range ringWords {
			p = binary.LittleEndian.AppendUint64(p, code.sign[r][w])
			p = binary.LittleEndian.AppendUint64(p, code.mask[r][w])
		}
	}
	return p
}

// whole tells whether the length is what the first two bytes say.
func (p packedPolar) whole() bool {
	return len(p) >= 2 && p[0] <= p[1] && p[1] <= rings && len(p) == 2+int(p[1]-p[0])*ringBytes
}

// unpack restores the polar code.
func (p packedPolar) unpack(c *polarCode) {
	*c = polarCode{}
	rest := p[2:]
	for r := int(p[0]); r < int(p[1]); r++ {
		for w := range ringWords {
			c.sign[r][w], c.mask[r][w] = binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
			rest = rest[16:]
		}
	}
}
