package accounting

import (
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"proofmark/node/ballistics"
	"proofmark/protocol"
	"proofmark/store"
)

var logErased = flag.Int("erased", 0, "for BenchmarkTrail: so many entries in the last tenth of the log are erased first")

// The collections of package ballistics with those indexes by which a trail finds its way.
var (
	benchExhibits     = store.NewCollection("exhibit", store.Index[ballistics.Exhibit]{Name: "number", Keys: func(e *ballistics.Exhibit) []string { return []string{e.Number} }})
	benchAcquisitions = store.NewCollection("acquisition", store.Index[ballistics.Acquisition]{Name: "exhibit", Keys: func(a *ballistics.Acquisition) []string { return []string{a.Exhibit} }})
	benchCandidates   = store.NewCollection("candidate", store.Index[ballistics.Candidate]{Name: "ranked", Keys: func(c *ballistics.Candidate) []string { return []string{c.A + "/" + c.Pair} }})
	benchLeads        = store.NewCollection("lead", store.Index[ballistics.Lead]{Name: "signature", Keys: func(l *ballistics.Lead) []string { return []string{l.Own.Signature} }})
)

// shape is how much came of an exhibit.
type shape struct {
	name           string
	regions, leads int
	viewed         int // candidates of each region with entries in the log; 20 are kept
}

// objectAt is an object of the log that `make bench-audit` fills; each has 50 entries.
func objectAt(n int) string {
	return fmt.Sprintf("0195f000-%04x-7000-8%03x-%012x", n>>12&0xffff, n&0xfff, n)
}

// BenchmarkTrail asks who ever received an exhibit or asked for it, through the service that the command asks: with its entry in the log and all that came of
// the exhibit, whose entries lie all over the log. `make bench-audit ARGS='-large N -keep DIR'` makes one; -log DIR -entries N names it.
func BenchmarkTrail(b *testing.B) {
	dir := b.TempDir()
	if *logFolder != "" {
		dir = filepath.Join(*logFolder, "store")
	}
	s := openLog(b, dir)
	size := int(*logEntries)
	if *logFolder == "" {
		fill(b, s, size, func(n int) protocol.AuditEntry {
			e := disclosure(n)
			e.Object = objectAt(n / 50)
			return e
		})
	}
	r := mathrand.New(mathrand.NewPCG(3, 4))
	erase(b, s, r, size)
	service, who := overseen(s)
	for _, sh := range []shape{{"one_region", 1, 1, 1}, {"four_regions", 4, 3, 2}, {"everything_viewed", 4, 3, 20}} {
		b.Run(sh.name, func(b *testing.B) {
			const asks = 300
			refs := make([]string, asks)
			for i := range refs {
				refs[i] = enter(b, s, r, sh, size, i)
			}
			b.ResetTimer()
			for range b.N {
				times := make([]time.Duration, asks)
				entries, before := 0, processor(b)
				for i, ref := range refs {
					at := time.Now()
					t, err := service.Trail(b.Context(), who, ref, 0)
					if err != nil {
						b.Fatal(err)
					}
					times[i] = time.Since(at)
					for _, c := range t.Countries {
						entries += len(c.Events)
					}
				}
				slices.Sort(times)
				b.ReportMetric(float64(times[asks/2].Microseconds())/1000, "ms-p50")
				b.ReportMetric(float64(times[asks*99/100].Microseconds())/1000, "ms-p99")
				b.ReportMetric(float64((processor(b)-before).Microseconds())/1000/asks, "cpu-ms/ask")
				b.ReportMetric(float64(entries)/asks, "entries/ask")
			}
		})
	}
}

// enter makes an exhibit of a shape whose parts are objects all over the log, and gives its number.
func enter(b *testing.B, s *store.Store, r *mathrand.Rand, sh shape, size, n int) string {
	b.Helper()
	any := func() string { return objectAt(r.IntN(size / 50)) }
	e := &ballistics.Exhibit{ID: any(), Number: fmt.Sprintf("%s-%d", sh.name, n), Case: "PJ 1/26"}
	err := s.Update(b.Context(), func(tx *store.Tx) error {
		if err := benchExhibits.Put(tx, e.ID, e); err != nil {
			return err
		}
		for region := range sh.regions {
			a := &ballistics.Acquisition{ID: any(), Exhibit: e.ID, Signature: any()}
			if err := benchAcquisitions.Put(tx, a.ID, a); err != nil {
				return err
			}
			for i := range 20 {
				c := &ballistics.Candidate{Pair: any(), A: a.Signature}
				if i >= sh.viewed {
					c.Pair = fmt.Sprintf("%s of nobody, %d", c.Pair, i)
				}
				if err := benchCandidates.Put(tx, c.Pair, c); err != nil {
					return err
				}
				if i < sh.leads && region == 0 {
					l := &ballistics.Lead{Pair: c.Pair, Own: protocol.LeadSide{Signature: a.Signature}}
					if err := benchLeads.Put(tx, l.Pair, l); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return e.Number
}

// erase takes the bodies of -erased entries from the last tenth of the log, as retention does.
func erase(b *testing.B, s *store.Store, r *mathrand.Rand, size int) {
	b.Helper()
	for done := 0; done < *logErased; {
		err := s.Update(b.Context(), func(tx *store.Tx) error {
			for range 64 {
				if err := tx.EraseAudit(int64(size - 1 - r.IntN(size/10))); err != nil {
					return err
				}
				done++
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// processor is the processor time of this process so far.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
