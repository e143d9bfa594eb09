package correlate

import (
	"context"
	"os"
	"strconv"
	"testing"
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
			if mate(s.record(e).id) {
				mates++
			}
		}
		if err := s.shorten(g.limits.short); err != nil {
			tb.Fatal(err)
		}
		for _, e := range s.field {
			if mate(s.record(e).id) {
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

func TestSearchFindsMatesInACrowd(t *testing.T) {
	set := searchSet(t)
	n := 4000
	step := 4
	if raceDetector {
		step, n = 5, 1200
	}
	if s := os.Getenv("PROOFMARK_CROWD"); s != "" {
		n, _ = strconv.Atoi(s)
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
