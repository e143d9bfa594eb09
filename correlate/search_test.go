//go:build !race

package correlate

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"
)

// recall counts, over queries by every step-th of a set, the mates there are, those
// on the short list, and those with no non-mate above them in the result.
func recall(tb testing.TB, g *Gallery, set []signed, step int) (mates, listed, first int) {
	tb.Helper()
	source := map[string]string{}
	for _, s := range set {
		source[s.id] = s.source
	}
	for i := 0; i < len(set); i += step {
		q := NewTemplate(set[i].Signature)
		notMe := func(id string) bool { return id != set[i].id }
		mate := func(id string) bool { return source[id] == set[i].source }
		s := &search{g: g, ctx: context.Background(), contents: g.now.Load(), query: q, kernel: fastest}
		s.admit(Class{}, notMe)
		for _, e := range s.field {
			if mate(s.id(e)) {
				mates++
			}
		}
		if err := s.shorten(g.limits.short); err != nil {
			tb.Fatal(err)
		}
		for _, e := range s.field {
			if mate(s.id(e)) {
				listed++
			}
		}
		found, err := g.Search(context.Background(), q, Class{}, 20, notMe)
		if err != nil {
			tb.Fatal(err)
		}
		for _, f := range found {
			if !mate(f.ID) {
				break
			}
			first++
		}
	}
	return mates, listed, first
}

// crowdSize is how many distractors a test puts around its set: PROOFMARK_CROWD, or few.
func crowdSize(few int) int {
	if n, err := strconv.Atoi(os.Getenv("PROOFMARK_CROWD")); err == nil {
		return n
	}
	return few
}

// Queries that are partial marks, the origin known from the whole scan, are put on
// short lists with their mates; how many of them is bounded from below.
func TestSearchListsMatesOfPartialMarks(t *testing.T) {
	set := searchSet(t)
	step := 5
	few := 3000
	if raceDetector {
		few = 300
	}
	n := crowdSize(few)
	if n > few {
		step = 1
	}
	g := crowd(t, set, n)
	if raceDetector {
		g.limits = limits{short: 60, swept: 120, words: 1}
	}
	for _, c := range []struct{ share, least float64 }{{0.5, 0.9}, {0.25, 0.6}, {0.15, 0.4}} {
		mates, listed, queries := 0, 0, 0
		start := cpuTime()
		for i := 0; i < len(set); i += step {
			sig, _, err := EncodeWith(set[i].scan, BreechFace, Options{Sector: &Sector{From: float64(137 * i), Share: c.share}})
			if err != nil {
				t.Fatal(err)
			}
			queries++
			s := &search{g: g, ctx: context.Background(), contents: g.now.Load(), query: NewTemplate(sig), kernel: fastest}
			s.admit(Class{}, func(id string) bool { return id != set[i].id })
			if err := s.shorten(g.limits.short); err != nil {
				t.Fatal(err)
			}
			on := map[string]bool{}
			for _, e := range s.field {
				on[s.id(e)] = true
			}
			for j, m := range set {
				if j != i && m.source == set[i].source {
					mates++
					listed += b2i(on[m.id])
				}
			}
		}
		t.Logf("%.0f %% of the face, %d distractors: of %d mates %d on the short list, %v of processor a query",
			100*c.share, n, mates, listed, ((cpuTime() - start) / time.Duration(queries)).Round(time.Millisecond))
		if float64(listed) < c.least*float64(mates) && n <= few {
			t.Errorf("%.0f %% of the face: of %d mates %d on the short list", 100*c.share, mates, listed)
		}
	}
}

func TestSearchFindsMatesInACrowd(t *testing.T) {
	set := searchSet(t)
	few, step := 4000, 4
	if raceDetector {
		step, few = 5, 1200
	}
	n := crowdSize(few)
	if n > few { // measured, not only guarded: by every mark of the set
		step = 1
	}
	g := crowd(t, set, n)
	mates, listed, first := recall(t, g, set, step)
	t.Logf("%d distractors: of %d mates %d on the short list, %d above all others", n, mates, listed, first)
	if 100*listed < 99*mates || first < listed {
		t.Errorf("%d distractors: of %d mates %d on the short list, %d above all others", n, mates, listed, first)
	}
}

// The stages' numbers are those of what was let through and kept, and the short
// list begins with the list itself.
func TestSearchTellsItsStages(t *testing.T) {
	g, all := smallGallery(t, 6, 2)
	g.limits = limits{short: 3, swept: 5, words: 7}
	q := all["f00-0"]
	done, err := g.SearchStages(context.Background(), q, Class{}, 1, func(id string) bool { return id != "f00-0" })
	if err != nil {
		t.Fatal(err)
	}
	if done.Admitted != 11 || done.Scanned != 11 || done.Swept != 5 || len(done.ShortList) != shortListKeep*1 {
		t.Errorf("%d admitted, %d scanned, %d swept, %d compared", done.Admitted, done.Scanned, done.Swept, len(done.ShortList))
	}
	if len(done.Found) != 1 || done.Found[0].ID != "f00-1" || done.ShortList[0] != "f00-1" {
		t.Errorf("found %v of short list %v", done.Found, done.ShortList)
	}
}

func TestScanAlone(t *testing.T) {
	g, all := smallGallery(t, 2, 2)
	scan := g.NewScan(all["f00-0"])
	work, err := scan.Run(context.Background())
	if err != nil || work.Signatures != 4 || work.Words < 4*turns || work.Kernel != fastest.String() {
		t.Errorf("%+v, %v", work, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := scan.Run(ctx); err == nil {
		t.Error("a cancelled scan ends as if it were whole")
	}
	if bits := CountWords(4096); bits < 4096*20 || CountWords(1) != bits || CountWords(4097) != 2*bits {
		t.Errorf("%d bits in 4,096 drawn words", bits)
	}
}
