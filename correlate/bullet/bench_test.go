package bullet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// benchScan is a whole scan of a land: real where there are any, else generated.
func benchScan(b *testing.B) *x3p.Scan {
	b.Helper()
	if set := realLands(b); len(set) > 0 {
		return set[0].scan
	}
	return synth.NewBarrel(1, synth.Rifling{}).FireLand(1, 0, synth.LandShot{})
}

func BenchmarkEncodeLand(b *testing.B) {
	scan := benchScan(b)
	b.ReportAllocs()
	for b.Loop() {
		mustLand(b, scan)
	}
}

func BenchmarkDecode(b *testing.B) {
	raw, _ := randomBullet(rand.New(rand.NewPCG(4, 1)), 6).MarshalBinary()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLandFine(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 2))
	p, q := newProfile(randomLand(r, 310)), newProfile(randomLand(r, 300))
	for _, k := range kernels {
		b.Run("kernel="+k.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.compare(p, q)
			}
		})
	}
}

func BenchmarkLandCoarse(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 3))
	p, q := newProbe(newTernary(randomLand(r, 310))), newTernary(randomLand(r, 300))
	for _, k := range kernels {
		b.Run("kernel="+k.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.best(p, &q)
			}
		})
	}
}

func BenchmarkCompare(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 4))
	p, q := NewTemplate(randomBullet(r, 6)), NewTemplate(randomBullet(r, 6))
	for name, compare := range map[string]func(a, b *Template) Comparison{"as-recorded": Compare, "arrangements": CompareAll} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				compare(p, q)
			}
		})
	}
}

// BenchmarkScan is the first pass of a search, one bullet of six lands a time, on one
// core: with lengths as they are, and at three scales.
func BenchmarkScan(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 5))
	q := randomBullet(r, 6)
	g := crowd(b, 10, 64)
	for _, k := range kernels {
		for scales, same := range map[string]bool{"one": true, "three": false} {
			b.Run(fmt.Sprintf("kernel=%v/scales=%s", k, scales), func(b *testing.B) {
				s := newScan(q, asRecorded, same)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					s.score(k, g.items[i&63])
					i++
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "bullets/s")
			})
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	q := NewTemplate(randomBullet(rand.New(rand.NewPCG(4, 6)), 6))
	for _, n := range []int{1000, 10_000, 100_000} {
		g := NewGallery()
		some := crowd(b, 11, 200)
		for i := range n { // the scan's work does not depend on what it finds
			it := *some.items[i%200]
			it.id = fmt.Sprint(i)
			g.items = append(g.items, &it)
		}
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Search(context.Background(), q, Search{Keep: 20}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "bullets/s")
		})
	}
}
