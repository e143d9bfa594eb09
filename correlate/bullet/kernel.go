package bullet

import (
	"math/bits"
)

// A kernel is a way of computing over all lags. Every processor has the plain one;
// all give the same bits, so which one runs is seen in time alone. Its methods:
//
//   - dots correlates a land with another at many lags;
//   - best is the ternary score of a query's land and another.
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

// kernels lists what this processor has, the fastest first.
var kernels = append(platformKernels(), kernelPlain)

// fastest is the kernel everything runs on.
var fastest = kernels[0]

const (
	dotLags   = (lags + 3) / 4 * 4 // dots come in fours
	probeLags = (lags + 7) / 8 * 8 // a probe's lags in eights; those that are too many are empty
)

// dotsPlain puts Σ a[i]·b[i+d+l] into out[l], 0 ≤ l < 4·fours, over the samples of
// a. Every sum is below 2³¹: samples of a are at most 896,
// of b 1,120, and there are 320.
func dotsPlain(out *[dotLags]int32, a, b *heights, d, fours int) {
	x := a.v[margin : margin+(a.n+3)/4*4]
	for l := range 4 * fours {
		y := b.v[margin+d+l:][:len(x)]
		var s0, s1, s2, s3 int32
		for i := 0; i+4 <= len(x); i += 4 {
			s0 += int32(x[i]) * int32(y[i])
			s1 += int32(x[i+1]) * int32(y[i+1])
			s2 += int32(x[i+2]) * int32(y[i+2])
			s3 += int32(x[i+3]) * int32(y[i+3])
		}
		out[l] = s0 + s1 + s2 + s3
	}
}

// bestPlain counts five words at once by adding bits in threes (carry-save), which
// leaves three words of each five to be counted.
func bestPlain(p *probe, g *ternary) float64 {
	best := 0.0
	for i := range lags {
		m0, m1, m2, m3, m4 := p.out[0][i]&g.out[0], p.out[1][i]&g.out[1], p.out[2][i]&g.out[2], p.out[3][i]&g.out[3], p.out[4][i]&g.out[4]
		both := count5(m0, m1, m2, m3, m4)
		different := count5((p.low[0][i]^g.low[0])&m0, (p.low[1][i]^g.low[1])&m1, (p.low[2][i]^g.low[2])&m2, (p.low[3][i]^g.low[3])&m3, (p.low[4][i]^g.low[4])&m4)
		if s := float64(float64(both-2*different) * inverseRoot[both]); s > best {
			best = s
		}
	}
	return best
}

func count5(a, b, c, d, e uint64) int {
	u := a ^ b
	ones, twos := u^c, a&b|u&c
	v := ones ^ d
	more := ones&d | v&e
	return bits.OnesCount64(v^e) + 2*(bits.OnesCount64(twos)+bits.OnesCount64(more))
}
