package correlate

import (
	"math/bits"
	"unsafe"
)

// A kernel is a way of counting bits. Every processor has the plain one; all
// give the same numbers, so which one runs is seen in time alone. Its methods:
//
//   - vote counts, for each of 64 × lanes poses, the spots of a code that do not
//     agree with a column of a scan table, see votes;
//   - tally counts what a turned polar code and eight shifted ones have in common
//     and where they differ: acc is common × 8, differ × 8, told for the first so many of the eight;
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

// lanes are words that lie side by side: shifts of a sweep, and in a scan what its
// columns say.
const lanes = 8

// kernels lists what this processor has, the fastest first.
var kernels = append(platformKernels(), kernelPlain)

// fastest is the kernel everything runs on.
var fastest = kernels[0]

func votePlain(v *votes, column *uint64, spots *[scanSpots]uint16) {
	for lane := range lanes {
		at := word(column, lane)
		peaks := countHalf(at, (*[scanHalf]uint16)(spots[:]))
		valleys := countHalf(at, (*[scanHalf]uint16)(spots[scanHalf:]))
		// 255 less the peaks that agree, and the valleys that do not.
		carry := uint64(0)
		for p := range peaks {
			v[p][lane], carry = add(^peaks[p], valleys[p], carry)
		}
		v[votePlanes-1][lane] = carry
	}
}

// countHalf counts at how many of its spots each pose has a set bit; plane p of the
// result is worth 2ᵖ. Of three bits of equal weight, sum and carry make two: a count
// of many takes 5 operations a word. Eight words at a time leave the registers room.
func countHalf(at *uint64, spots *[scanHalf]uint16) (planes [votePlanes - 1]uint64) {
	var p0, p1, p2 uint64
	var out [scanHalf / 8]uint64 // of weight 8
	for i := range out {
		s := (*[8]uint16)(spots[8*i:])
		var a, b, c uint64
		p0, a = add(p0, *word(at, int(s[0])), *word(at, int(s[1])))
		p0, b = add(p0, *word(at, int(s[2])), *word(at, int(s[3])))
		p1, a = add(p1, a, b)
		p0, b = add(p0, *word(at, int(s[4])), *word(at, int(s[5])))
		p0, c = add(p0, *word(at, int(s[6])), *word(at, int(s[7])))
		p1, b = add(p1, b, c)
		p2, out[i] = add(p2, a, b)
	}
	planes[0], planes[1], planes[2] = p0, p1, p2
	for p := 3; p < len(planes); p++ {
		var sum uint64
		for i := range len(out) >> (p - 2) {
			sum, out[i] = add(sum, out[2*i], out[2*i+1])
		}
		if p == len(planes)-1 { // the carries of 16 end in one
			sum = out[0]
		}
		planes[p] = sum
	}
	return planes
}

// add adds three bits at each place.
func add(a, b, c uint64) (sum, carry uint64) {
	d := b ^ c
	return a ^ d, b&c | a&d
}

// tallyPlain leaves out the lanes beyond used. It counts the words of a ring together:
// each count of bits asks whether the processor can, and keeps registers free for where
// it cannot.
func tallyPlain(acc *tallies, query, ref *uint64, rings, used int) {
	for lane := range used {
		common, differ := 0, 0
		for ring := range rings {
			q, r := word(query, 2*lanes*ringWords*ring+lane), word(ref, 2*ringWords*ring)
			m0 := *word(q, lanes) & *word(r, 1)
			d0 := (*q ^ *r) & m0
			m1 := *word(q, 3*lanes) & *word(r, 3)
			d1 := (*word(q, 2*lanes) ^ *word(r, 2)) & m1
			m2 := *word(q, 5*lanes) & *word(r, 5)
			d2 := (*word(q, 4*lanes) ^ *word(r, 4)) & m2
			common += bits.OnesCount64(m0) + bits.OnesCount64(m1) + bits.OnesCount64(m2)
			differ += bits.OnesCount64(d0) + bits.OnesCount64(d1) + bits.OnesCount64(d2)
		}
		acc[lane], acc[lanes+lane] = uint64(common), uint64(differ)
	}
}

// word is the i-th of the words that begin at p; the caller knows that it is there.
func word(p *uint64, i int) *uint64 {
	return (*uint64)(unsafe.Add(unsafe.Pointer(p), i*8))
}

// agreePlain keeps both coordinates in one word, and two sums in another, so that one
// multiplication does for two.
func agreePlain(sums *[4]int32, query *raster, marks *mark, n int, at *placing) {
	// What lies in the lower half must not borrow from the upper one: X is made positive
	// by whole points, and the sums stay below 19,600 × 104² < 2³¹.
	const bias = 1 << 30
	perX := int64(at.x[0]) + int64(at.y[0])<<32
	perY := int64(at.x[1]) + int64(at.y[1])<<32
	origin := int64(at.tx) + bias + int64(at.ty)<<32
	var ofMarks, ofQuery int64 // aa and n, ab and bb
	all := unsafe.Slice(marks, n)
	for i := range all {
		m := &all[i]
		p := perX*int64(m.x) + (perY*int64(m.y) + origin)
		x, y := uint32(p)>>14-bias>>14, uint32(uint64(p)>>46)
		// A negative coordinate is a huge one here.
		if x >= rasterSide || y >= rasterSide {
			continue
		}
		// Both are on the raster: the compiler need not look again.
		b := int64(*(*int8)(unsafe.Add(unsafe.Pointer(query), int(y)*rasterSide+int(x))))
		// All ones where b is not missing: the branch would be hard to foresee.
		valid := (b | -b) >> 63
		high := int64(m.v) << 32
		ofQuery += b * (high + b)
		ofMarks += (high*int64(m.v) + 1) & valid
	}
	*sums = [4]int32{int32(ofMarks), int32(ofMarks >> 32), int32(ofQuery), int32(ofQuery >> 32)}
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
