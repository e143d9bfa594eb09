package evaluate

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// generatedSet fires shots from firearms of two makers; the last scan is of no
// breech face, and its fate is a rejection.
var generatedSet = sync.OnceValues(func() (fs.FS, []Labelled) {
	folder := fstest.MapFS{}
	var set []Labelled
	var mu sync.Mutex
	var wg sync.WaitGroup
	for gun := range 5 {
		m := synth.NewMaker(uint64(60 + gun%2))
		for shot := range 3 {
			l := Labelled{Scan: fmt.Sprintf("g%d-%d.x3p", gun, shot), Source: fmt.Sprintf("gun %d", gun), Make: fmt.Sprintf("maker %d", gun%2), Calibre: "9x19", Ammunition: fmt.Sprintf("brand %d", shot%2)}
			set = append(set, l)
			wg.Go(func() {
				b := packed(m.Firearm(uint64(gun)).Fire(uint64(shot), synth.Shot{}))
				mu.Lock()
				folder[l.Scan] = &fstest.MapFile{Data: b}
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	folder["text.x3p"] = &fstest.MapFile{Data: []byte("no scan")}
	return folder, append(set, Labelled{Scan: "text.x3p", Source: "gun 0", Make: "maker 0", Calibre: "9x19"})
})

func packed(s *x3p.Scan) []byte {
	var b bytes.Buffer
	if err := x3p.Write(&b, s); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// plainOnly tells whether a test of pure computation is left to the run without
// the race detector, which make test does in full.
func plainOnly(t *testing.T) bool {
	t.Helper()
	if raced {
		t.Log("left to the run without the race detector")
	}
	return raced
}

func mustRun(t *testing.T, folder fs.FS, set []Labelled, o Options) *Evaluation {
	t.Helper()
	e, err := Run(context.Background(), folder, set, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestGeneratedScans(t *testing.T) {
	folder, set := generatedSet()
	var stages []string
	clock := time.Unix(0, 0)
	e := mustRun(t, folder, set, Options{
		Seed:     3,
		Now:      func() time.Time { clock = clock.Add(time.Millisecond); return clock },
		Progress: func(stage string, done, total int) { stages = append(stages, fmt.Sprint(stage, done == total)) },
	})
	if e.Scans != 16 || e.Sources != 5 || e.SamePairs != 15 || e.DifferentPairs != 90 || e.Rejected != 1 || e.Rejections[0].Scan != "text.x3p" {
		t.Errorf("%+v", e.Figures)
	}
	if *e.AUC != 1 || *e.EER != 0 || *e.TPRAtFPR0 != 1 || *e.MissAtFPR0 != 0 || *e.Rank1 != 1 || *e.Top10 != 1 || *e.WorstRank != 1 || e.Queries != 15 || e.Gallery != 15 {
		t.Errorf("%+v", e.Figures)
	}
	if *e.Gap != *e.SameMin-*e.DifferentMax || *e.Gap <= 0 || *e.MarginMin < *e.Gap {
		t.Errorf("gap %g of %g and %g, margin %g", *e.Gap, *e.SameMin, *e.DifferentMax, *e.MarginMin)
	}
	if *e.Rank1OfAll != 15.0/16 { // the scan that is none has mates in the table
		t.Errorf("rank 1 of all labelled scans: %g", *e.Rank1OfAll)
	}
	if *e.BytesMean < 500 || *e.BytesMax > correlate.MaxSignatureSize || float64(*e.BytesMax) < *e.BytesMean {
		t.Errorf("%g bytes, largest %d", *e.BytesMean, *e.BytesMax)
	}
	if *e.EncodeMS != 1 || *e.CompareUS != 1000 { // of the test's clock
		t.Errorf("%g ms, %g µs", *e.EncodeMS, *e.CompareUS)
	}
	if e.Coarse == nil || *e.CoarseUS <= 0 || e.Coarse.Words < 4*192 || e.Coarse.LimitUS <= 0 || *e.ShortlistRecall != 1 || e.ShortlistOf != 14 {
		t.Errorf("coarse %+v, recall %v of %d", e.Coarse, e.ShortlistRecall, e.ShortlistOf)
	}
	// Five firearms bound the ratios: how near to 1 (silence) that leaves Cllr is up to them.
	if e.Cllr == nil || e.CllrMin == nil {
		t.Fatalf("Cllr %v, min %v", e.Cllr, e.CllrMin)
	}
	t.Logf("Cllr %.3f", *e.Cllr)
	if *e.Cllr > 0.9 || *e.CllrMin > *e.Cllr || e.Calibration.CrossFolds != 5 {
		t.Errorf("Cllr %.3f, min %.3f, %+v", *e.Cllr, *e.CllrMin, e.Calibration)
	}
	var parts []string
	pairs := 0
	for _, g := range e.Groups {
		parts = append(parts, g.Name)
		if strings.Contains(g.Name, "ammunition") {
			pairs += g.SamePairs
		}
	}
	for _, want := range []string{"same ammunition", "different ammunition", "make maker 0", "make maker 1", "different makes"} {
		if !slices.Contains(parts, want) {
			t.Errorf("no part %q among %q", want, parts)
		}
	}
	if pairs != 15 {
		t.Errorf("%+v", e.Groups)
	}
	for _, s := range []string{"encoding scanstrue", "comparing pairstrue"} {
		if !slices.Contains(stages, s) {
			t.Errorf("%s was not reported", s)
		}
	}
	if notes := strings.Join(e.Notes, "\n"); !strings.Contains(notes, "3/n") || !strings.Contains(notes, "not independent") || !strings.Contains(notes, "text.x3p") {
		t.Error(notes)
	}
	checkReport(t, e)
}

func TestEqualSeedsGiveEqualFigures(t *testing.T) {
	if plainOnly(t) {
		return
	}
	folder, set := generatedSet()
	o := Options{Sectors: []float64{60}, Distractors: 2, Seed: 3}
	set = set[1:5]
	a, b := mustRun(t, folder, set, o), mustRun(t, folder, set, o)
	if !reflect.DeepEqual(a.Figures, b.Figures) {
		t.Errorf("a second run found\n%+v\nafter\n%+v", b.Figures, a.Figures)
	}
}

// promisedKeys are there at the top level of every evaluation, null where the set
// does not allow them.
var promisedKeys = strings.Fields(`scans sources same_pairs different_pairs auc eer tpr_at_fpr0 rank1 top10 same_min
	different_max cllr bytes_mean bytes_max rejected encode_ms compare_us coarse_us shortlist_recall`)

func checkKeys(t *testing.T, e *Evaluation) {
	t.Helper()
	b, err := json.Marshal(e.Figures)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range promisedKeys {
		if _, ok := keys[k]; !ok {
			t.Errorf("JSON has no %s", k)
		}
	}
}

// checkReport reads what is written for people and programs.
func checkReport(t *testing.T, e *Evaluation) {
	t.Helper()
	checkKeys(t, e)
	pictures := e.Pictures()
	if len(pictures) != 7 {
		t.Errorf("%d pictures", len(pictures))
	}
	for _, p := range pictures {
		d := xml.NewDecoder(bytes.NewReader(p.SVG))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
		}
		if bytes.Contains(p.SVG, []byte("NaN")) || bytes.Contains(p.SVG, []byte("Inf")) {
			t.Errorf("%s holds a number that is none", p.Name)
		}
	}
	var text, page bytes.Buffer
	if err := errors.Join(e.Text(&text), e.Markdown(&page, pictures)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"AUC", "gap between them", "Cllr", "rejected by quality", "this set, each pair weighed by a model fitted without its firearms"} {
		if !strings.Contains(text.String(), want) || !strings.Contains(page.String(), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if !strings.Contains(page.String(), "(tippett.svg)") {
		t.Error("the page does not show its plots")
	}
}

func TestCutQueries(t *testing.T) {
	if plainOnly(t) {
		return
	}
	folder, set := generatedSet()
	set = set[:6] // two firearms
	e := mustRun(t, folder, set, Options{Sectors: []float64{50, 30}, Seed: 1, Seeds: 2, Fragment: true})
	if e.SamePairs != 12 || e.DifferentPairs != 18 || *e.AUC < 0.95 || *e.Sector != 50 || !e.Fragment {
		t.Errorf("%+v", e.Figures)
	}
	if len(e.Cuts) != 8 || len(e.ByPartialArea) != 4 || *e.Cuts[0].AUC != *e.AUC || *e.Cuts[0].SameMin != *e.SameMin {
		t.Fatalf("%+v\n%+v", e.Cuts, e.ByPartialArea)
	}
	for i, c := range e.Cuts {
		share, seed := []float64{50, 30}[i/2%2], uint64(1+i%2)
		if c.Share != share || c.Seed != seed || c.Fragment != (i < 4) || c.Lost != 0 || c.SamePairs != 12 || *c.AreaMedian <= 0 {
			t.Errorf("cut %d: %+v", i, c)
		}
		// A partial mark keeps the whole scan's origin, a fragment finds its own.
		if c.Fragment != (*c.OriginMax > 0) || *c.OriginMedian > *c.OriginMax {
			t.Errorf("cut %d: origin off by %g µm at most", i, *c.OriginMax)
		}
	}
	if whole := e.ByPartialArea[0]; whole.Seeds != 2 || whole.AUC.Min > whole.AUC.Median || whole.AUC.Median > whole.AUC.Max || whole.Area.Min < e.ByPartialArea[1].Area.Max {
		t.Errorf("%+v", e.ByPartialArea)
	}
	notes := strings.Join(e.Notes, " ")
	if !strings.Contains(notes, "partial mark") || !strings.Contains(notes, "fragment") {
		t.Error("the report does not say what the two settings are")
	}
	if e.Cllr != nil || !strings.Contains(strings.Join(e.Notes, " "), "No likelihood ratios") {
		t.Errorf("two firearms gave Cllr %v", e.Cllr)
	}
	if *e.Cuts[0].SameMin == *e.Cuts[1].SameMin {
		t.Error("another seed cut in the same direction")
	}
	marks := mustRun(t, folder, set, Options{Sectors: []float64{50}, Seed: 2})
	if *marks.SameMin != *e.Cuts[5].SameMin || marks.Fragment || len(marks.Cuts) != 1 {
		t.Error("partial marks alone are not those measured beside the fragments")
	}
}

func TestSectorHoldsItsShare(t *testing.T) {
	if plainOnly(t) {
		return
	}
	s := synth.NewMaker(1).Firearm(1).Fire(1, synth.Shot{})
	cx, cy := float64(s.SizeX)*s.IncX*5e5, float64(s.SizeY)*s.IncY*5e5
	valid := len(s.Z) - s.Missing()
	for _, share := range []float64{0.25, 0.1} {
		for _, start := range []float64{0, 100, 359} {
			cut := cutSector(s, cx, cy, share, start)
			if got := float64(len(cut.Z)-cut.Missing()) / float64(valid); !near(got, share, 0.01) {
				t.Errorf("%g from %g° holds %.3f", share, start, got)
			}
			low, high := 360.0, 0.0
			for i, z := range cut.Z {
				if math.IsNaN(z) {
					continue
				}
				if z != s.Z[i] {
					t.Fatal("a height was changed")
				}
				a := math.Mod(math.Atan2((float64(i/s.SizeX)+0.5)*s.IncY*1e6-cy, (float64(i%s.SizeX)+0.5)*s.IncX*1e6-cx)*180/math.Pi-start+720, 360)
				low, high = min(low, a), max(high, a)
			}
			if low > 5 || high > 200 {
				t.Errorf("%g from %g°: directions %.0f° to %.0f°", share, start, low, high)
			}
		}
	}
}

func TestDistractorsAreNobodys(t *testing.T) {
	folder, set := generatedSet()
	set = set[:6]
	e := mustRun(t, folder, set, Options{Distractors: 40, Seed: 1})
	if len(e.Growth) != 2 || e.Gallery != 46 || e.ShortlistOf != 45 {
		t.Fatalf("%+v", e.Growth)
	}
	for i, g := range e.Growth {
		if g.Distractors != 40*i || g.Gallery != 6+40*i || g.Queries != 6 || *g.Rank1 != 1 || *g.ShortlistRecall != 1 || g.WorstIsAtLeast {
			t.Errorf("%+v", g)
		}
	}
	if d := e.Growth[1].DistractorMax; d == nil || !(*d > 0 && *d < *e.SameMin) || e.Growth[0].DistractorMax != nil {
		t.Errorf("best distractor %v beside least mate %g", d, *e.SameMin)
	}
	if !strings.Contains(strings.Join(e.Notes, " "), "prove nothing about other firearms") {
		t.Error("the report does not say what distractors do not prove")
	}
	if plainOnly(t) {
		return
	}
	// Whole queries first, then each kind of cut one.
	e = mustRun(t, folder, set, Options{Distractors: 12, Sectors: []float64{50, 30}, Seeds: 2, Seed: 1})
	var kinds []string
	for _, g := range e.Growth {
		kind := "whole"
		if g.Share != nil {
			kind = fmt.Sprint(*g.Share)
		}
		kinds = append(kinds, fmt.Sprint(g.Distractors, " ", kind))
	}
	if want := []string{"0 whole", "0 30", "0 50", "12 whole", "12 30", "12 50"}; !slices.Equal(kinds, want) {
		t.Errorf("%q, want %q", kinds, want)
	}
}

func TestDistractorsDiffer(t *testing.T) {
	folder, set := generatedSet()
	how, err := methodOf(correlate.BreechFace)
	if err != nil {
		t.Fatal(err)
	}
	marks, err := readMarks(parallel{ctx: context.Background()}, folder, set[:4], how, nil)
	if err != nil {
		t.Fatal(err)
	}
	mix := &mixer{seed: 5}
	for _, m := range marks {
		mix.reliefs = append(mix.reliefs, newRelief(m.whole.(face).Signature(), m.Source))
	}
	seen := map[string]bool{}
	var first *correlate.Template
	for i := range 60 {
		s, err := mix.distractor(i)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := mix.distractor(i)
		packed, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := again.MarshalBinary(); !bytes.Equal(b, packed) {
			t.Error("an equal seed drew another distractor")
		}
		if seen[string(packed)] {
			t.Errorf("distractor %d was there before", i)
		}
		seen[string(packed)] = true
		if area := s.AreaMM2(); area < 0.4 {
			t.Errorf("distractor %d has %.2f mm²", i, area)
		}
		d := correlate.NewTemplate(s)
		for _, m := range marks {
			if c := correlate.Compare(d, m.whole.(face).Template); c.Score > 0.4 {
				t.Errorf("distractor %d scores %.3f with a mark of the set", i, c.Score)
			}
		}
		if first == nil {
			first = d
		} else if c := correlate.Compare(first, d); c.Score > 0.4 {
			t.Errorf("distractors 0 and %d score %.3f", i, c.Score)
		}
	}
}

func TestModelOfOthers(t *testing.T) {
	if plainOnly(t) {
		return
	}
	folder, set := generatedSet()
	m, own, err := Calibrate(context.Background(), folder, set, Options{Seed: 1}, "generated", "1", []string{"never fired"})
	if err != nil {
		t.Fatal(err)
	}
	if m.Population.Scans != 15 || m.Population.Sources != 5 || len(m.Population.Classes) != 2 || len(m.Population.Limits) != 3 || own.Cllr == nil {
		t.Errorf("%+v", m.Population)
	}
	weighed := func(relabel func(Labelled) Labelled) *Evaluation {
		e := &Evaluation{Figures: Figures{Algorithm: own.Algorithm}, Pairs: own.Pairs, roc: own.roc}
		for _, k := range own.marks {
			k := *k
			k.Labelled = relabel(k.Labelled)
			e.marks = append(e.marks, &k)
		}
		if err := e.weigh(m); err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := weighed(func(l Labelled) Labelled { return l })
	if e.Cllr == nil || *e.Cllr > 0.6 || e.Calibration.NotCalibrated != 0 || e.Calibration.Population != "generated" {
		t.Errorf("%v %+v", e.Cllr, e.Calibration)
	}
	e = weighed(func(l Labelled) Labelled { l.Make = "Other"; return l })
	if e.Cllr != nil || e.Calibration.NotCalibrated != len(e.Pairs) {
		t.Errorf("a make that the population does not hold: Cllr %v, %+v", e.Cllr, e.Calibration)
	}
	e = weighed(func(l Labelled) Labelled { return Labelled{Scan: l.Scan, Source: l.Source} })
	if e.Cllr == nil || !strings.Contains(strings.Join(e.Notes, " "), "taken for granted") {
		t.Errorf("a table without makes: Cllr %v, %v", e.Cllr, e.Notes)
	}
	alien := *m
	alien.Algorithm = "other/1"
	if _, err := Run(context.Background(), folder, set, Options{Model: &alien}); err == nil || !strings.Contains(err.Error(), "other/1") {
		t.Errorf("a model of another algorithm: %v", err)
	}
	if _, _, err := Calibrate(context.Background(), folder, set[:6], Options{}, "two", "1", nil); !errors.Is(err, calibrate.ErrTooFew) {
		t.Errorf("two firearms: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	folder, set := generatedSet()
	ctx := context.Background()
	for name, c := range map[string]struct {
		set  []Labelled
		o    Options
		want error
		says string
	}{
		"sector of all":    {set, Options{Sectors: []float64{100}}, nil, "sector of 100 %"},
		"no number":        {set, Options{Sectors: []float64{math.NaN()}}, nil, "sector of NaN"},
		"sector twice":     {set, Options{Sectors: []float64{25, 25}}, nil, "given twice"},
		"seeds of nothing": {set, Options{Seeds: 3}, nil, "give a sector"},
		"many seeds":       {set, Options{Sectors: []float64{25}, Seeds: 21}, nil, "21 seeds"},
		"negative":         {set, Options{Distractors: -1}, nil, "-1 distractors"},
		"other region":     {set, Options{ROI: correlate.EjectorMark}, correlate.ErrUnsupportedROI, "ejector-mark"},
		"another folder":   {[]Labelled{{Scan: "gone.x3p", Source: "x"}, {Scan: "lost.x3p", Source: "y"}}, Options{}, fs.ErrNotExist, "none of the table's 2 scans"},
	} {
		_, err := Run(ctx, folder, c.set, c.o)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Run(ended, folder, set, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// The real set of the recipe, where it is at hand: see docs/accuracy.md.
func TestRealScans(t *testing.T) {
	if plainOnly(t) {
		return
	}
	dir := filepath.Join("..", "..", "..", "shared", "scans", "fadul")
	f, err := os.Open(filepath.Join(dir, "truth.csv"))
	if err != nil {
		t.Log("no real scans here; TestGeneratedScans stands alone")
		return
	}
	defer f.Close()
	set, err := ReadTruth(f)
	if err != nil {
		t.Fatal(err)
	}
	e := mustRun(t, os.DirFS(dir), set, Options{Seed: 1, Model: calibrate.Default()})
	t.Logf("AUC %g, gap %.3f, Cllr %.4f", *e.AUC, *e.Gap, *e.Cllr)
	if e.SamePairs != 63 || e.DifferentPairs != 717 || *e.AUC != 1 || *e.Rank1 != 1 || e.Rejected != 0 || *e.Gap < 0.3 {
		t.Errorf("%+v", e.Figures)
	}
	if *e.CllrMin != 0 || *e.Cllr > 0.25 {
		t.Errorf("Cllr %g, at best %g: fit the default model anew", *e.Cllr, *e.CllrMin)
	}
}
