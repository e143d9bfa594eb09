//go:build !race

package fuse

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// mark is one mark whose firearm is known: the whole, and a sector of it as a partial mark.
type mark struct {
	name, firearm string
	whole, part   *correlate.Template
}

const sectorShare = 0.10

// fadul are the marks of the research set, nil where it is missing.
var fadul = sync.OnceValues(func() ([]mark, error) {
	dir := filepath.Join("..", "..", "..", "shared", "scans", "fadul")
	f, err := os.Open(filepath.Join(dir, "truth.csv"))
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	rows = rows[1:]
	out, errs := make([]mark, len(rows)), make([]error, len(rows))
	each(len(rows), func(i int) {
		out[i].name, out[i].firearm = rows[i][0], rows[i][1]
		raw, err := os.ReadFile(filepath.Join(dir, rows[i][0]))
		if err != nil {
			errs[i] = err
			return
		}
		scan, err := x3p.Decode(raw, x3p.Options{})
		if err != nil {
			errs[i] = err
			return
		}
		s, _, err := correlate.Encode(scan, correlate.BreechFace)
		if err != nil {
			errs[i] = err
			return
		}
		out[i].whole = correlate.NewTemplate(s)
		// A sector in a direction of its own for each mark: mates overlap as it happens.
		p, _, err := correlate.EncodeWith(scan, correlate.BreechFace, correlate.Options{Sector: &correlate.Sector{From: float64(137 * i % 360), Share: sectorShare}})
		if err == nil {
			out[i].part = correlate.NewTemplate(p)
		}
		errs[i] = err
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
})

// each calls do for 0 ≤ i < n on all cores.
func each(n int, do func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// moments are a Gumbel distribution's mode and scale by mean and variance.
func moments(scores []float64) (mode, scale float64) {
	mean, square := 0.0, 0.0
	for _, s := range scores {
		mean += s / float64(len(scores))
	}
	for _, s := range scores {
		square += (s - mean) * (s - mean) / float64(len(scores))
	}
	scale = math.Sqrt(square*6) / math.Pi
	return mean - 0.57721566*scale, scale
}

// beyond is the share of scores that have at most the probability p by chance.
func (n Null) beyond(scores []float64, p float64) float64 {
	count := 0
	for _, s := range scores {
		if n.logChance(s) <= math.Log(p) {
			count++
		}
	}
	return float64(count) / float64(len(scores))
}

// scoresOf compares every two of n things of different firearms.
func scoresOf(n int, compare func(i, j int) (float64, bool)) []float64 {
	var mu sync.Mutex
	var out []float64
	each(n, func(i int) {
		for j := range i {
			if s, ok := compare(i, j); ok {
				mu.Lock()
				out = append(out, s)
				mu.Unlock()
			}
		}
	})
	slices.Sort(out)
	return out
}

// The constants are what the named populations give, and what they call improbable is so.
func TestNullsAreAsMeasured(t *testing.T) {
	check := func(name, algorithm string, scores []float64, tolerance float64) {
		n := nulls[algorithm]
		mode, scale := moments(scores)
		t.Logf("%s: %d pairs, mode %.4f, scale %.4f (%.4f, %.4f in use); p ≤ 0.1 in %.3f, p ≤ 0.01 in %.4f, the highest score %.4f has p = %.2g", name, len(scores), mode, scale, n.Mode, n.Scale,
			n.beyond(scores, 0.1), n.beyond(scores, 0.01), scores[len(scores)-1], math.Exp(n.logChance(scores[len(scores)-1])))
		if math.Abs(mode-n.Mode) > tolerance || math.Abs(scale-n.Scale) > tolerance/2 {
			t.Errorf("%s: mode %.4f and scale %.4f, in use are %.4f and %.4f: measure the null distribution again", name, mode, scale, n.Mode, n.Scale)
		}
		if got := n.beyond(scores, 0.1); got > 0.15 {
			t.Errorf("%s: one in ten by chance happens in %.3f", name, got)
		}
		if got := n.beyond(scores, 0.01); got > 0.03 {
			t.Errorf("%s: one in a hundred by chance happens in %.4f", name, got)
		}
	}
	set, err := fadul()
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		check("Fadul", correlate.Algorithm, scoresOf(len(set), func(i, j int) (float64, bool) {
			if set[i].firearm == set[j].firearm {
				return 0, false
			}
			return correlate.Compare(set[i].whole, set[j].whole).Score, true
		}), 0.004)
	}
	faces := make([]*correlate.Template, 10)
	each(len(faces), func(i int) {
		s, _, err := correlate.Encode(synth.NewMaker(uint64(i%4)).Firearm(uint64(i)).Fire(1, synth.Shot{}), correlate.BreechFace)
		if err != nil {
			t.Error(err)
			return
		}
		faces[i] = correlate.NewTemplate(s)
	})
	bullets := make([]*bullet.Template, 5)
	each(len(bullets), func(i int) {
		b := synth.NewBarrel(uint64(i)+1, synth.Rifling{Strength: 1.2})
		lands := make([]*bullet.Land, b.Lands())
		for k := range lands {
			var err error
			if lands[k], _, err = bullet.EncodeLand(b.FireLand(1, k, synth.LandShot{})); err != nil {
				t.Error(err)
				return
			}
		}
		s, err := bullet.NewBullet(lands)
		if err != nil {
			t.Error(err)
			return
		}
		bullets[i] = bullet.NewTemplate(s)
	})
	if t.Failed() {
		return
	}
	check("generated breech faces", correlate.Algorithm, scoresOf(len(faces), func(i, j int) (float64, bool) { return correlate.Compare(faces[i], faces[j]).Score, true }), 0.03)
	check("generated bullets", bullet.Algorithm, scoresOf(len(bullets), func(i, j int) (float64, bool) {
		c := bullet.CompareAll(bullets[i], bullets[j])
		return c.Score, c.Counted > 0
	}), 0.012)
}

// standing is how a query's mates came out: the share of queries whose first exhibit is a mate, the mean rank of the best mate, and the margin between its
// weight and that of the best exhibit of another firearm, in decades: mean and least.
type standing struct {
	queries       int
	first         float64
	rank          float64
	margin, least float64
}

func (s *standing) add(list []Ranked, mate func(exhibit string) bool) {
	best, other, rank := math.Inf(-1), 0.0, 0
	for _, r := range list {
		if mate(r.Exhibit) {
			if rank == 0 {
				best, rank = r.Weight, r.Rank
			}
		} else {
			other = max(other, r.Weight)
		}
	}
	if s.queries == 0 {
		s.least = math.Inf(1)
	}
	s.queries++
	if rank == 1 {
		s.first++
	}
	s.rank += float64(rank)
	s.margin += best - other
	s.least = min(s.least, best-other)
}

func (s *standing) String() string {
	n := float64(s.queries)
	return fmt.Sprintf("%d queries, a mate first for %.1f %%, mean rank %.2f, margin %.2f decades, least %.2f", s.queries, 100*s.first/n, s.rank/n, s.margin/n, s.least)
}

// Groups of 1, 2 and 3 exhibits of each firearm against partial marks of it: what a group is worth. Every exhibit that is not the query's stands in the
// gallery; a firearm's are known to belong together in groups of so many.
func TestGroupsOfExhibits(t *testing.T) {
	set, err := fadul()
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string][]mark{"made up": madeUp(10, 4, 6)}
	if set != nil {
		sets["Fadul"] = set
	}
	for name, set := range sets {
		weights := make([][]Region, len(set))
		each(len(set), func(i int) {
			weights[i] = make([]Region, len(set))
			for j := range set {
				if i != j {
					weights[i][j] = face(correlate.Compare(set[i].part, set[j].whole).Score)
				}
			}
		})
		var all []standing
		for size := 1; size <= 3; size++ {
			var s standing
			for i, query := range set {
				var list []Comparison
				number, groups := map[string]int{}, map[string]string{}
				for j, other := range set {
					// Of each firearm as many as the group has: what differs is the support, and how many chances there are.
					if i == j || number[other.firearm] == size {
						continue
					}
					number[other.firearm]++
					groups[other.name] = other.firearm
					list = append(list, Comparison{query.name, other.name, []Region{weights[i][j]}})
				}
				if number[query.firearm] < size {
					continue
				}
				s.add(Rank(query.name, list, func(e string) string { return groups[e] }), func(e string) bool { return groups[e] == query.firearm })
			}
			t.Logf("%s, sectors of %.0f %% against groups of %d: %v", name, 100*sectorShare, size, &s)
			all = append(all, s)
		}
		one, three := all[0], all[2]
		if one.queries == 0 || three.queries == 0 {
			t.Fatalf("%s: nothing was measured", name)
		}
		if three.first/float64(three.queries) < one.first/float64(one.queries) || three.margin/float64(three.queries) <= one.margin/float64(one.queries) {
			t.Errorf("%s: groups of three stand at %v, single exhibits at %v", name, &three, &one)
		}
	}
}

// madeUp are marks of band-limited noise, each with noise of its own so many tenths as strong as the firearm's; the part is a sector of the picture.
func madeUp(firearms, marks int, noise float64) []mark {
	out := make([]mark, firearms*marks)
	each(len(out), func(i int) {
		gun := uint64(i / marks)
		out[i] = mark{name: fmt.Sprintf("%d-%d", gun, i%marks), firearm: fmt.Sprint(gun)}
		out[i].whole = picture(correlate.BreechFace, gun, uint64(i), noise/10, 0, 360)
		out[i].part = picture(correlate.BreechFace, gun, uint64(i), noise/10, float64(47*i%360), 360*sectorShare)
	})
	return out
}

// picture is the mark of a region: the firearm's noise and the shot's.
func picture(roi correlate.ROI, firearm, shot uint64, noise, from, span float64) *correlate.Template {
	pixels := synth.Picture{Firearm: firearm, Shot: shot, Noise: noise, From: from, Span: span}.Pixels(correlate.SignatureSide)
	s, err := correlate.SignatureFromPixels(correlate.SignatureFacts{ROI: roi, Origin: correlate.OriginAperture, Aperture: 500, RMS: 1, Quality: 0.9, Levels: 6}, pixels)
	if err != nil {
		panic(err)
	}
	return correlate.NewTemplate(s)
}

// Fused, two regions find mates that neither finds alone: breech faces that are hardly marked, with firing pins of which every second is lost.
func TestFusionOfRegions(t *testing.T) {
	const firearms = 40
	type exhibit struct{ face, pin *correlate.Template }
	gallery, queries := make([]exhibit, firearms), make([]exhibit, firearms)
	each(firearms, func(i int) {
		gun := uint64(i)
		gallery[i] = exhibit{picture(correlate.BreechFace, gun, 1000+gun, 1.4, 0, 60), picture(correlate.FiringPin, 100+gun, 2000+gun, 1.2, 0, 360)}
		queries[i] = exhibit{picture(correlate.BreechFace, gun, 3000+gun, 1.4, 0, 60), picture(correlate.FiringPin, 100+gun, 4000+gun, 1.2, 0, 360)}
		if i%2 == 0 {
			queries[i].pin = nil
		}
	})
	var faces, pins, fused standing
	var mu sync.Mutex
	each(firearms, func(i int) {
		var onlyFaces, onlyPins, both []Comparison
		for j := range firearms {
			name := fmt.Sprint(j)
			regions := []Region{face(correlate.Compare(queries[i].face, gallery[j].face).Score)}
			onlyFaces = append(onlyFaces, Comparison{"q", name, regions[:1]})
			if queries[i].pin != nil {
				regions = append(regions, pin(correlate.Compare(queries[i].pin, gallery[j].pin).Score))
				onlyPins = append(onlyPins, Comparison{"q", name, regions[1:]})
			}
			both = append(both, Comparison{"q", name, regions})
		}
		mate := func(e string) bool { return e == fmt.Sprint(i) }
		mu.Lock()
		defer mu.Unlock()
		faces.add(Rank("q", onlyFaces, nobody), mate)
		fused.add(Rank("q", both, nobody), mate)
		if onlyPins != nil {
			pins.add(Rank("q", onlyPins, nobody), mate)
		}
	})
	t.Logf("breech faces alone: %v", &faces)
	t.Logf("firing pins alone:  %v", &pins)
	t.Logf("fused:              %v", &fused)
	if fused.first <= faces.first || fused.first < pins.first || fused.margin <= faces.margin {
		t.Errorf("fused %v, faces %v, pins %v", &fused, &faces, &pins)
	}
}
