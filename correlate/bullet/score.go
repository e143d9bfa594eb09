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
	k.dots(&dots, a.whole, b.whole, first, dotLags/4)
	best := peak{r: -2}
	for i, dot := range dots[:lags] {
		best.raise(a.whole, b.whole, dot, first+i, least, 2*(first+i))
	}
	if best.r < -1 {
		return LandComparison{} // nothing overlaps
	}
	first = best.at/2 - 1
	k.dots(&dots, a.whole, b.half, first, 1)
	for i, dot := range dots[:2] {
		best.raise(a.whole, b.half, dot, first+i, least, 2*(first+i)+1)
	}
	c := LandComparison{
		R:       best.r,
		Lag:     float64(float64(best.at-(nb-na)) * (SamplePitch / 2)), // from middle to middle
		Overlap: float64(float64(best.overlap) * SamplePitch),
	}
	c.Z = float64(exact.Atanh(min(max(best.r, -largestR), largestR)) * math.Sqrt(c.Overlap/unitOverlap))
	return c
}

// peak is the greatest correlation so far, and where.
type peak struct {
	r       float64
	at      int // lag in halves of a sample
	overlap int
}

// raise looks at a[i] on b[i+d], whose products sum to dot, where at least so many
// samples overlap and neither side is flat. The first of equal ones stays.
func (p *peak) raise(a, b *heights, dot int32, d, least, at int) {
	lo, hi := max(0, -d), min(a.n, b.n-d)
	if hi-lo < least {
		return
	}
	aa, bb := a.energy[hi]-a.energy[lo], b.energy[hi+d]-b.energy[lo+d]
	if aa == 0 || bb == 0 {
		return
	}
	square := float64(int64(aa) * int64(bb))
	if p.r >= 0 {
		// Most lags need no root: surely no greater, whatever the rounding.
		if dot <= 0 || float64(float64(dot)*float64(dot)) < float64(float64(0.999999*float64(p.r*p.r))*square) {
			return
		}
	}
	if r := float64(dot) / math.Sqrt(square); r > p.r {
		*p = peak{r, at, hi - lo}
	}
}
