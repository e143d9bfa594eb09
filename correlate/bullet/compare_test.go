//go:build !race

package bullet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestPhases(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for n := MinLands; n <= MaxLands; n++ {
		b := randomBullet(r, n)
		for first := range n {
			c := Compare(NewTemplate(b), NewTemplate(worn(r, b, first)))
			if want := (n - first) % n; c.Phase != want || !c.Conclusive || c.Counted != n || c.Score < 0.8 {
				t.Fatalf("%d lands, first %d: phase %d want %d, %+v", n, first, c.Phase, want, c)
			}
			for i, p := range c.Lands {
				if p.A != i+1 || p.B != (i+c.Phase)%n+1 || !p.Counted || p.Overlap < 1000 {
					t.Fatalf("%d lands: pair %+v", n, p)
				}
			}
		}
	}
}

func TestArrangements(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 4 {
		b := randomBullet(r, 6)
		for _, how := range allArrangements {
			other := arranged(worn(r, b, 2), how)
			c := CompareAll(NewTemplate(b), NewTemplate(other))
			if c.Arrangement != how || !c.Conclusive || c.Score < 0.8 {
				t.Errorf("%+v found as %+v: score %.2f contrast %.2f", how, c.Arrangement, c.Score, c.Contrast)
			}
			for _, p := range c.Lands { // formula of Comparison.Phase
				want := (p.A-1+c.Phase)%6 + 1
				if how.Descending {
					want = (c.Phase-p.A+1+6)%6 + 1
				}
				if p.B != want {
					t.Errorf("%+v: land %d on %d, want %d", how, p.A, p.B, want)
				}
			}
			// Two of six lands keep their places when the order turns round.
			if plain := Compare(NewTemplate(b), NewTemplate(other)); how != (Arrangement{}) && plain.Score > c.Score/2 {
				t.Errorf("%+v: as recorded scores %.2f, arranged %.2f", how, plain.Score, c.Score)
			}
		}
	}
}

func bitsOf(v float64) uint64 { return math.Float64bits(v) }

// Both countries find the same of a pair, to the bit.
func TestSymmetry(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	for k := range 24 {
		a := randomBullet(r, 5)
		b := arranged(worn(r, a, k%5), allArrangements[k%4])
		if k%3 == 0 {
			b = randomBullet(r, 5)
		}
		if k%4 == 0 {
			b.lands[k%5] = nil
		}
		for name, do := range map[string]func(a, b *Template) Comparison{"Compare": Compare, "CompareAll": CompareAll} {
			ab, ba := do(NewTemplate(a), NewTemplate(b)), do(NewTemplate(b), NewTemplate(a))
			if bitsOf(ab.Score) != bitsOf(ba.Score) || bitsOf(ab.Contrast) != bitsOf(ba.Contrast) || ab.Arrangement != ba.Arrangement ||
				ab.Counted != ba.Counted || ab.Conclusive != ba.Conclusive || len(ab.Lands) != len(ba.Lands) {
				t.Fatalf("%s: %+v\n%+v", name, ab, ba)
			}
			wantPhase := (5 - ab.Phase) % 5
			if ab.Descending {
				wantPhase = ab.Phase
			}
			if ba.Phase != wantPhase {
				t.Errorf("%s: phase %d, exchanged %d, want %d (%+v)", name, ab.Phase, ba.Phase, wantPhase, ab.Arrangement)
			}
			for _, p := range ab.Lands {
				i := slices.IndexFunc(ba.Lands, func(q LandPair) bool { return q.A == p.B && q.B == p.A })
				if i < 0 {
					t.Fatalf("%s: pair %d-%d is not there exchanged", name, p.A, p.B)
				}
				q := ba.Lands[i]
				lag := -q.Lag
				if ab.Mirrored {
					lag = q.Lag
				}
				if bitsOf(p.Z) != bitsOf(q.Z) || bitsOf(p.R) != bitsOf(q.R) || p.Lag != lag || p.Overlap != q.Overlap || p.Counted != q.Counted {
					t.Errorf("%s: %+v, exchanged %+v", name, p, q)
				}
			}
			if !slices.IsSortedFunc(ba.Lands, func(p, q LandPair) int { return p.A - q.A }) {
				t.Errorf("%s: map is not in the order of A", name)
			}
		}
		other := randomLand(r, 250)
		x, y := CompareLands(a.lands[1], other), CompareLands(other, a.lands[1])
		if y.Lag = negate(y.Lag); x != y {
			t.Errorf("lands: %+v, %+v", x, y)
		}
		if p, q := CoarseScore(a.lands[1], other), CoarseScore(other, a.lands[1]); bitsOf(p) != bitsOf(q) {
			t.Errorf("coarse: %v, %v", p, q)
		}
	}
}

