package bullet

import (
	"math"
	"slices"

	"proofmark/correlate/exact"
)

// line is a profile across the striae: heights in µm at workPitch.
type line struct {
	z  []float64 // 0 where missing
	ok []bool
}

func newLine(n int) line { return line{make([]float64, n), make([]bool, n)} }

// workPitch of profiles in µm: a quarter of a signature's sample.
const workPitch = SamplePitch / 4

// cutoff is σ/λ of a Gaussian that passes half of the amplitude at wavelength λ:
// √(ln 2 / 2) / π (ISO 16610-21).
const cutoff = 0.18738

// gaussian returns the right half of a Gaussian of σ µm, three σ long.
func gaussian(sigma float64) []float64 {
	k := make([]float64, int(3*sigma/workPitch)+1)
	for i := range k {
		t := float64(float64(i)*workPitch) / sigma
		k[i] = exact.ExpNeg(-float64(t*t) / 2)
	}
	return k
}

var (
	alignShort = gaussian(cutoff * 30)
	alignLong  = gaussian(cutoff * 250)
	markShort  = gaussian(cutoff * 20)
	markLong   = gaussian(cutoff * 120)
	shoulder   = gaussian(15)
)

// smooth puts the masked Gaussian mean of l into dst: missing points weigh
// nothing and stay missing.
func (l line) smooth(dst, k []float64) {
	n := len(l.z)
	reach := len(k) - 1
	total := k[0]
	for _, w := range k[1:] {
		total += float64(2 * w)
	}
	hole := -1 // last missing point up to i + reach
	for j := 0; j < min(reach, n); j++ {
		if !l.ok[j] {
			hole = j
		}
	}
	for i := range l.z {
		if j := i + reach; j < n && !l.ok[j] {
			hole = j
		}
		if !l.ok[i] {
			dst[i] = 0
			continue
		}
		sum := float64(k[0] * l.z[i])
		if i >= reach && i+reach < n && hole < i-reach {
			left, right := l.z[i-reach:i], l.z[i+1:i+1+reach]
			for d, w := range k[1:] {
				sum += float64(w * (left[reach-1-d] + right[d]))
			}
			dst[i] = sum / total
			continue
		}
		weight := k[0]
		for d := 1; d <= reach; d++ {
			if j := i - d; j >= 0 && l.ok[j] {
				sum += float64(k[d] * l.z[j])
				weight += k[d]
			}
			if j := i + d; j < n && l.ok[j] {
				sum += float64(k[d] * l.z[j])
				weight += k[d]
			}
		}
		dst[i] = sum / weight
	}
}

// bandPass returns what the short kernel passes and the long one does not.
func (l line) bandPass(short, long []float64) line {
	out := line{make([]float64, len(l.z)), l.ok}
	l.smooth(out.z, short)
	form := make([]float64, len(l.z))
	l.smooth(form, long)
	for i := range form {
		out.z[i] -= form[i]
	}
	return out
}

// median of values, which it reorders; 0 for none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	m := len(v) / 2
	upper := nth(v, m)
	if len(v)%2 == 1 {
		return upper
	}
	return (slices.Max(v[:m]) + upper) / 2
}

// nth puts the n-th smallest value at its place, smaller ones before it, and
// returns it (Hoare 1961).
func nth(v []float64, n int) float64 {
	lo, hi := 0, len(v)-1
	for hi-lo > 12 {
		pivot := max(min(v[lo], v[hi]), min(max(v[lo], v[hi]), v[(lo+hi)/2]))
		i, j := lo, hi
		for i <= j {
			for v[i] < pivot {
				i++
			}
			for v[j] > pivot {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i++
				j--
			}
		}
		switch {
		case n <= j:
			hi = j
		case n >= i:
			lo = i
		default:
			return v[n]
		}
	}
	slices.Sort(v[lo : hi+1])
	return v[n]
}

// ncc is the normalised correlation of a with b shifted by lag points, a[i]
// against b[i+lag], over the points lo ≤ i < hi of a; 0 for fewer than least.
func ncc(a, b line, lag, lo, hi, least int) float64 {
	lo, hi = max(lo, -lag), min(hi, len(b.z)-lag)
	n := 0
	var ab, aa, bb float64
	for i := lo; i < hi; i++ {
		if !a.ok[i] || !b.ok[i+lag] {
			continue
		}
		p, q := a.z[i], b.z[i+lag]
		ab += float64(p * q)
		aa += float64(p * p)
		bb += float64(q * q)
		n++
	}
	if n < least || aa <= 0 || bb <= 0 {
		return 0
	}
	return ab / float64(math.Sqrt(aa)*math.Sqrt(bb))
}
