package bullet

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
	p.fill()
	return p
}

// fill reads the land as it was recorded.
func (p profile) fill() {
	var row quarterRow
	row.interpolate(p.land)
	p.stretch(&row, 0)
}

// quarterRow is a land interpolated at every quarter of a sample, from the first
// sample.
type quarterRow [4*MaxSamples + 4]int16

func (row *quarterRow) interpolate(l *Land) {
	var q [MaxSamples + 3]int16 // one sample more before, two behind
	for i, v := range l.q {
		if v != missing {
			q[i+1] = int16(v)
		}
	}
	for i := range l.q {
		s := q[i : i+4]
		for k, w := range &quarters {
			row[4*i+k] = w[0]*s[0] + w[1]*s[1] + w[2]*s[2] + w[3]*s[3]
		}
	}
}

// stretch reads the land as if it had been recorded with lengths across that are k
// steps too great, which it takes off about its middle.
func (p profile) stretch(row *quarterRow, k int) {
	over, under := stretchUnit+k, stretchUnit-k
	last := len(p.land.q) - 1
	n := min(last*under/over+1, MaxSamples)
	p.whole.clear(n)
	p.half.clear(n - 1)
	// In quarters of a sample, rounded: the middle 2·last, and 2·(2i − n + 1)·over/under
	// from it; from one to the next 4·over/under, of which whole and rest are carried on.
	at := 2*(2*last*under-2*(n-1)*over) + under
	rest := at % (2 * under)
	if rest < 0 {
		rest += 2 * under
	}
	at = (at - rest) / (2 * under)
	whole, half := p.whole.v[margin:margin+n], p.half.v[margin:margin+n-1]
	for i := range whole {
		whole[i] = row[at]
		if i < len(half) {
			half[i] = row[at+2]
		}
		rest += 8 * over
		at += rest / (2 * under)
		rest %= 2 * under
	}
	p.whole.sum()
	p.half.sum()
}

// clear makes room for n heights.
func (h *heights) clear(n int) {
	clear(h.v[margin+n : margin+max(n, h.n)])
	h.n = n
}

func (h *heights) sum() {
	for i := range h.n {
		v := int32(h.v[margin+i])
		h.energy[i+1] = h.energy[i] + v*v
	}
}
