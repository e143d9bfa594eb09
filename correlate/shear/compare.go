package shear

import (
	"fmt"
	"math"
	"slices"

	"proofmark/correlate/exact"
)

const (
	largestR    = 0.99
	unitOverlap = 1000.0 // µm at which the score is the plain Fisher transform
)

// Comparison is what a comparison of two marks found at the best lag.
type Comparison struct {
	Score   float64 `json:"score"`   // artanh(R)·√(overlap / 1,000 µm); 0 where nothing could be compared
	R       float64 `json:"r"`       // normalised correlation of the 4-bit samples
	Overlap float64 `json:"overlap"` // µm
	// Lag in µm: what lies at x from the first mark's middle lies at x + Lag from the
	// second's, or at Lag − x where Reversed.
	Lag       float64  `json:"lag"`
	Reversed  bool     `json:"reversed"` // the second mark read from its other end
	Reasons   []string `json:"reasons,omitempty"`
	Algorithm string   `json:"algorithm"`
}

// Compare finds the lag at which two marks agree best, the second read either way.
// It is symmetric to the bit; exchanging the marks turns Lag round. Marks below the
// quality gate are not compared.
func Compare(a, b *Mark) Comparison {
	if !a.Passes() || !b.Passes() {
		return Comparison{Algorithm: Algorithm, Reasons: []string{fmt.Sprintf("marks of %.2f and %.2f µm RMS, at least %.2f are needed", min(a.RMS(), b.RMS()), max(a.RMS(), b.RMS()), MinRMS)}}
	}
	if order(a, b) > 0 {
		return match(b, a).Exchanged()
	}
	return match(a, b)
}

// Exchanged tells the comparison from the other mark's point of view.
func (c Comparison) Exchanged() Comparison {
	if !c.Reversed && c.Lag != 0 {
		c.Lag = -c.Lag
	}
	return c
}

// order decides the roles in a comparison, so that both countries compute the same.
func order(a, b *Mark) int {
	if c := slices.Compare(a.q, b.q); c != 0 {
		return c
	}
	return int(a.rms) - int(b.rms)
}

// match compares with the roles settled: whole samples first, then the two lags
// half a sample beside the best.
func match(a, b *Mark) Comparison {
	out := Comparison{Algorithm: Algorithm}
	least := leastOverlap(min(len(a.q), len(b.q)))
	found := false
	for _, reversed := range [2]bool{false, true} {
		q := b.q
		if reversed {
			q = slices.Clone(q)
			slices.Reverse(q)
		}
		best, at, overlap := -2.0, 0, 0 // at in half samples
		for lag := least - len(a.q); lag <= len(q)-least; lag++ {
			if r, n := correlation(a.q, q, lag); n >= least && r > best {
				best, at, overlap = r, 2*lag, n
			}
		}
		if best < -1 {
			continue
		}
		half := halfway(q)
		for _, lag := range [2]int{at/2 - 1, at / 2} {
			if r, n := correlation(a.q, half, lag); n >= least && r > best {
				best, at, overlap = r, 2*lag+1, n
			}
		}
		if found && best <= out.R {
			continue
		}
		found = true
		out.R, out.Reversed = best, reversed
		out.Overlap = float64(float64(overlap) * SamplePitch)
		// From middle to middle, in the second mark's own sense.
		out.Lag = float64(float64(at-(len(q)-len(a.q))) * (SamplePitch / 2))
		if reversed && out.Lag != 0 {
			out.Lag = -out.Lag
		}
	}
	if !found {
		out.Reasons = []string{fmt.Sprintf("no lag brings %.0f µm of both marks together", float64(least)*SamplePitch)}
		return out
	}
	out.Score = float64(exact.Atanh(min(max(out.R, -largestR), largestR)) * math.Sqrt(out.Overlap/unitOverlap))
	return out
}

// leastOverlap is the number of samples that two marks must share, the shorter one
// being n long with its gaps: 0.6 of it.
func leastOverlap(n int) int { return max(MinSamples, (6*n+9)/10) }

type height interface{ ~int8 | ~int16 }

// correlation of a[i] with b[i+lag] over the samples that both have; n is their
// number, 0 where one side is flat.
func correlation[A, B height](a []A, b []B, lag int) (r float64, n int) {
	lo, hi := max(0, -lag), min(len(a), len(b)-lag)
	var aa, bb, ab int64
	for i := lo; i < hi; i++ {
		p, q := a[i], b[i+lag]
		if p == A(missing) || q == B(missing) {
			continue
		}
		aa += int64(p) * int64(p)
		bb += int64(q) * int64(q)
		ab += int64(p) * int64(q)
		n++
	}
	if aa == 0 || bb == 0 {
		return 0, 0
	}
	return float64(ab) / math.Sqrt(float64(aa*bb)), n
}

// halfway are 16 times the heights half a sample behind each but the last, by
// cubic interpolation (Keys 1981); missing where a neighbour is. 16 times a height
// is a multiple of 16 or a sum that −8 can be too: it is moved to −7 then.
func halfway(q []int8) []int16 {
	out := make([]int16, max(len(q)-1, 0))
	at := func(i int) int16 {
		if i < 0 || i >= len(q) || q[i] == missing {
			return 0
		}
		return int16(q[i])
	}
	for i := range out {
		if q[i] == missing || q[i+1] == missing {
			out[i] = int16(missing)
			continue
		}
		v := 9*(at(i)+at(i+1)) - at(i-1) - at(i+2)
		if v == int16(missing) {
			v++
		}
		out[i] = v
	}
	return out
}
