package bullet

import "math"

// stretches are told in steps of half a percent, 0 for none.
const (
	mostStretch   = 6   // 3 %
	stretchUnit   = 400 // k steps are the factor (400 + k) / (400 − k)
	coarseStretch = 2   // 1 %: the steps that are tried at every phase
)

// quarters are the weights of cubic interpolation (Keys 1981) at quarters of a
// sample, in 1/128.
var quarters = [4][4]int16{{0, 128, 0, 0}, {-9, 111, 29, -3}, {-8, 72, 72, -8}, {-3, 29, 111, -9}}

// A row of heights lies between zeros, so that a kernel may read beyond both ends.
const (
	margin  = maxLag + (MaxSamples-leastSamples)/2 // before it
	rowSize = 2*margin + MaxSamples + 24           // behind it lanes of a kernel more
)

// heights are samples across a land in 1/128 of a signature's steps, the missing
// ones 0.
type heights struct {
	n      int
	v      [rowSize]int16 // the first at margin
	energy [MaxSamples + 1]int32
}

// profile is a land ready for the 4-bit score.
type profile struct {
	land  *Land
	whole *heights // the samples
	half  *heights // the heights half a sample behind each but the last
}

func newProfile(l *Land) profile {
	p := profile{l, new(heights), new(heights)}
	p.fill(0)
	return p
}

// fill reads the land as if it had been recorded with lengths across that are k
// steps too great, which it takes off about its middle.
func (p profile) fill(k int) {
	l := p.land
	var q [MaxSamples + 3]int16 // one more before, two behind
	for i, v := range l.q {
		if v != missing {
			q[i+1] = int16(v)
		}
	}
	over, under := stretchUnit+k, stretchUnit-k
	last := len(l.q) - 1
	n := min(last*under/over+1, MaxSamples)
	*p.whole, *p.half = heights{n: n}, heights{n: n - 1}
	for i := range n {
		// In quarters of a sample, rounded: the middle 2·last, and 2·(2i − n + 1)·over/under from it.
		at := floorDiv(2*(2*last*under+2*(2*i-n+1)*over)+under, 2*under)
		p.whole.v[margin+i] = between(&q, at)
		if i < n-1 {
			p.half.v[margin+i] = between(&q, at+2)
		}
	}
	p.whole.sum()
	p.half.sum()
}

func floorDiv(a, b int) int {
	d := a / b
	if a%b < 0 {
		d--
	}
	return d
}

// between samples: at is in quarters; q has one sample more before the first.
func between(q *[MaxSamples + 3]int16, at int) int16 {
	if at < 0 || at/4+4 > len(q) {
		return 0
	}
	w, s := &quarters[at%4], q[at/4:at/4+4]
	return w[0]*s[0] + w[1]*s[1] + w[2]*s[2] + w[3]*s[3]
}

func (h *heights) sum() {
	for i := range h.n {
		v := int32(h.v[margin+i])
		h.energy[i+1] = h.energy[i] + v*v
	}
}

// correlation of a[i] with b[i+d] whose products sum to dot; below any correlation
// where fewer than least samples overlap or one side is flat.
func correlation(a, b *heights, dot int32, d, least int) (r float64, overlap int) {
	lo, hi := max(0, -d), min(a.n, b.n-d)
	if hi-lo < least {
		return -2, 0
	}
	aa, bb := a.energy[hi]-a.energy[lo], b.energy[hi+d]-b.energy[lo+d]
	if aa == 0 || bb == 0 {
		return -2, 0
	}
	return float64(dot) / math.Sqrt(float64(int64(aa)*int64(bb))), hi - lo
}
