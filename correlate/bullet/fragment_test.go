//go:build !race

package bullet

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Chance reaches a score as often with three lands as with six, so a fragment and
// a whole bullet stand fairly in one list; the plain mean would favour fragments.
func TestChanceIsTheSameForFragments(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	var some []*Bullet
	for range 40 {
		some = append(some, randomBullet(r, 6))
	}
	var scores, means [2][]float64 // of six lands, of three
	for i, a := range some {
		for _, b := range some[:i] {
			for k, q := range []*Bullet{a, {lands: []*Land{a.lands[0], a.lands[1], a.lands[2], nil, nil, nil}}} {
				c := Compare(NewTemplate(q), NewTemplate(b))
				if want := 6 - 3*k; c.Counted != want {
					t.Fatalf("%d lands counted, want %d", c.Counted, want)
				}
				mean := 0.0
				for _, p := range c.Lands {
					mean += p.Z / float64(c.Counted)
				}
				scores[k], means[k] = append(scores[k], c.Score), append(means[k], mean)
			}
		}
	}
	at := func(v []float64, share float64) float64 {
		v = slices.Sorted(slices.Values(v))
		return v[int(share*float64(len(v)))]
	}
	for _, share := range []float64{0.5, 0.95} {
		if d := at(scores[1], share) - at(scores[0], share); d > 0.02 || d < -0.02 {
			t.Errorf("at %g: fragments score %.3f more", share, d)
		}
	}
	if d := at(means[1], 0.95) - at(means[0], 0.95); d < 0.02 {
		t.Errorf("the mean of three lands scatters no more than that of six: %.3f; nothing was tested", d)
	}
}

// A mate of which three lands are left is found before whole bullets of other barrels,
// and a whole mate before it.
func TestFragmentsInOneList(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 2))
	g := crowd(t, 13, 80)
	q := randomBullet(r, 6)
	whole, part := worn(r, q, 0), worn(r, q, 2)
	part.lands[0], part.lands[3], part.lands[4] = nil, nil, nil
	for id, b := range map[string]*Bullet{"whole": whole, "part": part} {
		if err := g.Put(id, b); err != nil {
			t.Fatal(err)
		}
	}
	found, err := g.Search(t.Context(), NewTemplate(q), Search{Keep: 3})
	if err != nil || found[0].ID != "whole" || found[1].ID != "part" || found[1].Counted != 3 {
		t.Errorf("%+v, %v", found, err)
	}
}
