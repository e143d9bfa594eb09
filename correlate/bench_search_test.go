package correlate

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// stock is a set and distractors made once; a benchmark's gallery repeats them
// under other ids, in memory of their own.
var stock = sync.OnceValues(func() ([]signed, *contents) {
	set := searchSet(benchTB)
	return set, crowd(benchTB, set, 10000).now.Load()
})

// fetchStock has a signature of a benchmark's gallery at hand.
func fetchStock(_ context.Context, ids []string) ([][]byte, error) {
	_, from := stock()
	out := make([][]byte, len(ids))
	for i, id := range ids {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		b, at := from.at(n % from.len())
		out[i] = b.signatures[at]
	}
	return out, nil
}

// benchTB reports failures of making the stock.
var benchTB testing.TB

var galleries = map[int]*Gallery{} // by size: the larger ones take a while

func benchGallery(b *testing.B, n int) (*Gallery, []signed) {
	b.Helper()
	benchTB = b
	set, from := stock()
	if g := galleries[n]; g != nil {
		return g, set
	}
	g := NewFetchingGallery(fetchStock)
	for i := range n {
		block, at := from.at(i % from.len())
		e := block.entry(at)
		e.id, e.signature = fmt.Sprintf("%032d", i), nil
		g.put(e.class.kindClass, e)
	}
	galleries[n] = g
	return g, set
}

func memoryUsed() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

var benchSizes = []struct {
	name string
	n    int
}{{"10k", 10_000}, {"100k", 100_000}, {"1M", 1_000_000}}

// One core's scan of a whole gallery, by each kernel. limit= is what a scan could
// reach that compared as many words one by one and did nothing but count their bits,
// in the nearest cache: by POPCNT, and by each kernel's own way of counting. The scan
// counts bits of equal weight of several words at once and so may exceed it.
func BenchmarkScan(b *testing.B) {
	limit := func(name string, words int, count func()) {
		b.Run("limit="+name, func(b *testing.B) {
			n := 0
			start := cpuTime()
			for b.Loop() {
				for range 100 {
					count()
				}
				n += 100 * words
			}
			b.ReportMetric(float64(n)/(cpuTime()-start).Seconds()/float64(wordsScanned(reachTight)), "signatures/cpu-s")
		})
	}
	words := new([countedWords]uint64)
	fill(1, words[:])
	sum := int64(0)
	limit("popcnt", countedWords, func() { sum += countBits(words) })
	runtime.KeepAlive(sum)
	for _, k := range kernels {
		var acc tallies
		limit(k.String(), rings*ringWords*2*lanes, func() { k.tally(&acc, &words[0], &words[2048], rings, lanes) })
	}
	for _, k := range kernels {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("kernel=%v/n=%s", k, size.name), func(b *testing.B) {
				g, set := benchGallery(b, size.n)
				s := &search{g: g, ctx: context.Background(), contents: g.now.Load(), query: NewTemplate(set[0].Signature), kernel: k}
				s.admit(Class{}, nil)
				score := s.scanner(atFirst)
				const stretch = 256
				scores := make([]float32, stretch)
				score(s.field[:1], scores) // makes the table
				b.ReportAllocs()
				i, n := 0, 0
				start := cpuTime()
				for b.Loop() {
					to := min(i+stretch, len(s.field))
					score(s.field[i:to], scores)
					n += to - i
					if i = to; i == len(s.field) {
						i = 0
					}
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "signatures/s")
				b.ReportMetric(float64(n)/(cpuTime()-start).Seconds(), "signatures/cpu-s")
			})
		}
	}
}

// A whole search on all cores, the short list compared.
func BenchmarkSearch(b *testing.B) {
	for _, size := range benchSizes {
		b.Run("n="+size.name, func(b *testing.B) {
			g, set := benchGallery(b, size.n)
			b.ReportAllocs()
			i := 0
			start := cpuTime()
			for b.Loop() {
				q := NewTemplate(set[i%len(set)].Signature)
				if _, err := g.Search(context.Background(), q, Class{}, 20, nil); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric((cpuTime()-start).Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// What a gallery that fetches its signatures holds of one, all counted.
func BenchmarkGalleryMemory(b *testing.B) {
	for b.Loop() {
		clear(galleries)
		benchTB = b
		stock()
		before := memoryUsed()
		g, _ := benchGallery(b, 100_000)
		b.ReportMetric(float64(memoryUsed()-before)/float64(g.Len()), "B/signature")
	}
}

func BenchmarkLoadGallery(b *testing.B) {
	g, _ := benchGallery(b, 100_000)
	var snapshot bytes.Buffer
	if err := g.Save(&snapshot); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(snapshot.Len()))
	for b.Loop() {
		if _, err := LoadGallery(bytes.NewReader(snapshot.Bytes()), fetchStock); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(g.Len())*float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
}
