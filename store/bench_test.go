package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// BenchmarkAppend measures acts per second, each a record with two index entries and an audit entry, every one durable (fsync) when
// its writer goes on.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			opt := testOptions(b.TempDir())
			opt.MemTable, opt.Cache = 0, 0
			s := open(b, opt)
			b.ReportAllocs()
			b.ResetTimer()
			before := s.Commits()
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := w; i < b.N; i += writers {
						id := fmt.Sprintf("%08d", i)
						err := s.Update(background, func(tx *Tx) error {
							tx.Audit(entry("exhibit stored", id))
							return things.Put(tx, id, &thing{Name: id, Tags: []string{"9mm"}})
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acts/s")
			b.ReportMetric(float64(b.N)/float64(max(1, s.Commits()-before)), "acts/commit")
		})
	}
}

// BenchmarkAudit asks and proves a log of 100,000 entries.
func BenchmarkAudit(b *testing.B) {
	opt := testOptions(b.TempDir())
	opt.MemTable, opt.Cache = 0, 0
	s := open(b, opt)
	const entries = 100_000
	for n := 0; n < entries; {
		update(b, s, func(tx *Tx) error {
			for end := n + 1000; n < end; n++ {
				e := entry("signature disclosed", fmt.Sprintf("object-%d", n%1000))
				e.Time = testStart.Add(time.Duration(n) * time.Minute)
				tx.Audit(e)
			}
			return nil
		})
	}
	for name, c := range map[string]struct {
		q    AuditQuery
		want int
	}{
		"object":             {AuditQuery{Object: "object-500"}, 100},
		"object+counterpart": {AuditQuery{Object: "object-500", Counterpart: "ES", Limit: 10}, 10},
		"hour long ago":      {AuditQuery{Since: testStart.Add(time.Hour), Until: testStart.Add(2 * time.Hour)}, 60},
		"text, none":         {AuditQuery{Text: "no such words"}, 0},
	} {
		b.Run("query/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, err := s.QueryAudit(background, c.q); err != nil || len(got) != c.want {
					b.Fatal(len(got), err)
				}
			}
		})
	}
	b.Run("prove", func(b *testing.B) {
		b.ReportAllocs()
		n := int64(0)
		for b.Loop() {
			n = (n + 7919) % entries
			view(b, s, func(tx *Tx) error {
				head, err := tx.auditHead()
				if err != nil {
					return err
				}
				leaf, err := tx.AuditLeaf(n)
				if err != nil {
					return err
				}
				proof, err := tlog.ProveRecord(head.size, n, tx.AuditHashes())
				if err != nil {
					return err
				}
				return tlog.CheckRecord(proof, head.size, head.root, n, tlog.RecordHash(leaf.Content()))
			})
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if r := verify(b, s); r.Size != entries {
				b.Fatal(r.Size)
			}
		}
		b.ReportMetric(entries*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	})
}

// BenchmarkView measures reading a record by id and by index.
func BenchmarkView(b *testing.B) {
	s := openTest(b)
	const n = 10_000
	for i := 0; i < n; {
		update(b, s, func(tx *Tx) error {
			for end := i + 500; i < end; i++ {
				id := fmt.Sprintf("%08d", i)
				if err := things.Put(tx, id, &thing{Name: id, Tags: []string{fmt.Sprint(i % 100)}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			view(b, s, func(tx *Tx) error { _, err := things.Get(tx, "00004711"); return err })
		}
	})
	b.Run("by index, 100 records", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			view(b, s, func(tx *Tx) error {
				if n := len(ids(things.By(tx, "tag", "42"))); n != 100 {
					b.Fatal(n)
				}
				return nil
			})
		}
	})
}
