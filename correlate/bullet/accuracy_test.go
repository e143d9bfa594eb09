//go:build !race

package bullet

import (
	"context"
	"flag"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

var galleryBullets = flag.Int("bullets", 24, "generated bullets that the real pair is compared with")

// The two complete bullets lie on each other in one way only. The bars are the
// project's; the recipe's constants were chosen on this set among others, so
// this is a regression test and no proof of accuracy.
func TestRealBullets(t *testing.T) {
	a, b := realBullet(t, "barrel-1-bullet-1"), realBullet(t, "barrel-1-bullet-2")
	if a == nil {
		t.Log("no real scans here; TestRealPairAmongGenerated stands alone")
		return
	}
	c := Compare(NewTemplate(a), NewTemplate(b))
	t.Logf("score %.3f contrast %.3f phase %d, %d lands counted %v", c.Score, c.Contrast, c.Phase, c.Counted, c.Reasons)
	if !c.Conclusive || c.Phase != 4 || c.Contrast < MinContrast || len(c.Lands) != 6 || c.Counted != 6 {
		t.Fatalf("%+v", c)
	}
	for _, p := range c.Lands {
		t.Logf("land %d on %d: z %.3f r %.3f lag %.1f counted %v", p.A, p.B, p.Z, p.R, p.Lag, p.Counted)
		if p.LandComparison != CompareLands(a.Land(p.A-1), b.Land(p.B-1)) {
			t.Errorf("land %d: the map differs from CompareLands", p.A)
		}
		for j := range b.Count() {
			if z := CompareLands(a.Land(p.A-1), b.Land(j)).Z; j != p.B-1 && z >= p.Z {
				t.Errorf("land %d: land %d agrees at %.3f, its mate %d at %.3f", p.A, j+1, z, p.B, p.Z)
			}
		}
	}
	all := CompareAll(NewTemplate(a), NewTemplate(b))
	if all.Arrangement != (Arrangement{}) || all.Phase != 4 || !all.Conclusive {
		t.Errorf("over all arrangements: %+v", all)
	}
}

// The real pair ranks above all pairings of both real bullets with generated
// ones; `-args -bullets 10000` for the whole bar.
func TestRealPairAmongGenerated(t *testing.T) {
	a, b := realBullet(t, "barrel-1-bullet-1"), realBullet(t, "barrel-1-bullet-2")
	if a == nil {
		a, _ = fired(t, 900001, 1, strip)
		b, _ = fired(t, 900001, 2, strip)
		t.Log("no real scans here: a generated pair takes their place")
	}
	start := time.Now()
	g := NewGallery()
	var others []*Template
	refused := 0
	for i, o := range generated(t, 0, *galleryBullets) {
		if err := g.Put(fmt.Sprint("generated ", i), o); err != nil {
			refused++
			continue
		}
		others = append(others, NewTemplate(o))
	}
	made := time.Since(start)
	pair := Compare(NewTemplate(a), NewTemplate(b)).Score
	pairAll := CompareAll(NewTemplate(a), NewTemplate(b)).Score
	worst, worstAll := make([]float64, len(others)), make([]float64, len(others))
	var conclusive int
	err := g.parallel(context.Background(), len(others), 1, func(i int) {
		for _, q := range []*Bullet{a, b} {
			q := NewTemplate(q)
			worst[i] = max(worst[i], Compare(q, others[i]).Score)
			worstAll[i] = max(worstAll[i], CompareAll(q, others[i]).Score)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range others {
		if Compare(NewTemplate(a), o).Conclusive {
			conclusive++
		}
	}
	// Three lands are the least that is compared: what chance does with them.
	fragment := NewTemplate(mustBullet(t, append(slices.Clone(a.lands[:3]), nil, nil, nil)...))
	three := 0.0
	for _, o := range others {
		three = max(three, Compare(fragment, o).Score)
	}
	t.Logf("three lands of the first bullet: mate %.3f, largest other %.3f", Compare(fragment, NewTemplate(b)).Score, three)
	slices.Sort(worst)
	slices.Sort(worstAll)
	t.Logf("%d generated (%d below the gate) in %v; pair %.3f; others: median %.3f, 99 %% %.3f, max %.3f; all arrangements: pair %.3f, median %.3f, max %.3f; %d others with a contrast",
		len(others)+refused, refused, made.Round(time.Second), pair, worst[len(worst)/2], worst[len(worst)*99/100], worst[len(worst)-1], pairAll, worstAll[len(worstAll)/2], worstAll[len(worstAll)-1], conclusive)
	if worst[len(worst)-1] >= pair || worstAll[len(worstAll)-1] >= pairAll {
		t.Errorf("a generated bullet scores %.3f (%.3f), the pair %.3f (%.3f)", worst[len(worst)-1], worstAll[len(worstAll)-1], pair, pairAll)
	}
	for _, way := range []struct {
		query *Bullet
		mate  *Bullet
	}{{a, b}, {b, a}} {
		if err := g.Put("mate", way.mate); err != nil {
			t.Fatal(err)
		}
		found, err := g.Search(context.Background(), NewTemplate(way.query), Search{Keep: 5})
		if err != nil || len(found) == 0 || found[0].ID != "mate" || found[0].Score != pair {
			t.Errorf("the mate is not found first: %+v, %v", found, err)
		}
	}
}

// Land pairs of the real set, of different bullets, both lands above the gate.
// Where two lands of one barrel may or may not be the same land (a questioned
// bullet's numbering is its own) the pair is left out: the truth is not known.
func TestRealLands(t *testing.T) {
	set := realLands(t)
	if len(set) == 0 {
		t.Log("no real scans here; TestGeneratedLands stands alone")
		return
	}
	for _, l := range set {
		t.Logf("%s: %.3f µm RMS, %.0f µm wide, agreement %.2f, band %.0f–%.0f µm %v", l.name, l.quality.RMS, l.quality.Width, l.quality.Agreement, l.quality.BandFrom, l.quality.BandTo, l.quality.Reasons)
	}
	for _, gated := range []bool{true, false} {
		var same, different []float64
		rejected := 0
		for i, a := range set {
			if !a.land.Passes() {
				rejected++
			}
			for _, b := range set[i+1:] {
				mates, known := sameLand(a, b)
				if a.bullet == b.bullet || !known || gated && !(a.land.Passes() && b.land.Passes()) {
					continue
				}
				if z := CompareLands(a.land, b.land).Z; mates {
					same = append(same, z)
				} else {
					different = append(different, z)
				}
			}
		}
		auc, low := areaUnder(same, different)
		t.Logf("gated %v: %d lands below the gate, %d same, %d different: AUC %.4f, least same %.3f, largest different %.3f; 95 %% interval from %.3f (one-sided, Hanley and McNeil where the area is below 1)",
			gated, rejected, len(same), len(different), auc, slices.Min(same), slices.Max(different), low)
		if gated && auc < 0.99 {
			t.Errorf("area under the curve %.4f", auc)
		}
	}
}

// sameLand of the two complete bullets is known by their phase; of bullets of
// different barrels it is known that they are not.
func sameLand(a, b labelled) (same, known bool) {
	if a.source != b.source {
		return false, true
	}
	if a.bullet == "barrel-1-bullet-1" && b.bullet == "barrel-1-bullet-2" {
		return (a.number+3)%6+1 == b.number, true
	}
	return false, false
}

// areaUnder the ROC curve, ties counted half, and the lower end of its 95 %
// interval: Hanley and McNeil 1982; with no error at all, the area at which so
// many same-source pairs would all have ranked first with a chance of 5 %.
func areaUnder(same, different []float64) (auc, low float64) {
	for _, s := range same {
		for _, d := range different {
			switch {
			case s > d:
				auc++
			case s == d:
				auc += 0.5
			}
		}
	}
	n, m := float64(len(same)), float64(len(different))
	auc /= n * m
	if auc == 1 {
		return 1, math.Pow(0.05, 1/n)
	}
	q1, q2 := auc/(2-auc), 2*auc*auc/(1+auc)
	se := math.Sqrt((auc*(1-auc) + (n-1)*(q1-auc*auc) + (m-1)*(q2-auc*auc)) / (n * m))
	return auc, auc - 1.96*se
}
