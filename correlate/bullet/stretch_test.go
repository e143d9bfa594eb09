//go:build !race

package bullet

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"proofmark/correlate/synth"
)

// Two instruments may differ in their scale across: one stretch is found for all
// lands of a bullet, and which side it lies on.
func TestStretch(t *testing.T) {
	b := synth.NewBarrel(11, synth.Rifling{Strength: 1.2})
	record := func(shot uint64, scale float64) *Template {
		var lands []*Land
		for i := range 6 {
			s := b.FireLand(shot, i, strip)
			s.IncX *= scale
			lands = append(lands, mustLand(t, s))
		}
		return NewTemplate(mustBullet(t, lands...))
	}
	a := record(1, 1)
	plain := Compare(a, record(2, 1))
	if plain.Stretch < -0.5 || plain.Stretch > 0.5 || !plain.Conclusive {
		t.Fatalf("recorded alike: %+v", plain)
	}
	for _, per := range []float64{-3, -2, -1.5, -0.8, 1, 2.2, 3} {
		c := Compare(a, record(2, 1+per/100))
		if d := c.Stretch - per; d < -0.51 || d > 0.51 || c.Phase != plain.Phase {
			t.Errorf("%g %%: stretch %g, phase %d", per, c.Stretch, c.Phase)
		}
		if c.Score < plain.Score-0.2 {
			t.Errorf("%g %%: score %.3f, %.3f recorded alike", per, c.Score, plain.Score)
		}
	}
	if c := Compare(record(2, 1.02), a); c.Stretch > -1.5 {
		t.Errorf("exchanged: stretch %g", c.Stretch)
	}
}

// Reading a land at another scale and back changes it little, and no stretch
// changes nothing.
func TestStretchedHeights(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	for range 50 {
		l := randomLand(r, 80+r.IntN(MaxSamples-79))
		p := newProfile(l)
		for i, v := range l.q {
			if v == missing {
				v = 0
			}
			if p.whole.v[margin+i] != 128*int16(v) {
				t.Fatalf("sample %d of %d", i, len(l.q))
			}
		}
		var row quarterRow
		row.interpolate(l)
		for k := -mostStretch; k <= mostStretch; k++ {
			p.stretch(&row, k)
			want := float64(len(l.q)-1) * float64(stretchUnit-k) / float64(stretchUnit+k)
			if n := p.whole.n; n > MaxSamples || (n < MaxSamples && (float64(n-1) > want || float64(n) < want)) || p.half.n != n-1 {
				t.Fatalf("%d samples stretched by %d steps: %d", len(l.q), k, n)
			}
			for _, h := range []*heights{p.whole, p.half} {
				for i, v := range h.v {
					if (i < margin || i >= margin+h.n) && v != 0 {
						t.Fatalf("a height outside, at %d of %d", i-margin, h.n)
					}
				}
			}
		}
	}
}

// The first pass finds mates at other scales too, unless it is told that there are
// none.
func TestSearchAtOtherScales(t *testing.T) {
	b := synth.NewBarrel(12, synth.Rifling{Strength: 0.9})
	how := strip
	how.Change = 0.7
	record := func(shot uint64, scale float64) *Bullet {
		var lands []*Land
		for i := range 6 {
			s := b.FireLand(shot, i, how)
			s.IncX *= scale
			lands = append(lands, mustLand(t, s))
		}
		return mustBullet(t, lands...)
	}
	g := crowd(t, 12, 400)
	q := NewTemplate(record(1, 1))
	for _, scale := range []float64{0.97, 1, 1.03} {
		if err := g.Put("mate", record(2, scale)); err != nil {
			t.Fatal(err)
		}
		s := newScan(q.bullet, asRecorded, false)
		field, err := g.shorten(context.Background(), s, g.all(), 4)
		if err != nil || !slices.ContainsFunc(field, func(it *item) bool { return it.id == "mate" }) {
			t.Errorf("scale %g: the mate is not among the best 1 %%, %v", scale, err)
		}
		found, err := g.Search(context.Background(), q, Search{Keep: 1})
		if err != nil || found[0].ID != "mate" {
			t.Errorf("scale %g: %+v, %v", scale, found, err)
		}
	}
	all, one := newScan(q.bullet, asRecorded, false), newScan(q.bullet, asRecorded, true)
	it := g.all()[g.index["mate"]] // at 1.03
	if x, y := all.score(fastest, it), one.score(fastest, it); x <= y+scanAllowance {
		t.Errorf("3 %% off: coarse score %.2f, without stretching %.2f", x, y)
	}
}
