package store

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// timeBlock is the number of audit entries that are described together once they are all there: the earliest and latest time among them, and which of
// them have which value. Queries intersect these descriptions and skip the rest of the log; what comes after the last whole block they read.
const timeBlock = 256

// blockSet says which of a block's entries have a value: the entry at offset n is bit n%64 of word n/64.
type blockSet [timeBlock / 64]uint64

func (s *blockSet) add(offset int64)      { s[offset/64] |= 1 << (offset % 64) }
func (s *blockSet) remove(offset int64)   { s[offset/64] &^= 1 << (offset % 64) }
func (s *blockSet) has(offset int64) bool { return s[offset/64]&(1<<(offset%64)) != 0 }

func (s *blockSet) size() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// upTo is the largest offset in the set that is not above the given one, or -1.
func (s *blockSet) upTo(offset int64) int64 {
	word := offset / 64
	rest := s[word] & (^uint64(0) >> (63 - offset%64))
	for rest == 0 {
		if word--; word < 0 {
			return -1
		}
		rest = s[word]
	}
	return word*64 + int64(bits.Len64(rest)) - 1
}

// from is the part of the set at and above an offset.
func (s *blockSet) from(offset int64) blockSet {
	out := *s
	for n := range offset {
		out.remove(n)
	}
	return out
}

// setBytes is the size of a set in the form of bits.
const setBytes = timeBlock / 8

// encode gives the one stored form of a set: nothing if it is the whole block, the offsets in ascending order, a byte each, while they are fewer than the
// bytes of the other form, else its bits, offset 0 first. An empty set has none: its key is not there.
func (s *blockSet) encode() []byte {
	n := s.size()
	if n == timeBlock {
		return []byte{}
	}
	if n >= setBytes {
		out := make([]byte, 0, setBytes)
		for _, word := range s {
			out = binary.LittleEndian.AppendUint64(out, word)
		}
		return out
	}
	out := make([]byte, 0, n)
	for word, rest := range s {
		for ; rest != 0; rest &= rest - 1 {
			out = append(out, byte(word*64+bits.TrailingZeros64(rest)))
		}
	}
	return out
}

// decodeSet takes no other form than the one in which a set is written.
func decodeSet(b []byte) (s blockSet, err error) {
	switch {
	case len(b) == 0:
		return blockSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}, nil
	case len(b) > setBytes:
		return s, fmt.Errorf("%w: a set of audit entries has %d bytes, want at most %d", ErrCorrupt, len(b), setBytes)
	case len(b) == setBytes:
		for word := range s {
			s[word] = binary.LittleEndian.Uint64(b[8*word:])
		}
		if n := s.size(); n < setBytes || n == timeBlock {
			return s, fmt.Errorf("%w: a set of %d audit entries is written as bits", ErrCorrupt, n)
		}
		return s, nil
	}
	for i, offset := range b {
		if i > 0 && offset <= b[i-1] {
			return s, fmt.Errorf("%w: the offsets of a set of audit entries do not ascend", ErrCorrupt)
		}
		s.add(int64(offset))
	}
	return s, nil
}
