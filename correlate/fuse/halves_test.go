//go:build !race

package fuse

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"proofmark/correlate"
)

// unlike is the score of two marks of different firearms, which are counted.
type unlike struct {
	a, b  int
	score float64
}

// unlikePairs are those of the research set, of ten slides; where it is missing as
// many drawn from the null distribution in use.
func unlikePairs(t *testing.T) (pairs []unlike, firearms int) {
	set, err := fadul()
	if err != nil {
		t.Fatal(err)
	}
	if set == nil {
		rng := rand.New(rand.NewPCG(4, 2))
		n := nulls[correlate.Algorithm]
		for i := range 40 {
			for j := range i {
				if a, b := i%10, j%10; a != b {
					pairs = append(pairs, unlike{a, b, n.Mode - n.Scale*math.Log(-math.Log(rng.Float64()))})
				}
			}
		}
		return pairs, 10
	}
	var names []string
	for _, m := range set {
		names = append(names, m.firearm)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var marks [][2]int
	for i, m := range set {
		for j, o := range set[:i] {
			if m.firearm != o.firearm {
				pairs = append(pairs, unlike{slices.Index(names, m.firearm), slices.Index(names, o.firearm), 0})
				marks = append(marks, [2]int{i, j})
			}
		}
	}
	each(len(pairs), func(i int) { pairs[i].score = correlate.Compare(set[marks[i][0]].whole, set[marks[i][1]].whole).Score })
	return pairs, len(names)
}

// What a score weighs rests on how marks of different firearms score. Fitted on one half
// of the slides it holds for the other, whichever they are: what chance gives there is
// not called much less probable than it is.
func TestNullsHoldOnSlidesKeptBack(t *testing.T) {
	pairs, firearms := unlikePairs(t)
	tests, all, beyond, worst, most := 0, 0, 0.0, 0.0, 0.0
	for half := range uint(1) << firearms {
		if bits.OnesCount(half) != firearms/2 {
			continue
		}
		var in [2][]float64 // kept back, fitted on
		for _, p := range pairs {
			if a := half >> p.a & 1; a == half>>p.b&1 {
				in[a] = append(in[a], p.score)
			}
		}
		kept := in[0]
		mode, scale := moments(in[1])
		n := Null{Mode: mode, Scale: scale}
		tests++
		all += len(kept)
		share := n.beyond(kept, 0.01)
		beyond += share * float64(len(kept))
		worst, most = max(worst, share), max(most, n.weight(slices.Max(kept)))
	}
	t.Logf("%d halves, %d scores kept back: %.2f %% of them at p ≤ 1 %%, of the worst half %.2f %%; none weighs more than %.2f decades",
		tests, all, 100*beyond/float64(all), 100*worst, most)
	if beyond/float64(all) > 0.03 || worst > 0.08 || most > 3 {
		t.Errorf("of what was kept back %.4f is at p ≤ 0.01, of the worst half %.4f; the highest weighs %.2f decades", beyond/float64(all), worst, most)
	}
}
