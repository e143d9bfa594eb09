package bullet

import (
	"bytes"
	"math"
	"unsafe"

	"proofmark/correlate/exact"
)

// Scores of two lands run over lags of up to 250 µm either way: lands are
// centred between their shoulders, which are found to within that.
const (
	maxLag       = 40  // samples
	leastOverlap = 112 // samples, 700 µm
	overlapShare = 0.6 // of the shorter land
	largestR     = 0.99
	unitOverlap  = 1500.0 // µm at which z is the plain Fisher transform
)

// LandComparison is what a comparison of two lands found at the best lag.
type LandComparison struct {
	Z       float64 `json:"z"`       // artanh(R)·√(overlap / 1,500 µm)
	R       float64 `json:"r"`       // normalised correlation of the 4-bit samples
	Lag     float64 `json:"lag"`     // µm: x of the first land lies at x + Lag from the second's middle
	Overlap float64 `json:"overlap"` // µm
}

// CompareLands finds the lag at which two lands agree best. Exchanging them
// changes the sign of Lag and no other bit. The quality gate is the caller's to
// mind: see Land.Passes.
func CompareLands(a, b *Land) LandComparison { return newProfile(a).compare(newProfile(b)) }

func (p profile) compare(q profile) LandComparison {
	if order(p.land, q.land) > 0 {
		c := compareProfiles(q, p)
		c.Lag = negate(c.Lag)
		return c
	}
	return compareProfiles(p, q)
}

// negate without making a negative zero, which is a different bit pattern.
func negate(v float64) float64 {
	if v == 0 {
		return 0
	}
	return -v
}

// order of two lands by their samples: it decides the roles in a comparison, so
// that both countries compute the same.
func order(a, b *Land) int {
	view := func(q []int8) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(q))), len(q)) }
	if c := bytes.Compare(view(a.q), view(b.q)); c != 0 {
		return c
	}
	return int(a.rms) - int(b.rms)
}

// compareProfiles compares in roles that are settled. Striae of 20 µm
// lose half of their correlation where two lands lie half a sample apart, so the
// best lag's neighbours at half a sample are tried as well.
func compareProfiles(a, b profile) LandComparison { return fastest.compare(a, b) }

func (k kernel) compare(a, b profile) LandComparison {
	na, nb := a.whole.n, b.whole.n
	least := min(leastOverlap, (6*min(na, nb)+9)/10)
	first := (nb-na)/2 - maxLag
	var dots [dotLags]int32
	k.dots(&dots, a.whole, b.whole, first)
	best, at, n := -2.0, 0, 0
	for i, dot := range dots[:lags] {
		if dot <= 0 && best >= 0 {
			continue // its r is not the greatest
		}
		if r, overlap := correlation(a.whole, b.whole, dot, first+i, least); r > best {
			best, at, n = r, 2*(first+i), overlap
		}
	}
	if best < -1 {
		return LandComparison{} // nothing overlaps
	}
	for _, d := range [2]int{at/2 - 1, at / 2} {
		dot := dotShifted(a.whole, b.half, d)
		if r, overlap := correlation(a.whole, b.half, dot, d, least); r > best {
			best, at, n = r, 2*d+1, overlap
		}
	}
	c := LandComparison{
		R:       best,
		Lag:     float64(float64(at-(nb-na)) * (SamplePitch / 2)), // from middle to middle
		Overlap: float64(float64(n) * SamplePitch),
	}
	c.Z = float64(exact.Atanh(min(max(best, -largestR), largestR)) * math.Sqrt(c.Overlap/unitOverlap))
	return c
}

// dotShifted is Σ a[i]·b[i+d].
func dotShifted(a, b *heights, d int) int32 {
	x := a.v[margin : margin+a.n]
	y := b.v[margin+d:][:len(x)]
	var s0, s1 int32
	i := 0
	for ; i+2 <= len(x); i += 2 {
		s0 += int32(x[i]) * int32(y[i])
		s1 += int32(x[i+1]) * int32(y[i+1])
	}
	for ; i < len(x); i++ {
		s0 += int32(x[i]) * int32(y[i])
	}
	return s0 + s1
}
