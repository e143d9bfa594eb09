package fuse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
)

func nobody(string) string { return "" }

func face(score float64) Region {
	return Region{ROI: "breech-face", Algorithm: correlate.Algorithm, Score: score}
}
func pin(score float64) Region {
	return Region{ROI: "firing-pin", Algorithm: correlate.FiringPinAlgorithm, Score: score}
}

// order is the exhibits of a list, the first first.
func order(list []Ranked) string {
	var names []string
	for i, r := range list {
		if r.Rank != i+1 {
			return fmt.Sprintf("rank %d in place %d", r.Rank, i+1)
		}
		names = append(names, r.Exhibit)
	}
	return strings.Join(names, " ")
}

func TestOrderOfExhibits(t *testing.T) {
	for _, c := range []struct {
		name    string
		list    []Comparison
		firearm map[string]string
		want    string
	}{
		{"one region ranks by its score", []Comparison{{"q", "a", []Region{face(0.1)}}, {"q", "b", []Region{face(0.6)}}, {"q", "c", []Region{face(0.59)}}}, nil, "b c a"},
		{"a weak face and a strong pin", []Comparison{{"q", "mate", []Region{face(0.17), pin(0.5)}}, {"q", "a", []Region{face(0.2)}}, {"q", "b", []Region{pin(0.2), face(0.19)}}},
			nil, "mate b a"},
		{"one strong region is not drowned by a weak one", []Comparison{{"q", "strong", []Region{face(0.55), pin(0.01)}}, {"q", "middling", []Region{face(0.2), pin(0.2)}}}, nil,
			"strong middling"},
		{"two that agree come before one", []Comparison{{"q", "one", []Region{face(0.5)}}, {"q", "two", []Region{face(0.5), pin(0.5)}}}, nil, "two one"},
		{"an absent region neither helps nor harms", []Comparison{{"q", "b", []Region{face(0.3)}}, {"q", "a", []Region{face(0.3), pin(0.02)}}}, nil, "a b"},
		{"ties by id", []Comparison{{"q", "z", []Region{face(0.3)}}, {"q", "a", []Region{face(0.3)}}, {"q", "m", nil}}, nil, "a z m"},
		{"a region twice counts once, the better one", []Comparison{{"q", "a", []Region{face(0.3)}}, {"q", "a", []Region{face(0.31)}}, {"q", "b", []Region{face(0.32)}}}, nil, "b a"},
		{"test fires of one firearm support each other", []Comparison{{"q", "a", []Region{face(0.30)}}, {"q", "t1", []Region{face(0.29)}}, {"q", "t2", []Region{face(0.28)}}},
			map[string]string{"t1": "pistol", "t2": "pistol"}, "t1 t2 a"},
		{"a bad mark of the right firearm stands behind the good one, before chance", []Comparison{{"q", "a", []Region{face(0.2)}}, {"q", "good", []Region{face(0.5)}}, {"q", "bad", []Region{face(0.05)}}},
			map[string]string{"good": "pistol", "bad": "pistol"}, "good bad a"},
		{"the query's own firearm speaks too", []Comparison{{"q", "a", []Region{face(0.2)}}, {"q", "b", []Region{face(0.19)}}, {"q2", "b", []Region{face(0.4)}}, {"q2", "c", []Region{face(0.35)}}, {"x", "a", []Region{face(0.6)}}},
			map[string]string{"q": "pistol", "q2": "pistol"}, "b c a"},
		{"who is known to be of the query's firearm stays in the list, once", []Comparison{{"q", "hit", []Region{face(0.5)}}, {"hit", "q", []Region{face(0.5)}}, {"hit", "a", []Region{face(0.4)}}, {"q", "a", []Region{face(0.1)}}, {"q", "b", []Region{face(0.2)}}},
			map[string]string{"q": "pistol", "hit": "pistol"}, "hit a b"},
		{"what was not measured does not weigh", []Comparison{{"q", "a", []Region{{ROI: "ejector-mark", Algorithm: "other/9", Score: 99}}}, {"q", "b", []Region{face(0.2)}}}, nil, "b a"},
	} {
		got := Rank("q", c.list, func(e string) string { return c.firearm[e] })
		if order(got) != c.want {
			t.Errorf("%s: %s, want %s", c.name, order(got), c.want)
		}
	}
}

