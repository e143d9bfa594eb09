package bullet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// loop runs do and reports the processor time it took beside the clock's.
func loop(b *testing.B, do func()) {
	b.Helper()
	b.ReportAllocs()
	start := cpuTime()
	for b.Loop() {
		do()
	}
	b.ReportMetric((cpuTime()-start).Seconds()*1e6/float64(b.N), "cpu-µs/op")
}

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
	loop(b, func() { mustLand(b, scan) })
}

func BenchmarkDecode(b *testing.B) {
	raw, _ := randomBullet(rand.New(rand.NewPCG(4, 1)), 6).MarshalBinary()
	loop(b, func() {
		if _, err := Decode(raw); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkLandFine(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 2))
	p, q := newProfile(randomLand(r, 310)), newProfile(randomLand(r, 300))
	for _, k := range kernels {
		b.Run("kernel="+k.String(), func(b *testing.B) { loop(b, func() { k.compare(p, q) }) })
	}
}

func BenchmarkLandCoarse(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 3))
	p, q := newProbe(newTernary(randomLand(r, 310))), newTernary(randomLand(r, 300))
	for _, k := range kernels {
		b.Run("kernel="+k.String(), func(b *testing.B) { loop(b, func() { k.best(p, &q) }) })
	}
}

// BenchmarkCompare is a whole comparison of two bullets of six lands: all phases and
// all stretches.
func BenchmarkCompare(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 4))
	p, q := NewTemplate(randomBullet(r, 6)), NewTemplate(randomBullet(r, 6))
	b.Run("as-recorded", func(b *testing.B) { loop(b, func() { Compare(p, q) }) })
	b.Run("arrangements", func(b *testing.B) { loop(b, func() { CompareAll(p, q) }) })
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
				i := 0
				start := cpuTime()
				loop(b, func() {
					s.score(k, g.items[i&63])
					i++
				})
				b.ReportMetric(float64(b.N)/(cpuTime()-start).Seconds(), "bullets/cpu-s")
			})
		}
	}
}

// large is a gallery of n bullets with codes of their own, 200 different ones again
// and again: a search's work does not depend on what it finds.
func large(b *testing.B, n int) *Gallery {
	b.Helper()
	some := crowd(b, 11, 200)
	g := NewFetchingGallery(func(_ context.Context, ids []string) ([][]byte, error) {
		out := make([][]byte, len(ids))
		for i, id := range ids {
			n, err := strconv.Atoi(id)
			if err != nil {
				return nil, err
			}
			out[i] = some.items[n%200].packed
		}
		return out, nil
	})
	for i := range n {
		it := *some.items[i%200]
		it.id = fmt.Sprint(i)
		it.packed, it.codes = nil, slices.Clone(it.codes)
		g.put(&it)
	}
	return g
}

func BenchmarkSearch(b *testing.B) {
	q := NewTemplate(randomBullet(rand.New(rand.NewPCG(4, 6)), 6))
	for _, n := range []int{1000, 10_000, 100_000} {
		g := large(b, n)
		for scales, same := range map[string]bool{"one": true, "three": false} {
			b.Run(fmt.Sprintf("n=%d/scales=%s", n, scales), func(b *testing.B) {
				loop(b, func() {
					if _, err := g.Search(context.Background(), q, Search{Keep: 20, SameScale: same}); err != nil {
						b.Fatal(err)
					}
				})
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "bullets/s")
			})
		}
	}
}

// BenchmarkGallery is what a bullet takes in memory and in a snapshot, and how long
// a snapshot takes to be written and read.
func BenchmarkGallery(b *testing.B) {
	const n = 20_000
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	g := large(b, n)
	memory := float64(live()-before) / n
	var snapshot bytes.Buffer
	if err := g.Save(&snapshot); err != nil {
		b.Fatal(err)
	}
	b.Run("save", func(b *testing.B) {
		loop(b, func() {
			if err := g.Save(io.Discard); err != nil {
				b.Fatal(err)
			}
		})
		b.ReportMetric(memory, "B/bullet")
		b.ReportMetric(float64(snapshot.Len())/n, "snapshot-B/bullet")
	})
	b.Run("load", func(b *testing.B) {
		loop(b, func() {
			if _, err := LoadGallery(bytes.NewReader(snapshot.Bytes()), nil); err != nil {
				b.Fatal(err)
			}
		})
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "bullets/s")
	})
}
