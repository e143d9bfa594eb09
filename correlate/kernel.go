package correlate

import (
	"math/bits"
	"unsafe"
)

// A kernel is a way of counting bits. Every processor has the plain one; all
// give the same numbers, so which one runs is seen in time alone. Its methods:
//
//   - fewest returns the fewest bits that differ in all eight patches of a probe,
//     over those turns and shifts at which at most limit differ in the first four;
//     none where there are no such;
//   - tally counts what a turned polar code and eight shifted ones have in common
//     and where they differ: acc is common × 8, differ × 8;
//   - agree correlates a whole number of sixteens of marks with a raster; its sums
//     are n, aa, bb, ab of an agreement.
//
// They are no interface: calls that the compiler sees through keep arguments off
// the heap.
type kernel uint8

const (
	kernelPlain kernel = iota
	kernelAVX2
	kernelAVX512 // with VPOPCNTDQ
)

func (k kernel) String() string { return [...]string{"plain", "avx2", "avx512"}[k] }

// probe is an entry's scan code, each patch beside the row of the query's table
// it begins at: rowTurns words per shift, of which turns are read.
type probe struct {
	row        [scanWords]*uint64
	sign, mask [scanWords]uint64
}

const (
	rowTurns = 2 * turns // a row goes round twice, so that a turn need not wrap
	lanes    = 8         // shifts that lie side by side
)

// kernels lists what this processor has, the fastest first.
var kernels = append(platformKernels(), kernelPlain)

// fastest is the kernel everything runs on.
var fastest = kernels[0]

// none is the result of fewest where no pose is promising.
const none = ^uint32(0)

func fewestPlain(p *probe, shifts int, limit uint64) uint32 {
	s0, s1, s2, s3 := p.sign[0], p.sign[1], p.sign[2], p.sign[3]
	m0, m1, m2, m3 := p.mask[0], p.mask[1], p.mask[2], p.mask[3]
	best, most := none, int(limit)
	for s := range shifts {
		r0, r1, r2, r3 := p.at(0, s), p.at(1, s), p.at(2, s), p.at(3, s)
		for k := range turns {
			n := bits.OnesCount64((r0[k]^s0)&m0) + bits.OnesCount64((r1[k]^s1)&m1) +
				bits.OnesCount64((r2[k]^s2)&m2) + bits.OnesCount64((r3[k]^s3)&m3)
			if n > most {
				continue
			}
			for w := scanFirst; w < scanWords; w++ {
				n += bits.OnesCount64((p.at(w, s)[k] ^ p.sign[w]) & p.mask[w])
			}
			best = min(best, uint32(n))
		}
	}
	return best
}

func tallyPlain(acc *[2 * lanes]uint64, query, ref *uint64, rings int) {
	for lane := range lanes {
		common, differ := 0, 0
		for i := range rings * ringWords {
			sign, mask := *word(ref, 2*i), *word(ref, 2*i+1)
			both := *word(query, 2*lanes*i+lanes+lane) & mask
			common += bits.OnesCount64(both)
			differ += bits.OnesCount64((*word(query, 2*lanes*i+lane) ^ sign) & both)
		}
		acc[lane], acc[lanes+lane] = uint64(common), uint64(differ)
	}
}

// at is the row of a patch at a shift.
func (p *probe) at(patch, shift int) *[turns]uint64 {
	return (*[turns]uint64)(unsafe.Pointer(word(p.row[patch], shift*rowTurns)))
}

// word is the i-th of the words that begin at p; the caller knows that it is there.
func word(p *uint64, i int) *uint64 {
	return (*uint64)(unsafe.Add(unsafe.Pointer(p), i*8))
}

func agreePlain(sums *[4]int32, query *raster, marks *mark, n int, at *placing) {
	// The sums stay below 19,600 × 104² < 2³¹.
	var count, aa, bb, ab int32
	for _, m := range unsafe.Slice(marks, n) {
		mx, my := int32(m.x), int32(m.y)
		x := uint32(int32(at.x[0])*mx+int32(at.x[1])*my+at.tx) >> 14
		y := uint32(int32(at.y[0])*mx+int32(at.y[1])*my+at.ty) >> 14
		// A negative coordinate is a huge one here.
		if x >= rasterSide || y >= rasterSide {
			continue
		}
		a, b := int32(m.v), int32(query[y*rasterSide+x])
		// All ones where b is not missing: the branch would be hard to foresee.
		valid := (b | -b) >> 31
		count -= valid
		aa += a * a & valid
		bb += b * b
		ab += a * b
	}
	*sums = [4]int32{count, aa, bb, ab}
}

const countedWords = 4096

// countBits counts the bits of words in the nearest cache.
func countBits(words *[countedWords]uint64) int64 {
	sum := 0
	for i := 0; i < len(words); i += 4 {
		w := words[i : i+4 : i+4]
		sum += bits.OnesCount64(w[0]) + bits.OnesCount64(w[1]) + bits.OnesCount64(w[2]) + bits.OnesCount64(w[3])
	}
	return int64(sum)
}