func TestWhatIsShown(t *testing.T) {
	f := face(0.4)
	f.Rank, f.Pair = 3, "p"
	got := Rank("q", []Comparison{{"q", "a", []Region{pin(0.2), f, {ROI: "other", Algorithm: "other/9", Score: 1}}}, {"q2", "a", []Region{face(0.3)}}, {"q", "b", []Region{face(0.25)}}},
		func(e string) string { return map[string]string{"q": "x", "q2": "x", "a": "y", "b": "y"}[e] })
	if order(got) != "a b" {
		t.Fatal(order(got))
	}
	a := got[0]
	wf, wp := Weigh(correlate.Algorithm, 0.4), Weigh(correlate.FiringPinAlgorithm, 0.2)
	if a.Own != wf+wp/2 || a.Weight != a.Own+a.Support || len(a.Regions) != 3 {
		t.Errorf("%+v", a)
	}
	if a.Regions[0].Region != f || a.Regions[0].Weight != wf || !strings.Contains(a.Regions[0].Source, "Fadul") || a.Regions[2].Weight != 0 || !strings.Contains(a.Regions[2].Source, "other/9") {
		t.Errorf("regions: %+v", a.Regions)
	}
	want := []Support{{"q2", "a", Weigh(correlate.Algorithm, 0.3)}, {"q", "b", Weigh(correlate.Algorithm, 0.25)}}
	if !reflect.DeepEqual(a.From, want) || a.Support != want[0].Weight/2+want[1].Weight/4 {
		t.Errorf("support %v from %+v, want %+v", a.Support, a.From, want)
	}
}

func TestWeights(t *testing.T) {
	for algorithm, n := range nulls {
		if w := Weigh(algorithm, n.Mode); w != 0 {
			t.Errorf("%s: what chance reaches in most cases weighs %g", algorithm, w)
		}
		last := 0.0
		for z := -40.0; z < 400; z += 0.25 {
			w := Weigh(algorithm, n.Mode+n.Scale*z)
			if w < last || w >= Limit || z > 3 && w == last {
				t.Fatalf("%s: %g after %g at %g scales above the mode", algorithm, w, last, z)
			}
			last = w
		}
		if n.Source == "" {
			t.Errorf("%s: the population has no name", algorithm)
		}
	}
	// p = 1/1000 stands for a ratio of at most 1/(e·p·ln 1000) = 53, saturated towards six decades.
	n := nulls[correlate.Algorithm]
	s := n.Mode - n.Scale*math.Log(-math.Log1p(-1e-3))
	if got, want := n.weight(s), 6*(1-math.Exp(-math.Log10(1/(math.E*1e-3*math.Log(1000)))/6)); math.Abs(got-want) > 1e-9 {
		t.Errorf("one in a thousand weighs %g, want %g", got, want)
	}
	for _, s := range []float64{math.NaN(), math.Inf(-1), math.Inf(1), -1, -1e300} {
		if w := Weigh(correlate.Algorithm, s); w != 0 {
			t.Errorf("a score of %g weighs %g", s, w)
		}
	}
	if _, ok := NullOf("other/9"); ok || Weigh("other/9", 1) != 0 {
		t.Error("an unknown algorithm has a null distribution")
	}
}

var drawn = rapid.Custom(func(t *rapid.T) []Comparison {
	ids := []string{"q", "q2", "a", "b", "c", "d"}
	list := make([]Comparison, rapid.IntRange(0, 12).Draw(t, "comparisons"))
	for i := range list {
		list[i] = Comparison{Query: ids[rapid.IntRange(0, 1).Draw(t, "query")], Exhibit: ids[rapid.IntRange(0, 5).Draw(t, "exhibit")]}
		for range rapid.IntRange(0, 3).Draw(t, "regions") {
			s := rapid.Float64Range(-0.2, 0.9).Draw(t, "score")
			list[i].Regions = append(list[i].Regions, rapid.SampledFrom([]Region{face(s), pin(s), {ROI: "lea", Algorithm: bullet.Algorithm, Score: 2 * s}}).Draw(t, "region"))
		}
	}
	return list
})

