package evaluate

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// RatePoint is one threshold of a receiver operating characteristic.
type RatePoint struct {
	Threshold     float64 // pairs that score at least this are called same
	FalsePositive float64 // share of different-source pairs called same
	TruePositive  float64 // share of same-source pairs called same
}

// rates walks all thresholds from the highest score down, beginning with none
// called same. Both classes must have a pair.
func rates(same, different []float64) []RatePoint {
	s, d := descending(same), descending(different)
	out := []RatePoint{{math.Inf(1), 0, 0}}
	for i, j := 0, 0; i < len(s) || j < len(d); {
		t := math.Inf(-1)
		if i < len(s) {
			t = s[i]
		}
		if j < len(d) {
			t = max(t, d[j])
		}
		for i < len(s) && s[i] == t {
			i++
		}
		for j < len(d) && d[j] == t {
			j++
		}
		out = append(out, RatePoint{t, float64(j) / float64(len(d)), float64(i) / float64(len(s))})
	}
	return out
}

func descending(v []float64) []float64 {
	v = slices.Clone(v)
	slices.SortFunc(v, func(a, b float64) int { return cmp.Compare(b, a) })
	return v
}

// areaUnder is the area under a receiver operating characteristic: the chance
// that a same-source pair scores above a different-source one, ties half.
func areaUnder(roc []RatePoint) float64 {
	area := 0.0
	for i := 1; i < len(roc); i++ {
		area += (roc[i].FalsePositive - roc[i-1].FalsePositive) * (roc[i].TruePositive + roc[i-1].TruePositive) / 2
	}
	return area
}

// equalError is the rate at which misses and false alarms are as frequent, on
// the line between the two thresholds around it.
func equalError(roc []RatePoint) float64 {
	for i := 1; i < len(roc); i++ {
		a, b := roc[i-1], roc[i]
		over := b.FalsePositive - (1 - b.TruePositive)
		if over < 0 {
			continue
		}
		before := a.FalsePositive - (1 - a.TruePositive)
		if over == before {
			return b.FalsePositive
		}
		f := -before / (over - before)
		return a.FalsePositive + f*(b.FalsePositive-a.FalsePositive)
	}
	return 1
}

// truePositiveAtZero is the share of same-source pairs above every different one.
func truePositiveAtZero(roc []RatePoint) float64 {
	best := 0.0
	for _, p := range roc {
		if p.FalsePositive == 0 {
			best = p.TruePositive
		}
	}
	return best
}

// intervalReplicates is the number of bootstrap samples of an interval; large
// sets get fewer, down to a tenth.
const intervalReplicates = 1000

// aucInterval is the 95 % percentile interval of the AUC when whole firearms are
// drawn with replacement: a pair counts as often as both its firearms were drawn
// (a pair of one firearm as often as that one), so that pairs that share a firearm
// rise and fall together. Where no same pair scores below a different one, every
// sample has AUC 1; then the interval runs from the area at which k firearms with
// mates would all have passed without an error with a chance of at most 5 %,
// 0.05^(1/k), since a firearm's same pair beats every different one no more often
// than a drawn one.
func aucInterval(ctx parallel, pairs []Pair, seed uint64) (low, high float64, err error) {
	type scored struct {
		score float64
		a, b  int
		mates bool
	}
	number := map[string]int{}
	index := func(s string) int {
		if _, ok := number[s]; !ok {
			number[s] = len(number)
		}
		return number[s]
	}
	order := make([]scored, len(pairs))
	for i, p := range pairs {
		order[i] = scored{p.Score, index(p.SourceA), index(p.SourceB), p.Mates}
	}
	slices.SortStableFunc(order, func(x, y scored) int { return cmp.Compare(x.score, y.score) })
	n := min(max(200_000_000/max(len(pairs), 1), intervalReplicates/10), intervalReplicates)
	if same, different := scores(pairs); slices.Min(same) > slices.Max(different) {
		return math.Pow(0.05, 1/float64(firearmsWithMates(pairs))), 1, nil
	}
	sample := make([]float64, n)
	err = ctx.each(n, func(r int) {
		rng := rand.New(rand.NewPCG(seed, uint64(r)))
		drawn := make([]float64, len(number))
		for range number {
			drawn[rng.IntN(len(number))]++
		}
		// Walk the scores upwards: a same pair beats all different weight below it.
		var area, below, same float64
		for i := 0; i < len(order); {
			var s, d float64
			j := i
			for ; j < len(order) && order[j].score == order[i].score; j++ {
				e := order[j]
				times := drawn[e.a]
				if e.a != e.b {
					times *= drawn[e.b]
				}
				if e.mates {
					s += times
				} else {
					d += times
				}
			}
			area += s * (below + d/2)
			below, same, i = below+d, same+s, j
		}
		sample[r] = math.NaN() // a sample without one of the classes has no AUC
		if same > 0 && below > 0 {
			sample[r] = area / (same * below)
		}
	})
	if err != nil {
		return 0, 0, err
	}
	sample = slices.DeleteFunc(sample, func(v float64) bool { return math.IsNaN(v) })
	if len(sample) == 0 { // too few firearms for any sample to hold both classes
		return 0, 1, nil
	}
	slices.Sort(sample)
	at := func(q float64) float64 { return sample[int(math.Round(q*float64(len(sample)-1)))] }
	return at(0.025), at(0.975), nil
}

// firearmsWithMates counts the firearms that made both marks of a pair.
func firearmsWithMates(pairs []Pair) int {
	seen := map[string]bool{}
	for _, p := range pairs {
		if p.Mates {
			seen[p.SourceA] = true
		}
	}
	return len(seen)
}
