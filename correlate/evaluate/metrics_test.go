package evaluate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"proofmark/correlate/calibrate"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func TestSeparationByHand(t *testing.T) {
	for _, c := range []struct {
		name                string
		same, different     []float64
		auc, eer, foundAt0  float64
		thresholds, inOrder int
	}{
		{"apart", []float64{3, 4}, []float64{1, 2}, 1, 0, 1, 5, 0},
		{"swapped", []float64{1, 2}, []float64{3, 4}, 0, 1, 0, 5, 0},
		// Pairs of (same, different) that are in order: 3>2, 5>2, 5>4; 3<4.
		{"one crossing", []float64{3, 5}, []float64{2, 4}, 0.75, 0.5, 0.5, 5, 0},
		// Two of eight wrong in order, and a tie that counts half.
		{"tie", []float64{2, 3}, []float64{1, 2}, 0.875, 0.25, 0.5, 4, 0},
		{"all equal", []float64{1, 1}, []float64{1, 1}, 0.5, 0.5, 0, 2, 0},
		// Thresholds 9 8 7 6: misses 2/3 1/3 1/3 0, false alarms 0 0 1/2 1/2 1.
		{"uneven", []float64{9, 8, 6}, []float64{7, 1}, 5.0 / 6, 1.0 / 3, 2.0 / 3, 6, 0},
	} {
		roc := rates(c.same, c.different)
		if len(roc) != c.thresholds {
			t.Errorf("%s: %d thresholds, want %d", c.name, len(roc), c.thresholds)
		}
		if got := areaUnder(roc); !near(got, c.auc, 1e-12) {
			t.Errorf("%s: AUC %g, want %g", c.name, got, c.auc)
		}
		if got := equalError(roc); !near(got, c.eer, 1e-12) {
			t.Errorf("%s: EER %g, want %g", c.name, got, c.eer)
		}
		if got := truePositiveAtZero(roc); !near(got, c.foundAt0, 1e-12) {
			t.Errorf("%s: found at no false alarm %g, want %g", c.name, got, c.foundAt0)
		}
		if last := roc[len(roc)-1]; last.FalsePositive != 1 || last.TruePositive != 1 {
			t.Errorf("%s: ends at %+v", c.name, last)
		}
	}
}

func TestChanceHasAnAreaOfAHalf(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var same, different []float64
	for range 4000 {
		same, different = append(same, rng.Float64()), append(different, rng.Float64())
	}
	roc := rates(same, different)
	if a, e := areaUnder(roc), equalError(roc); !near(a, 0.5, 0.02) || !near(e, 0.5, 0.02) {
		t.Errorf("AUC %.3f and EER %.3f of chance", a, e)
	}
	// The area is the share of ordered pairs, counted one by one.
	s, d := same[:60], different[:70]
	won := 0.0
	for _, x := range s {
		for _, y := range d {
			if x > y {
				won++
			}
		}
	}
	if a := areaUnder(rates(s, d)); !near(a, won/4200, 1e-12) {
		t.Errorf("area %g, counted %g", a, won/4200)
	}
}

// labelledPairs of firearms with marks each: same-source scores rise by a
// firearm's own effect, so that pairs of one firearm go together.
func labelledPairs(seed uint64, sources, marks int, gap, own float64) []Pair {
	rng := rand.New(rand.NewPCG(seed, 3))
	effect := make([]float64, sources)
	for i := range effect {
		effect[i] = own * rng.NormFloat64()
	}
	var out []Pair
	for a := range sources * marks {
		for b := range a {
			p := Pair{calibrate.Pair{SourceA: fmt.Sprint(a / marks), SourceB: fmt.Sprint(b / marks)}, a, b, a/marks == b/marks}
			p.Score = rng.NormFloat64()
			if p.Mates {
				p.Score += gap + effect[a/marks]
			}
			out = append(out, p)
		}
	}
	return out
}

