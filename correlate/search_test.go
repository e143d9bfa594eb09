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
