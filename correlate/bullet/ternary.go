package bullet

import (
	"math"
	"math/bits"
)

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

func newTernary(l *Land) ternary {
	var t ternary
	offset := (MaxSamples - len(l.q)) / 2
	for i, v := range l.q {
		if v == missing || (v < standsOut && v > -standsOut) {
			continue
		}
		j := offset + i
		t.out[j/64] |= 1 << (j % 64)
		if v < 0 {
			t.low[j/64] |= 1 << (j % 64)
		}
	}
	return t
}

// probe is a query's land at every lag.
type probe [lags]ternary

func newProbe(l *Land) *probe {
	t := newTernary(l)
	p := new(probe)
	for i := range p {
		p[i] = ternary{shift(t.out, i-maxLag), shift(t.low, i-maxLag)}
	}
	return p
}

// shift moves samples to higher indexes by n; what leaves the range is lost.
func shift(v [words]uint64, n int) [words]uint64 {
	var out [words]uint64
	for i := range MaxSamples {
		if j := i - n; j >= 0 && j < MaxSamples && v[j/64]>>(j%64)&1 != 0 {
			out[i/64] |= 1 << (i % 64)
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

// against returns the score of a land: the maximum over the lags of
// (both − 2·different)/√both, where both counts the samples that stand out in
// both lands and different those of them that lie on different sides. For lands
// of different barrels it is about the maximum of 81 dependent normal variables.
func (p *probe) against(g *ternary) float64 {
	best := math.Inf(-1)
	for i := range p {
		q := &p[i]
		m0, m1, m2, m3, m4 := q.out[0]&g.out[0], q.out[1]&g.out[1], q.out[2]&g.out[2], q.out[3]&g.out[3], q.out[4]&g.out[4]
		both := bits.OnesCount64(m0) + bits.OnesCount64(m1) + bits.OnesCount64(m2) + bits.OnesCount64(m3) + bits.OnesCount64(m4)
		different := bits.OnesCount64((q.low[0]^g.low[0])&m0) + bits.OnesCount64((q.low[1]^g.low[1])&m1) +
			bits.OnesCount64((q.low[2]^g.low[2])&m2) + bits.OnesCount64((q.low[3]^g.low[3])&m3) + bits.OnesCount64((q.low[4]^g.low[4])&m4)
		if s := float64(float64(both-2*different) * inverseRoot[both]); s > best {
			best = s
		}
	}
	return best
}

// CoarseScore compares two lands by the samples that stand out: a multiple of
// the standard deviation that chance agreement at one lag has. It is what a
// gallery's first pass uses; exchanging the lands changes no bit.
func CoarseScore(a, b *Land) float64 {
	if order(a, b) > 0 {
		a, b = b, a
	}
	t := newTernary(b)
	return newProbe(a).against(&t)
}
