package bullet

import "math"

// The ternary score reads of each sample only whether it stands out, and to
// which side. It ranks a gallery before the 4-bit score does.
const (
	lags      = 2*maxLag + 1
	words     = MaxSamples / 64
	standsOut = 2 // least |q|
)

// ternary is a land centred in MaxSamples samples: bit i of word w is sample 64·w + i.
type ternary struct {
	out [words]uint64 // the sample stands out
	low [words]uint64 // and lies below; 0 where it does not stand out
}

// Bit v + 8 is set where a sample v stands out, and where it lies below as well:
// not where it is missing, −8. A table of bits has no branch that is hard to foresee.
const (
	outBits = 0b1111110001111110
	lowBits = 0b0000000001111110
)

func newTernary(l *Land) ternary {
	var t ternary
	offset := (MaxSamples - len(l.q)) / 2
	for i, v := range l.q {
		j := offset + i
		t.out[j/64] |= uint64(outBits>>uint8(v+8)&1) << (j % 64)
		t.low[j/64] |= uint64(lowBits>>uint8(v+8)&1) << (j % 64)
	}
	return t
}

// ternary of heights: those stand out that are nearer to the least such level than
// to the next one.
func (h *heights) ternary() ternary {
	const least = 128*standsOut - 64
	var t ternary
	offset := (MaxSamples - h.n) / 2
	for i, v := range h.v[margin : margin+h.n] {
		j := offset + i
		if v >= least || v <= -least {
			t.out[j/64] |= 1 << (j % 64)
		}
		if v <= -least {
			t.low[j/64] |= 1 << (j % 64)
		}
	}
	return t
}

// probe is a query's land at every lag, word by word, as the kernels read it.
type probe struct {
	out, low [words][probeLags]uint64
}

func newProbe(t ternary) *probe {
	p := new(probe)
	for i := range lags {
		out, low := shift(t.out, i-maxLag), shift(t.low, i-maxLag)
		for w := range words {
			p.out[w][i], p.low[w][i] = out[w], low[w]
		}
	}
	return p
}

// shift moves samples to higher indexes by n, |n| < 64; what leaves the range is
// lost.
func shift(v [words]uint64, n int) [words]uint64 {
	var out [words]uint64
	for w := range out {
		switch {
		case n >= 0:
			out[w] = v[w] << n
			if w > 0 && n > 0 {
				out[w] |= v[w-1] >> (64 - n)
			}
		default:
			out[w] = v[w] >> -n
			if w+1 < words {
				out[w] |= v[w+1] << (64 + n)
			}
		}
	}
	return out
}

// inverseRoot[n] is 1/√n, and 0 for 0.
var inverseRoot = func() (t [MaxSamples + 1]float64) {
	for n := 1; n < len(t); n++ {
		t[n] = 1 / math.Sqrt(float64(n))
	}
	return t
}()

// CoarseScore compares two lands by the samples that stand out: a multiple of
// the standard deviation that chance agreement at one lag has, the maximum over the
// lags of (both − 2·different)/√both, at least 0, where both counts the samples that
// stand out in both lands and different those of them that lie on different sides.
// It is what a gallery's first pass uses; exchanging the lands changes no bit.
func CoarseScore(a, b *Land) float64 {
	if order(a, b) > 0 {
		a, b = b, a
	}
	t := newTernary(b)
	return fastest.best(newProbe(newTernary(a)), &t)
}