func drawnGroups(t *rapid.T) func(string) string {
	groups := map[string]string{}
	for _, id := range []string{"q", "q2", "a", "b", "c", "d"} {
		groups[id] = rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "firearm of "+id)
	}
	return func(e string) string { return groups[e] }
}

func copied(list []Comparison) []Comparison {
	out := slices.Clone(list)
	for i := range out {
		out[i].Regions = slices.Clone(out[i].Regions)
	}
	return out
}

func weightOf(list []Ranked, exhibit string) float64 {
	for _, r := range list {
		if r.Exhibit == exhibit {
			return r.Weight
		}
	}
	return 0
}

// Raising any score of any region lowers no exhibit's weight.
func TestRaisingAScoreLowersNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, firearm := drawn.Draw(t, "list"), drawnGroups(t)
		before := Rank("q", list, firearm)
		raised := copied(list)
		for i := range raised {
			for j := range raised[i].Regions {
				if rapid.Bool().Draw(t, "raise") {
					raised[i].Regions[j].Score += rapid.Float64Range(0, 1).Draw(t, "by")
				}
			}
		}
		after := Rank("q", raised, firearm)
		for _, r := range before {
			if now := weightOf(after, r.Exhibit); now < r.Weight-1e-12 {
				t.Fatalf("%s fell from %g to %g", r.Exhibit, r.Weight, now)
			}
		}
	})
}

// No exhibit weighs less than its strongest region, nor more than the limits allow; and what is shown adds up.
func TestStrongRegionsAreNeverDrowned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, r := range Rank("q", drawn.Draw(t, "list"), drawnGroups(t)) {
			strongest := 0.0
			seen := map[string]bool{}
			for _, w := range r.Regions {
				strongest = max(strongest, w.Weight)
				if seen[w.ROI] {
					t.Fatalf("%s counts the %s twice", r.Exhibit, w.ROI)
				}
				seen[w.ROI] = true
			}
			if r.Own < strongest || r.Weight < r.Own || r.Own >= 2*Limit || r.Weight >= 4*Limit || r.Weight != r.Own+r.Support {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// The order of the comparisons, further exhibits and regions at chance level change nothing.
func TestTheListDependsOnNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, firearm := drawn.Draw(t, "list"), drawnGroups(t)
		want := Rank("q", copied(list), firearm)
		shuffled := copied(list)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got := Rank("q", shuffled, firearm); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, in another order %+v", want, got)
		}
		more := append(copied(list), Comparison{"q", "stranger", []Region{face(0.7)}})
		for i := range more {
			more[i].Regions = append(more[i].Regions, Region{ROI: "ejector-mark", Algorithm: correlate.Algorithm, Score: 0.05})
		}
		got := Rank("q", more, firearm)
		for _, r := range want {
			if w := weightOf(got, r.Exhibit); w != r.Weight {
				t.Fatalf("%s weighed %g, with a stranger and a region at chance level %g", r.Exhibit, r.Weight, w)
			}
		}
	})
}

// With one region and nothing known of firearms the list is in the order of scores, as the region's own list is.
func TestOneRegionKeepsItsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Float64Range(0.2, 0.95), 1, 20).Draw(t, "scores")
		var list []Comparison
		for i, s := range scores {
			list = append(list, Comparison{"q", fmt.Sprintf("%02d", i), []Region{face(s)}})
		}
		got := Rank("q", list, nobody)
		for i := 1; i < len(got); i++ {
			if got[i-1].Regions[0].Score < got[i].Regions[0].Score {
				t.Fatalf("score %g stands before %g", got[i-1].Regions[0].Score, got[i].Regions[0].Score)
			}
		}
	})
}