// Where a land is shifted by whole samples the lag tells by how much.
func TestLag(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 4))
	l := randomLand(r, 300)
	for i := range l.q {
		if l.q[i] == missing {
			l.q[i] = 1
		}
	}
	for _, c := range []struct {
		lo, hi int
		lag    float64 // of the part's middle: x in l lies at x + lag in the part
	}{{0, 300, 0}, {20, 300, -62.5}, {0, 280, 62.5}, {0, 299, 3.125}, {50, 300, -156.25}} {
		part, err := newLand(400, slices.Clone(l.q[c.lo:c.hi]))
		if err != nil {
			t.Fatal(err)
		}
		got := CompareLands(l, part)
		if got.R < 0.999 || got.Lag != c.lag || got.Overlap != float64(c.hi-c.lo)*SamplePitch {
			t.Errorf("samples %d to %d: %+v, want lag %v", c.lo, c.hi, got, c.lag)
		}
		want := math.Atanh(0.99) * math.Sqrt(got.Overlap/1500)
		if math.Abs(got.Z-want) > 1e-9 {
			t.Errorf("z %v, want %v", got.Z, want)
		}
	}
}

func TestGateAndContrast(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 5))
	b := randomBullet(r, 6)
	weak := func(b *Bullet, which ...int) *Bullet {
		out := &Bullet{slices.Clone(b.lands)}
		for _, i := range which {
			l := *out.lands[i]
			l.rms = minRMSnm - 1
			out.lands[i] = &l
		}
		return out
	}
	same := weak(b, 0, 1)
	same.lands[5] = nil
	alike := &Bullet{[]*Land{b.lands[0], b.lands[0], b.lands[0], b.lands[0]}}
	for _, c := range []struct {
		what       string
		other      *Bullet
		counted    int
		pairs      int
		conclusive bool
		says       string
	}{
		{"whole", worn(r, b, 0), 6, 6, true, ""},
		{"two weak lands, one missing", same, 3, 5, true, ""},
		{"four weak lands", weak(b, 0, 1, 2, 3), 0, 0, false, "pass the quality gate: 2 and 6 pass"},
		{"other class", randomBullet(r, 5), 0, 0, false, "5 and 6 lands"},
	} {
		got := Compare(NewTemplate(b), NewTemplate(c.other))
		if got.Counted != c.counted || len(got.Lands) != c.pairs || got.Conclusive != c.conclusive || !strings.Contains(strings.Join(got.Reasons, " "), c.says) {
			t.Errorf("%s: %+v", c.what, got)
		}
		if got.Counted == 0 && got.Score != 0 {
			t.Errorf("%s: score %v of nothing", c.what, got.Score)
		}
		for _, p := range got.Lands {
			if want := b.usable(p.A-1) && c.other.usable(p.B-1); p.Counted != want {
				t.Errorf("%s: %+v counted, want %v", c.what, p, want)
			}
		}
	}
	// Lands that are all alike fit at every phase.
	got := Compare(NewTemplate(alike), NewTemplate(alike))
	if got.Conclusive || got.Contrast != 0 || !strings.Contains(fmt.Sprint(got.Reasons), "inconclusive") {
		t.Errorf("four equal lands: %+v", got)
	}
}

func TestGateIsAtTheStatedRMS(t *testing.T) {
	l := randomLand(rand.New(rand.NewPCG(2, 6)), 300)
	for rms, want := range map[uint16]bool{0: false, 249: false, 250: true, 65535: true} {
		l.rms = rms
		if l.Passes() != want || l.RMS() != float64(rms)/1000 {
			t.Errorf("%d nm passes: %v", rms, l.Passes())
		}
	}
}

func TestSamplesAndMirrorImage(t *testing.T) {
	l, err := newLand(300, append(slices.Repeat([]int8{7, missing, -3}, 100), 5))
	if err != nil {
		t.Fatal(err)
	}
	q, known := l.Samples()
	if len(q) != 301 || l.Width() != 301*6.25 || q[0] != 7 || known[1] || q[1] != 0 || q[2] != -3 {
		t.Errorf("%v %v", q[:3], known[:3])
	}
	m, _ := l.Mirrored().Samples()
	slices.Reverse(m)
	if !reflect.DeepEqual(m, q) || !reflect.DeepEqual(l.Mirrored().Mirrored(), l) {
		t.Error("mirror image is not the land read backwards")
	}
}

// The ternary score counts as its formula says.
func TestTernaryByHand(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 7))
	for range 20 {
		a, b := randomLand(r, 200+r.IntN(121)), randomLand(r, 200+r.IntN(121))
		if order(a, b) > 0 {
			a, b = b, a
		}
		centred := func(l *Land) (v [MaxSamples]int) {
			for i, q := range l.q {
				switch {
				case q == missing:
				case q >= standsOut:
					v[(MaxSamples-len(l.q))/2+i] = 1
				case q <= -standsOut:
					v[(MaxSamples-len(l.q))/2+i] = -1
				}
			}
			return v
		}
		x, y := centred(a), centred(b)
		want := math.Inf(-1)
		for lag := -maxLag; lag <= maxLag; lag++ {
			both, sum := 0, 0
			for i := range x {
				if j := i + lag; j >= 0 && j < MaxSamples && x[i] != 0 && y[j] != 0 {
					both++
					sum += x[i] * y[j] // +1 alike, −1 different: both − 2·different
				}
			}
			want = max(want, float64(sum)/math.Sqrt(float64(max(both, 1))))
		}
		if got := CoarseScore(a, b); math.Abs(got-want) > 1e-12 {
			t.Fatalf("%v, by hand %v", got, want)
		}
	}
}
