package bullet

import "math"

const (
	fitRounds     = 12
	fitLimit      = 4.0
	fitNoise      = 0.3  // µm
	shoulderRise  = 10.0 // µm
	madToSigma    = 1.4826
	centralShare  = 0.6
	leastPoints   = 160 // of a profile, 250 µm
	fallbackShare = 2.0 / 3
)

// limits are the first point of a land and the one after its last.
type limits struct {
	lo, hi int
	// found tells on which sides a groove's shoulder ended the land.
	foundLo, foundHi bool
	fallback         bool // no plausible shoulders: the central two thirds
}

// parabola is c[0] + c[1]·t + c[2]·t² with t from −1 to 1 over the profile.
type parabola struct {
	c         [3]float64
	mid, half float64
}

func (p parabola) at(i int) float64 {
	t := (float64(i) - p.mid) / p.half
	return p.c[0] + float64(t*(p.c[1]+float64(t*p.c[2])))
}

// fit is Tukey's biweight by iteratively re-weighted least squares on the points
// lo ≤ i < hi, started on the points from lo0 to hi0 (Holland and Welsch 1977).
func fit(l line, lo, hi, lo0, hi0, rounds int) (parabola, bool) {
	p := parabola{mid: float64(lo+hi-1) / 2, half: max(float64(hi-lo)/2, 1)}
	weight := make([]float64, hi-lo)
	for i := range weight {
		if l.ok[lo+i] && lo+i >= lo0 && lo+i < hi0 {
			weight[i] = 1
		}
	}
	residuals := make([]float64, 0, hi-lo)
	for round := 0; ; round++ {
		if !p.solve(l, lo, weight) {
			return p, false
		}
		if round == rounds {
			return p, true
		}
		residuals = residuals[:0]
		for i := lo; i < hi; i++ {
			if l.ok[i] {
				residuals = append(residuals, math.Abs(l.z[i]-p.at(i)))
			}
		}
		c := float64(fitLimit * (float64(madToSigma*median(residuals)) + fitNoise))
		for i := range weight {
			weight[i] = 0
			if u := (l.z[lo+i] - p.at(lo+i)) / c; l.ok[lo+i] && u > -1 && u < 1 {
				w := 1 - float64(u*u)
				weight[i] = float64(w * w)
			}
		}
	}
}

// solve sets the coefficients by weighted least squares; false where the points
// do not determine them.
func (p *parabola) solve(l line, lo int, weight []float64) bool {
	var s [5]float64 // Σ w·t^k
	var r [3]float64 // Σ w·z·t^k
	n := 0
	for i, w := range weight {
		if w == 0 {
			continue
		}
		n++
		t := (float64(lo+i) - p.mid) / p.half
		z := float64(w * l.z[lo+i])
		for k := range s {
			s[k] += w
			if k < len(r) {
				r[k] += z
				z = float64(z * t)
			}
			w = float64(w * t)
		}
	}
	if n < leastPoints/2 {
		return false
	}
	m := [3][4]float64{{s[0], s[1], s[2], r[0]}, {s[1], s[2], s[3], r[1]}, {s[2], s[3], s[4], r[2]}}
	// A normal matrix is positive definite: elimination needs no pivoting.
	for i := range 3 {
		if !(m[i][i] > 1e-12*s[0]) {
			return false
		}
		for j := i + 1; j < 3; j++ {
			f := m[j][i] / m[i][i]
			for k := i; k < 4; k++ {
				m[j][k] -= float64(f * m[i][k])
			}
		}
	}
	for i := 2; i >= 0; i-- {
		v := m[i][3]
		for k := i + 1; k < 3; k++ {
			v -= float64(m[i][k] * p.c[k])
		}
		p.c[i] = v / m[i][i]
	}
	return true
}

// land finds the shoulders of the grooves on both sides.
func land(l line) (limits, bool) {
	first, last := 0, len(l.z)
	for first < last && !l.ok[first] {
		first++
	}
	for last > first && !l.ok[last-1] {
		last--
	}
	n := last - first
	if n < leastPoints {
		return limits{}, false
	}
	trim := int(float64(float64(n)*(1-centralShare)) / 2)
	p, ok := fit(l, first, last, first+trim, last-trim, fitRounds)
	if !ok {
		return limits{}, false
	}
	residual := line{make([]float64, len(l.z)), l.ok}
	for i := first; i < last; i++ {
		if l.ok[i] {
			residual.z[i] = l.z[i] - p.at(i)
		}
	}
	smooth := make([]float64, len(l.z))
	residual.smooth(smooth, shoulder)
	mid := first + n/2
	b := limits{lo: first, hi: last}
	for i := mid; i >= first; i-- {
		if smooth[i] > shoulderRise {
			b.lo, b.foundLo = i+1, true
			break
		}
	}
	for i := mid; i < last; i++ {
		if smooth[i] > shoulderRise {
			b.hi, b.foundHi = i, true
			break
		}
	}
	if 3*(b.hi-b.lo) < n {
		cut := int(float64(float64(n)*(1-fallbackShare)) / 2)
		b = limits{lo: first + cut, hi: last - cut, fallback: true}
	}
	return b, true
}
