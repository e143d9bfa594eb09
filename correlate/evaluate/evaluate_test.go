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
	if e.AUC != 1 || e.EER != 0 || e.TPRAtFPR0 != 1 || e.Rank1 != 1 || e.Top10 != 1 || e.WorstRank != 1 || e.Queries != 15 || e.Gallery != 15 {
		t.Errorf("%+v", e.Figures)
	}
	if e.Gap != e.SameMin-e.DifferentMax || e.Gap <= 0 {
		t.Errorf("gap %g of %g and %g", e.Gap, e.SameMin, e.DifferentMax)
	}
	if e.BytesMean < 500 || e.BytesMax > correlate.MaxSignatureSize || float64(e.BytesMax) < e.BytesMean {
		t.Errorf("%g bytes, largest %d", e.BytesMean, e.BytesMax)
	}
	if e.EncodeMS != 1 || e.CompareUS != 1000 { // of the test's clock
		t.Errorf("%g ms, %g µs", e.EncodeMS, e.CompareUS)
	}
	if e.Cllr == nil || *e.Cllr > 0.7 || *e.CllrMin > *e.Cllr || e.Calibration.CrossFolds != 5 {
		t.Errorf("Cllr %v, %+v", e.Cllr, e.Calibration)
	}
	if len(e.Groups) != 4 || e.Groups[0].SamePairs+e.Groups[1].SamePairs != 15 {
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
	o := Options{Sector: 60, Distractors: 2, Seed: 3}
	set = set[1:5]
	a, b := mustRun(t, folder, set, o), mustRun(t, folder, set, o)
	if !reflect.DeepEqual(a.Figures, b.Figures) {
		t.Errorf("a second run found\n%+v\nafter\n%+v", b.Figures, a.Figures)
	}
}

// checkReport reads what is written for people and programs.
func checkReport(t *testing.T, e *Evaluation) {
	t.Helper()
	b, err := json.Marshal(e.Figures)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range strings.Fields("scans sources same_pairs different_pairs auc eer tpr_at_fpr0 rank1 top10 same_min different_max cllr bytes_mean bytes_max rejected encode_ms compare_us") {
		if _, ok := keys[k]; !ok {
			t.Errorf("JSON has no %s", k)
		}
	}
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
	e := mustRun(t, folder, set, Options{Sector: 50, Seed: 1})
	if e.SamePairs != 12 || e.DifferentPairs != 18 || e.AUC < 0.95 || e.Sector != 50 || e.CutLost != 0 || !(e.CutCentreMedian > 0 && e.CutCentreMedian <= e.CutCentreMax) {
		t.Errorf("%+v", e.Figures)
	}
	if e.Cllr != nil || !strings.Contains(strings.Join(e.Notes, " "), "No likelihood ratios") {
		t.Errorf("two firearms gave Cllr %v", e.Cllr)
	}
	other := mustRun(t, folder, set, Options{Sector: 50, Seed: 2})
	if other.SameMin == e.SameMin {
		t.Error("another seed cut in the same direction")
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
	e := mustRun(t, folder, set, Options{Distractors: 6, Seed: 1})
	p := e.Padded
	if p == nil || p.Distractors != 6 || p.Gallery != 12 || e.Gallery != 12 || p.Queries != 6 {
		t.Fatalf("%+v", p)
	}
	if e.Rank1 != 1 || !(p.DistractorMax < e.SameMin) || p.DistractorMax <= 0 {
		t.Errorf("rank 1 %g, best distractor %g beside least mate %g", e.Rank1, p.DistractorMax, e.SameMin)
	}
	if e.ShortlistRecall == nil || *e.ShortlistRecall != 1 || p.ShouldBeListed != 12 {
		t.Errorf("recall %v, %+v", e.ShortlistRecall, p)
	}
	if !strings.Contains(strings.Join(e.Notes, " "), "prove nothing about other firearms") {
		t.Error("the report does not say what distractors do not prove")
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
		e := &Evaluation{Figures: Figures{Algorithm: own.Algorithm}, Pairs: own.Pairs}
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
		"sector of all":    {set, Options{Sector: 100}, nil, "sector of 100 %"},
		"no number":        {set, Options{Sector: math.NaN()}, nil, "sector of NaN"},
		"negative":         {set, Options{Distractors: -1}, nil, "-1 distractors"},
		"other region":     {set, Options{ROI: correlate.FiringPin}, correlate.ErrUnsupportedROI, "firing-pin"},
		"missing file":     {append([]Labelled{{Scan: "gone.x3p", Source: "x"}}, set[:2]...), Options{}, fs.ErrNotExist, "gone.x3p"},
		"one firearm":      {set[:3], Options{}, ErrNoPairs, "0 different-source"},
		"no mates":         {[]Labelled{set[0], set[3]}, Options{}, ErrNoPairs, "0 same-source"},
		"nothing readable": {[]Labelled{set[15], set[0]}, Options{}, ErrNoPairs, "both kinds"},
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
	t.Logf("AUC %g, gap %.3f, Cllr %.4f", e.AUC, e.Gap, *e.Cllr)
	if e.SamePairs != 63 || e.DifferentPairs != 717 || e.AUC != 1 || e.Rank1 != 1 || e.Rejected != 0 || e.Gap < 0.3 {
		t.Errorf("%+v", e.Figures)
	}
	if *e.CllrMin != 0 || *e.Cllr > 0.25 {
		t.Errorf("Cllr %g, at best %g: fit the default model anew", *e.Cllr, *e.CllrMin)
	}
}
