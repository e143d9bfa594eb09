package bullet

import (
	"bytes"
	"math"
	"unsafe"
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
func CompareLands(a, b *Land) LandComparison {
	x, y := newProfile(a), newProfile(b)
	if order(a, b) > 0 {
		c := compareProfiles(y, x)
		c.Lag = negate(c.Lag)
		return c
	}
	return compareProfiles(x, y)
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
	q      []int16 // 0 where missing
	energy []int32 // Σ q² before each sample
}

func newProfile(l *Land) profile {
	p := profile{make([]int16, len(l.q)), make([]int32, len(l.q)+1)}
	for i, v := range l.q {
		if v == missing {
			v = 0
		}
		p.q[i] = int16(v)
		p.energy[i+1] = p.energy[i] + int32(v)*int32(v)
	}
	return p
}

// compareProfiles is CompareLands for roles that are settled.
func compareProfiles(a, b profile) LandComparison {
	shorter := min(len(a.q), len(b.q))
	least := min(leastOverlap, (6*shorter+9)/10)
	// Lags are counted between middles; in half samples these may be off by one,
	// so both profiles' first samples are the origin: j = i + lag + shift.
	shift := (len(b.q) - len(a.q)) / 2
	best := LandComparison{R: -2}
	for lag := -maxLag; lag <= maxLag; lag++ {
		d := lag + shift
		lo, hi := max(0, -d), min(len(a.q), len(b.q)-d)
		if hi-lo < least {
			continue
		}
		aa, bb := a.energy[hi]-a.energy[lo], b.energy[hi+d]-b.energy[lo+d]
		if aa == 0 || bb == 0 {
			continue
		}
		r := float64(dot(a.q[lo:hi], b.q[lo+d:hi+d])) / math.Sqrt(float64(int64(aa)*int64(bb)))
		if r > best.R {
			// From middle to middle, which may lie half a sample off the grid.
			middles := float64(2*d-(len(b.q)-len(a.q))) / 2
			best = LandComparison{R: r, Lag: float64(middles * SamplePitch), Overlap: float64(float64(hi-lo) * SamplePitch)}
		}
	}
	if best.R < -1 {
		return LandComparison{} // nothing overlaps
	}
	best.Z = float64(atanh(min(max(best.R, -largestR), largestR)) * math.Sqrt(best.Overlap/unitOverlap))
	return best
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
