package ballistics

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// benchSizes are the numbers of signatures of BenchmarkRestart; INDEX_BENCH=1000000 takes that one instead, which needs some 8 GB of disk and the time to
// build the index once.
func benchSizes() []int {
	var n int
	if _, err := fmt.Sscan(os.Getenv("INDEX_BENCH"), &n); err == nil {
		return []int{n}
	}
	return []int{1_000, 10_000}
}

// BenchmarkRestart measures how long a node takes until it can search again, with its snapshot and without, and what a signature takes in memory and in the
// file. The marks of the signatures are those of a few generated breech faces; their ids, exhibits and records are their own.
func BenchmarkRestart(b *testing.B) {
	for _, n := range benchSizes() {
		dir := b.TempDir()
		first := openBench(b, dir)
		first.put(b, 0, n)
		first.load(b)
		began := time.Now()
		first.saveIndex()
		saved := time.Since(began)
		first.close(b)
		path := filepath.Join(dir, "index.sealed")
		st, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		for _, how := range []string{"snapshot", "database"} {
			b.Run(fmt.Sprintf("%d/%s", n, how), func(b *testing.B) {
				var held uint64
				for b.Loop() {
					b.StopTimer()
					s := openBench(b, dir)
					if how == "database" {
						s.snapshot.Path = ""
					}
					before := heap()
					b.StartTimer()
					s.load(b)
					b.StopTimer()
					held = heap() - before
					s.asHeld(b, n)
					s.close(b)
					b.StartTimer()
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/signature")
				b.ReportMetric(float64(held)/float64(n), "B/signature")
				if how == "snapshot" {
					b.ReportMetric(float64(st.Size())/float64(n), "file-B/signature")
					b.ReportMetric(float64(saved.Microseconds())/float64(n), "save-µs/signature")
				}
			})
		}
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// asHeld checks the number of signatures without reading them.
func (b *bench) asHeld(tb testing.TB, want int) {
	tb.Helper()
	if held := len(b.index.IDs()); held != want {
		tb.Fatalf("%d signatures are held, want %d", held, want)
	}
}

// BenchmarkPermit measures what deciding by facts costs a search, for each signature held.
func BenchmarkPermit(b *testing.B) {
	const n = 20_000
	s := openBench(b, b.TempDir())
	defer s.close(b)
	s.load(b)
	for i := range n {
		if err := s.index.Hold(entryOf(foreign(i))); err != nil {
			b.Fatal(err)
		}
	}
	q := foreign(n) // foreign is not compared with foreign: nothing but the decision is left
	if err := s.index.Hold(entryOf(q)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if found, err := s.index.Search(context.Background(), q.ID, q.Bytes, ListLength); err != nil || len(found) != 0 {
			b.Fatal(found, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/signature")
}

// BenchmarkShortList measures what a search reads from the database: the signatures of a short list, each drawn from all that are stored, so that hardly two
// lie in one block of a table. -benchtime=200x; INDEX_BENCH=100000 takes that many signatures.
func BenchmarkShortList(b *testing.B) {
	const short = 200
	for _, n := range benchSizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := openBench(b, b.TempDir())
			defer s.close(b)
			s.put(b, 0, n)
			rng := rand.New(rand.NewPCG(1, 2))
			ids := make([]string, short)
			b.ReportAllocs()
			for b.Loop() {
				for i := range ids {
					ids[i] = foreign(rng.IntN(n)).ID
				}
				got, err := s.signatureBytes(b.Context(), ids)
				if err != nil {
					b.Fatal(err)
				}
				for i := range got {
					if len(got[i]) == 0 {
						b.Fatalf("%s did not come", ids[i])
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/short, "µs/signature")
		})
	}
}