func TestIntervalHoldsTheTruthAndKnowsFirearms(t *testing.T) {
	if plainOnly(t) {
		return
	}
	p := parallel{ctx: context.Background()}
	width := func(own float64) (w float64, held int) {
		for seed := range uint64(20) {
			low, high, err := aucInterval(p, labelledPairs(seed, 12, 4, 1.5, own), seed)
			if err != nil || !(0 <= low && low <= high && high <= 1) {
				t.Fatalf("%g to %g, %v", low, high, err)
			}
			w += (high - low) / 20
			// Two normals 1.5 (and the effect's spread) apart.
			truth := 0.5 * math.Erfc(-1.5/math.Sqrt(2+own*own)/math.Sqrt2)
			if low <= truth && truth <= high {
				held++
			}
		}
		return w, held
	}
	plain, held := width(0)
	if held < 16 {
		t.Errorf("95 %% intervals held the truth %d times of 20", held)
	}
	if grouped, held := width(2); grouped < 1.5*plain || held < 14 {
		t.Errorf("interval %.3f wide where firearms differ (truth held %d of 20), %.3f where not", grouped, held, plain)
	}
	if low, high, err := aucInterval(p, labelledPairs(1, 6, 3, 40, 0), 1); err != nil || !near(low, math.Pow(0.05, 1.0/6), 1e-12) || high != 1 {
		t.Errorf("no error: %g to %g, %v", low, high, err)
	}
}

func TestCostOfRatios(t *testing.T) {
	// Saying nothing costs one bit; being right by 10 costs log2(1.1).
	if c := cllr([]float64{0, 0}, []float64{0}); !near(c, 1, 1e-12) {
		t.Errorf("Cllr %g of ratios of 1", c)
	}
	if c, want := cllr([]float64{1}, []float64{-1}), math.Log2(1.1); !near(c, want, 1e-12) {
		t.Errorf("Cllr %g, want %g", c, want)
	}
	if c := cllr([]float64{-2}, []float64{2}); c < 6 {
		t.Errorf("Cllr %g of ratios that mislead", c)
	}
	if c := cllr([]float64{math.Inf(1)}, []float64{math.Inf(-1)}); c != 0 {
		t.Errorf("Cllr %g of certainty that is right", c)
	}
	// At prior odds of 10^3 for a common source, what is said of the others hardly counts.
	if a, b := logCost([]float64{1}, []float64{3}, 3), logCost([]float64{1}, []float64{-3}, 3); a-b > 0.02 {
		t.Errorf("cost %g and %g", a, b)
	}
}

// Ratios that are what they say cost hardly more than the best of their order.
func TestCalibratedRatiosCostLittleMore(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	// ln LR of two normals d apart is itself normal, of mean ±d²/2 and deviation d.
	const d = 2.0
	draw := func(n int, sign, scale float64) (out []float64) {
		for range n {
			out = append(out, scale*(sign*d*d/2+d*rng.NormFloat64())/math.Ln10)
		}
		return out
	}
	cost := func(scale float64) (given, best float64) {
		same, different := draw(4000, 1, scale), draw(6000, -1, scale)
		bs, bd := bestCalibrated(same, different)
		return cllr(same, different), cllr(bs, bd)
	}
	given, best := cost(1)
	if given-best > 0.02 || best > given || !near(given, 0.55, 0.1) {
		t.Errorf("calibrated: Cllr %.3f, at best %.3f", given, best)
	}
	bold, boldBest := cost(3)
	if bold < given+0.2 || !near(boldBest, best, 0.03) {
		t.Errorf("thrice as bold: Cllr %.3f and at best %.3f, beside %.3f and %.3f", bold, boldBest, given, best)
	}
}

