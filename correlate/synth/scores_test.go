//go:build !race

package synth_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"proofmark/correlate"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// mark is an encoded scan of a source.
type mark struct {
	source string
	*correlate.Template
}

// marksOf encodes scans that are made or read one by one.
func marksOf(t *testing.T, n int, scan func(i int) (source string, s *x3p.Scan)) []mark {
	t.Helper()
	set := make([]mark, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			source, s := scan(i)
			sig, _, err := correlate.Encode(s, correlate.BreechFace)
			if err != nil {
				t.Errorf("%s: %v", source, err)
				return
			}
			set[i] = mark{source, correlate.NewTemplate(sig)}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return set
}

// scores compares all with all; both lists rise.
func scores(set []mark) (same, different []float64) {
	for i := range set {
		for j := range i {
			s := correlate.Compare(set[i].Template, set[j].Template).Score
			if set[i].source == set[j].source {
				same = append(same, s)
			} else {
				different = append(different, s)
			}
		}
	}
	slices.Sort(same)
	slices.Sort(different)
	return same, different
}

func quantiles(v []float64) (q [3]float64) {
	for k, p := range []float64{0.05, 0.5, 0.95} {
		q[k] = v[int(p*float64(len(v)-1))]
	}
	return q
}

// Scores of all 63 and 717 real pairs: quantiles of 5, 50 and 95 %.
var (
	realSame      = [3]float64{0.550, 0.641, 0.712}
	realDifferent = [3]float64{0.055, 0.100, 0.154}
)

// The comparison finds generated firearms as like and unlike as the real slides.
// Where the real scans are, they say what that is; the comparison may have changed.
func TestScoresAreLikeReal(t *testing.T) {
	t.Parallel()
	wantSame, wantDifferent := realSame, realDifferent
	dir := filepath.Join("..", "..", "..", "shared", "scans", "fadul")
	if _, err := os.Stat(dir); err == nil {
		names := []string{"1-1", "1-2", "2-1", "2-2", "3-1", "3-2", "4-1", "4-2", "5-1", "5-2", "6-1", "6-2", "7-1", "7-2", "8-1", "8-2"}
		same, different := scores(marksOf(t, len(names), func(i int) (string, *x3p.Scan) {
			b, err := os.ReadFile(filepath.Join(dir, "fadul-"+names[i]+".x3p"))
			if err != nil {
				t.Error(err)
				return names[i], nil
			}
			s, err := x3p.Decode(b, x3p.Options{})
			if err != nil {
				t.Error(err)
			}
			return names[i][:1], s
		}))
		wantSame, wantDifferent = quantiles(same), quantiles(different)
		t.Logf("real: same %.3f, different %.3f", wantSame, wantDifferent)
	}
	for _, class := range synth.Classes()[1:3] {
		m := class.Maker(2)
		same, different := scores(marksOf(t, 12, func(i int) (string, *x3p.Scan) {
			return fmt.Sprint(i / 3), m.Firearm(uint64(i/3)).Fire(uint64(i), synth.Shot{})
		}))
		gotSame, gotDifferent := quantiles(same), quantiles(different)
		t.Logf("%s: same %.3f, different %.3f", class.Name, gotSame, gotDifferent)
		for k := range 3 {
			// The 5 % quantile of twelve pairs is the least of them.
			if d := gotSame[k] - wantSame[k]; math.Abs(d) > [3]float64{0.16, 0.12, 0.1}[k] {
				t.Errorf("%s: same firearm %.3f, real %.3f (quantiles of 5, 50, 95 %%)", class.Name, gotSame, wantSame)
			}
			if d := gotDifferent[k] - wantDifferent[k]; d < -0.05 || d > 0.05 {
				t.Errorf("%s: different firearms %.3f, real %.3f", class.Name, gotDifferent, wantDifferent)
			}
		}
	}
}

// Slides of one tool score above independent ones, the more the nearer they were cut.
func TestConsecutiveSlidesScore(t *testing.T) {
	t.Parallel()
	c, err := synth.ClassNamed("pistol-cast")
	if err != nil {
		t.Fatal(err)
	}
	run := c.Maker(3).Run(1, 5, synth.Tool{Share: 0.9, Carry: 0.9})
	set := marksOf(t, len(run), func(i int) (string, *x3p.Scan) { return "", run[i].Fire(1, synth.Shot{}) })
	score := func(apart int) (mean float64) {
		for i := range len(set) - apart {
			mean += correlate.Compare(set[i].Template, set[i+apart].Template).Score / float64(len(set)-apart)
		}
		return mean
	}
	near, far := score(1), score(4)
	t.Logf("neighbours %.3f, four apart %.3f", near, far)
	if near < 0.3 || far > near-0.05 {
		t.Errorf("neighbours score %.3f, slides four apart %.3f", near, far)
	}
}
