package bullet

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Every kernel correlates as a loop over samples does, at every lag.
func TestKernelsCorrelateAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	for round := range 200 {
		a := newProfile(randomLand(r, 80+r.IntN(MaxSamples-79)))
		l := randomLand(r, 80+r.IntN(MaxSamples-79))
		if round%5 == 0 { // the greatest sums there are
			for i := range l.q {
				l.q[i], a.land.q[i%len(a.land.q)] = int8(7-14*(i&1)), int8(7-14*(i&1))
			}
			a.fill()
		}
		b := newProfile(l)
		var row quarterRow
		row.interpolate(l)
		b.stretch(&row, r.IntN(2*mostStretch+1)-mostStretch)
		d := (b.whole.n-a.whole.n)/2 - maxLag
		for _, k := range kernels {
			var got [dotLags]int32
			k.dots(&got, a.whole, b.whole, d, dotLags/4)
			for lag := range dotLags {
				want := 0
				for i := range a.whole.n {
					if j := i + d + lag; j >= 0 && j < b.whole.n {
						want += int(a.whole.v[margin+i]) * int(b.whole.v[margin+j])
					}
				}
				if int(got[lag]) != want {
					t.Fatalf("%v: %d and %d samples, lag %d: %d, want %d", k, a.whole.n, b.whole.n, d+lag, got[lag], want)
				}
			}
			if x, y := k.compare(a, b), kernelPlain.compare(a, b); x != y {
				t.Fatalf("%v: %+v, plain %+v", k, x, y)
			}
		}
	}
}

// Every kernel finds the same ternary score to the bit, also of lands that hardly
// stand out and of words that no land makes.
func TestKernelsCountAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 2))
	word := func() uint64 {
		switch r.IntN(5) {
		case 0:
			return 0
		case 1:
			return ^uint64(0)
		case 2:
			return r.Uint64() & r.Uint64() & r.Uint64()
		}
		return r.Uint64()
	}
	draw := func() (x ternary) {
		for w := range words {
			x.out[w] = word()
			x.low[w] = word() & x.out[w]
		}
		return x
	}
	for round := range 2000 {
		q, g := draw(), draw()
		if round%3 == 0 {
			q, g = newTernary(randomLand(r, 250)), newTernary(randomLand(r, 300))
		}
		p := newProbe(q)
		want := 0.0
		for lag := -maxLag; lag <= maxLag; lag++ {
			both, different := 0, 0
			for i := range MaxSamples {
				j := i + lag
				if j < 0 || j >= MaxSamples || q.out[i/64]>>(i%64)&1 == 0 || g.out[j/64]>>(j%64)&1 == 0 {
					continue
				}
				both++
				if q.low[i/64]>>(i%64)&1 != g.low[j/64]>>(j%64)&1 {
					different++
				}
			}
			if both > 0 {
				want = max(want, float64(both-2*different)*(1/math.Sqrt(float64(both))))
			}
		}
		for _, k := range kernels {
			if got := k.best(p, &g); math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("%v: %v, want %v", k, got, want)
			}
		}
	}
}
