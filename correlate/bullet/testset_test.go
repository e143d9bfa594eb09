package bullet

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// labelled is one scan of a land and where it came from.
type labelled struct {
	name, source, bullet string
	number               int
	scan                 *x3p.Scan
	land                 *Land
	quality              Quality
}

const realDir = "../../../shared/scans/hamby44"

var readReal = sync.OnceValues(func() ([]labelled, error) {
	f, err := os.Open(filepath.Join(realDir, "truth.csv"))
	if err != nil {
		return nil, nil // the real scans are not here
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	out := make([]labelled, len(rows)-1)
	errs := make([]error, len(out))
	var wg sync.WaitGroup
	for i, r := range rows[1:] {
		wg.Go(func() {
			l := labelled{name: r[0], source: r[1], bullet: r[2]}
			raw, err := os.ReadFile(filepath.Join(realDir, r[0]))
			if err == nil {
				l.scan, err = x3p.Decode(raw, x3p.Options{})
			}
			if err == nil {
				l.number, err = strconv.Atoi(r[3])
			}
			if err == nil {
				l.land, l.quality, err = EncodeLand(l.scan)
			}
			out[i], errs[i] = l, err
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
})

// realLands are the research scans, or nothing where they are missing.
func realLands(tb testing.TB) []labelled {
	tb.Helper()
	set, err := readReal()
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// realBullet is one of the two complete bullets, nil where they are missing.
func realBullet(tb testing.TB, name string) *Bullet {
	tb.Helper()
	var lands [6]*Land
	for _, l := range realLands(tb) {
		if l.bullet == name {
			lands[l.number-1] = l.land
		}
	}
	if lands[0] == nil {
		return nil
	}
	return mustBullet(tb, lands[:]...)
}

func mustBullet(tb testing.TB, lands ...*Land) *Bullet {
	tb.Helper()
	b, err := NewBullet(lands)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func mustLand(tb testing.TB, scan *x3p.Scan) *Land {
	tb.Helper()
	l, _, err := EncodeLand(scan)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// strip is how galleries are generated: cross-sections of the band alone, a
// tenth of the work of a whole scan.
var strip = synth.LandShot{Along: 12.5e-6, Rows: bandSlabs, Slip: -1}

// fired is one generated bullet and how many lands later than the barrel it begins.
func fired(tb testing.TB, barrel, shot uint64, how synth.LandShot) (*Bullet, int) {
	tb.Helper()
	scans, first := synth.NewBarrel(barrel, synth.Rifling{}).FireBullet(shot, how)
	lands := make([]*Land, len(scans))
	for i, s := range scans {
		lands[i] = mustLand(tb, s)
	}
	return mustBullet(tb, lands...), first
}

// generated are one bullet each of barrels from to from + n − 1.
func generated(tb testing.TB, from uint64, n int) []*Bullet {
	tb.Helper()
	out := make([]*Bullet, n)
	tasks := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range tasks {
				out[i], _ = fired(tb, from+uint64(i), 1, strip)
			}
		})
	}
	for i := range n {
		tasks <- i
	}
	close(tasks)
	wg.Wait()
	return out
}

// randomLand is a land of smoothed noise with some samples missing.
func randomLand(r *rand.Rand, samples int) *Land {
	q := make([]int8, samples)
	level := 0.0
	for i := range q {
		level = 0.6*level + 4*r.NormFloat64()
		q[i] = int8(min(max(level, -7), 7))
		if i > 0 && i < samples-1 && r.IntN(40) == 0 {
			q[i] = missing
		}
	}
	l, err := newLand(uint16(300+r.IntN(400)), q)
	if err != nil {
		panic(err)
	}
	return l
}

func randomBullet(r *rand.Rand, lands int) *Bullet {
	b := &Bullet{}
	for range lands {
		b.lands = append(b.lands, randomLand(r, 280+r.IntN(41)))
	}
	return b
}

// worn is another bullet of the same barrel: noise on every sample, its lands
// cut short at the ends, beginning with the land that stands first.
func worn(r *rand.Rand, b *Bullet, first int) *Bullet {
	out := &Bullet{lands: make([]*Land, len(b.lands))}
	for i := range b.lands {
		l := b.lands[(i+first)%len(b.lands)]
		if l == nil {
			continue
		}
		cutLo, cutHi := r.IntN(12), r.IntN(12)
		q := slices.Clone(l.q[cutLo : len(l.q)-cutHi])
		for k := range q {
			if q[k] == missing {
				q[k] = 0
			}
			q[k] = int8(min(max(float64(q[k])+2*r.NormFloat64(), -7), 7))
		}
		out.lands[i], _ = newLand(l.rms, q)
	}
	return out
}

// arranged records a bullet in another way.
func arranged(b *Bullet, how Arrangement) *Bullet {
	lands := slices.Clone(b.lands)
	for i, l := range lands {
		if how.Mirrored && l != nil {
			lands[i] = l.Mirrored()
		}
	}
	if how.Descending {
		slices.Reverse(lands)
	}
	return &Bullet{lands}
}

// crowd is a gallery of n random bullets of six lands.
func crowd(tb testing.TB, seed uint64, n int) *Gallery {
	tb.Helper()
	r := rand.New(rand.NewPCG(3, seed))
	g := NewGallery()
	for i := range n {
		if err := g.Put(fmt.Sprintf("other %d", i), randomBullet(r, 6)); err != nil {
			tb.Fatal(err)
		}
	}
	return g
}
