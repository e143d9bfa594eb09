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

// profile is a land ready for the 4-bit score.
type profile struct {
	land  *Land
	whole heights // the samples, 0 where missing
	half  heights // 16 times the heights half a sample behind each but the last
}

type heights struct {
	v      []int16
	energy []int32 // Σ v² before each
}

func newHeights(v []int16) heights {
	h := heights{v, make([]int32, len(v)+1)}
	for i, x := range v {
		h.energy[i+1] = h.energy[i] + int32(x)*int32(x)
	}
	return h
}

func newProfile(l *Land) profile {
	q := make([]int16, len(l.q)+2) // one more on both sides
	for i, v := range l.q {
		if v != missing {
			q[i+1] = int16(v)
		}
	}
	half := make([]int16, len(l.q)-1)
	for i := range half { // cubic interpolation (Keys 1981)
		half[i] = 9*(q[i+1]+q[i+2]) - q[i] - q[i+3]
	}
	return profile{l, newHeights(q[1 : len(q)-1]), newHeights(half)}
}

// compareProfiles compares in roles that are settled. Striae of 20 µm
// lose half of their correlation where two lands lie half a sample apart, so the
// best lag's neighbours at half a sample are tried as well.
func compareProfiles(a, b profile) LandComparison {
	na, nb := len(a.whole.v), len(b.whole.v)
	shorter := min(na, nb)
	least := min(leastOverlap, (6*shorter+9)/10)
	shift := (nb - na) / 2
	best, at, n := -2.0, 0, 0
	for lag := -maxLag; lag <= maxLag; lag++ {
		if r, overlap := correlate(a.whole, b.whole, lag+shift, least); r > best {
			best, at, n = r, 2*(lag+shift), overlap
		}
	}
	if best < -1 {
		return LandComparison{} // nothing overlaps
	}
	for _, d := range [2]int{at/2 - 1, at / 2} {
		if r, overlap := correlate(a.whole, b.half, d, least); r > best {
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

// correlate a[i] with b[i+d]; below any correlation where fewer than least
// samples overlap or one side is flat.
func correlate(a, b heights, d, least int) (r float64, overlap int) {
	lo, hi := max(0, -d), min(len(a.v), len(b.v)-d)
	if hi-lo < least {
		return -2, 0
	}
	aa, bb := a.energy[hi]-a.energy[lo], b.energy[hi+d]-b.energy[lo+d]
	if aa == 0 || bb == 0 {
		return -2, 0
	}
	return float64(dot(a.v[lo:hi], b.v[lo+d:hi+d])) / math.Sqrt(float64(int64(aa)*int64(bb))), hi - lo
}

func dot(a, b []int16) int32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 int32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += int32(a[i]) * int32(b[i])
		s1 += int32(a[i+1]) * int32(b[i+1])
		s2 += int32(a[i+2]) * int32(b[i+2])
		s3 += int32(a[i+3]) * int32(b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += int32(a[i]) * int32(b[i])
	}
	return s0 + s1 + s2 + s3
}