func TestBestCalibration(t *testing.T) {
	// Scores 1 2 3 4 5 of different, same, different, same, same: 2 and 3 pool.
	same, different := bestCalibrated([]float64{2, 4, 5}, []float64{1, 3})
	pooled := math.Log10(1.0) - math.Log10(1.5)
	if !near(same[0], pooled, 1e-12) || !near(different[1], pooled, 1e-12) {
		t.Errorf("pooled: %v %v, want %g", same, different, pooled)
	}
	if !math.IsInf(different[0], -1) || !math.IsInf(same[1], 1) || !math.IsInf(same[2], 1) {
		t.Errorf("ends: %v %v", same, different)
	}
	if s, d := bestCalibrated([]float64{1, 1}, []float64{1}); s[0] != 0 || s[1] != 0 || d[0] != 0 {
		t.Errorf("ties say nothing: %v %v", s, d)
	}
	rng := rand.New(rand.NewPCG(6, 7))
	for range 50 {
		type point struct{ v, lr float64 }
		var s, d []float64
		for range 40 {
			s, d = append(s, math.Round(5*rng.NormFloat64()+3)), append(d, math.Round(5*rng.NormFloat64()))
		}
		ls, ld := bestCalibrated(s, d)
		var all []point
		for i := range s {
			all = append(all, point{s[i], ls[i]}, point{d[i], ld[i]})
		}
		slices.SortFunc(all, func(a, b point) int { return int(a.v - b.v) })
		for i := 1; i < len(all); i++ {
			if all[i].lr < all[i-1].lr || (all[i].v == all[i-1].v && all[i].lr != all[i-1].lr) {
				t.Fatalf("the ratio falls from %+v to %+v", all[i-1], all[i])
			}
		}
		if c := cllr(ls, ld); c > 1+1e-12 {
			t.Fatalf("the best of the order costs %g", c)
		}
	}
}

func TestEntropyCurve(t *testing.T) {
	curve := entropyCurve([]float64{1, 0.5, -0.2}, []float64{-1, 0.1, -0.3})
	for _, p := range curve {
		if p.best > p.given+1e-12 || p.best > p.neutral+1e-12 {
			t.Errorf("prior %g: %+v", p.prior, p)
		}
	}
	if mid := curve[len(curve)/2]; mid.prior != 0 || !near(mid.neutral, 1, 1e-12) || !near(mid.given, cllr([]float64{1, 0.5, -0.2}, []float64{-1, 0.1, -0.3}), 1e-12) {
		t.Errorf("even odds: %+v", mid)
	}
}

func TestExceeding(t *testing.T) {
	x, share := exceeding([]float64{3, 1, 2, 2})
	if !slices.Equal(x, []float64{1, 2, 2, 3}) || !slices.Equal(share, []float64{1, 0.75, 0.5, 0.25}) {
		t.Errorf("%v %v", x, share)
	}
}

func TestRanks(t *testing.T) {
	r := rank([]float64{0.5, 0.2}, []float64{0.6, 0.5, 0.3, 0.1})
	if r.first != 3 || !slices.Equal(r.mates, []int{3, 4}) || r.above != 2 || r.rest != 4 {
		t.Errorf("%+v", r)
	}
	queries := []ranked{{first: 1}, {first: 3}, {first: 11}}
	for k, want := range map[int]float64{1: 1.0 / 3, 2: 1.0 / 3, 3: 2.0 / 3, 10: 2.0 / 3, 11: 1} {
		if got := hitAt(queries, k); got != want {
			t.Errorf("hit at %d: %g, want %g", k, got, want)
		}
	}
}

// The chance of being first in a smaller gallery, against drawing galleries.
func TestFirstBySize(t *testing.T) {
	q := []ranked{{above: 2, rest: 10}, {above: 0, rest: 10}}
	rng := rand.New(rand.NewPCG(8, 9))
	for _, size := range []int{1, 3, 8, 9, 10} {
		first := 0
		const draws = 20_000
		for range draws {
			if slices.Min(rng.Perm(10)[:size]) >= 2 { // 0 and 1 are above the mate
				first++
			}
		}
		want := (float64(first)/draws + 1) / 2
		if got, ok := firstBySize(q, size); !ok || !near(got, want, 0.01) {
			t.Errorf("among %d: %g, drawn %g", size, got, want)
		}
	}
	if _, ok := firstBySize(q, 11); ok {
		t.Error("a gallery larger than what was compared has a figure")
	}
}
