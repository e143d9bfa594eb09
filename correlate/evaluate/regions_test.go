package evaluate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/fuse"
	"proofmark/correlate/synth"
)

// Two regions of the same exhibits, each with figures of its own, and both fused.
func TestRegionsOfExhibits(t *testing.T) {
	if plainOnly(t) {
		return
	}
	folder := fstest.MapFS{"text.x3p": {Data: []byte("no scan")}}
	var set []Labelled
	class, err := synth.ClassNamed("pistol-milled")
	if err != nil {
		t.Fatal(err)
	}
	deep := synth.Instrument{Pitch: 6.25e-6, Depth: 0.6e-3, Steepest: 3} // down to the pin's floor
	for gun := range uint64(3) {
		for shot := range uint64(2) {
			// One scan of the whole primer shows both regions.
			exhibit := fmt.Sprintf("E%d-%d", gun, shot)
			name := "whole primers/" + exhibit + ".x3p"
			folder[name] = &fstest.MapFile{Data: packed(class.Maker(7).Firearm(gun).Fire(shot, synth.Shot{Whole: true, Instrument: deep}))}
			for _, roi := range []correlate.ROI{correlate.BreechFace, correlate.FiringPin} {
				if gun == 2 && shot == 1 && roi == correlate.FiringPin {
					continue // one exhibit lacks a region
				}
				set = append(set, Labelled{Scan: name, Source: fmt.Sprint("gun ", gun), Exhibit: exhibit, Region: string(roi)})
			}
		}
	}
	set = append(set, Labelled{Scan: "text.x3p", Source: "gun 0", Exhibit: "E0-0", Region: "firing-pin"})
	e := mustRun(t, folder, set, Options{Seed: 1, Now: time.Now})
	if len(e.Regions) != 2 || e.Regions[0].ROI != correlate.BreechFace || e.Regions[1].Algorithm != correlate.FiringPinAlgorithm {
		t.Fatalf("%+v", e.Regions)
	}
	if e.Scans != 12 || e.Exhibits != 6 || e.Sources != 3 || e.Rejected != 1 || e.SamePairs != 3 || e.DifferentPairs != 12 || *e.AUC != 1 || *e.Rank1 != 1 || e.Queries != 6 {
		t.Errorf("%+v", e.Figures)
	}
	if bf, fp := e.Regions[0], e.Regions[1]; bf.SamePairs != 3 || fp.SamePairs != 2 || bf.Rejected != 0 || fp.Rejected != 1 || *e.CompareUS < *bf.CompareUS {
		t.Errorf("%+v\n%+v", bf, fp)
	}
	checkKeys(t, e)
	var text strings.Builder
	if err := e.Text(&text); err != nil || !strings.Contains(text.String(), "fused of breech-face firing-pin") || !strings.Contains(text.String(), "By region") || !strings.Contains(text.String(), "Likelihood ratios are of single regions") {
		t.Errorf("%v\n%s", err, text.String())
	}
	cut := mustRun(t, folder, set[:8], Options{Seed: 1, Sectors: []float64{50}})
	if cut.SamePairs != 4 || cut.DifferentPairs != 8 || *cut.AUC < 0.9 || len(cut.Regions[0].Cuts) != 1 {
		t.Errorf("cut: %+v", cut.Figures)
	}
	for name, c := range map[string][]Labelled{
		"bullets":     append([]Labelled{{Scan: "x", Source: "g", Region: "lea"}}, set...),
		"two sources": append([]Labelled{{Scan: "x", Source: "g", Exhibit: "E0-0"}}, set...),
	} {
		if _, err := Run(context.Background(), folder, c, Options{}); !errors.Is(err, ErrBadTruth) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Aperture shear, from the facet of a generated primer.
func TestShear(t *testing.T) {
	if plainOnly(t) {
		return
	}
	class, err := synth.ClassNamed("striker-round-shear")
	if err != nil {
		t.Fatal(err)
	}
	folder := fstest.MapFS{}
	var set []Labelled
	for gun := range uint64(2) {
		for shot := range uint64(2) {
			name := fmt.Sprintf("%d-%d.x3p", gun, shot)
			folder[name] = &fstest.MapFile{Data: packed(class.Maker(3).Firearm(gun+1).Fire(shot, synth.Shot{Whole: true}))}
			set = append(set, Labelled{Scan: name, Source: fmt.Sprint(gun)})
		}
	}
	e := mustRun(t, folder, set, Options{ROI: correlate.ApertureShear, Seed: 1, Now: time.Now})
	if e.Rejected != 0 || e.SamePairs != 2 || e.DifferentPairs != 4 || *e.AUC != 1 || *e.Rank1 != 1 || e.Cllr != nil || *e.EncodeMS <= 0 || !strings.Contains(strings.Join(e.Notes, " "), "No likelihood ratios") {
		t.Errorf("%+v", e.Figures)
	}
	checkKeys(t, e)
	if _, err := Run(context.Background(), folder, set, Options{ROI: correlate.ApertureShear, Sectors: []float64{25}}); err == nil || !strings.Contains(err.Error(), "leave them out") {
		t.Errorf("cut queries: %v", err)
	}
}

// Two exhibits weigh what a node would say of them; a region that one of them lacks
// changes nothing, and of two scans of a region the better one counts.
func TestFusedWeights(t *testing.T) {
	of := func(exhibits ...string) (out []*mark) {
		for _, x := range exhibits {
			out = append(out, &mark{Labelled: Labelled{Scan: x, Exhibit: x, Source: x}})
		}
		return out
	}
	pair := func(a, b int, score float64) Pair {
		p := Pair{Query: a, Other: b}
		p.Score = score
		return p
	}
	e := &Evaluation{marks: of("A", "B", "C")}
	faces := &Evaluation{marks: of("A", "B", "C", "A")} // the last one is A scanned again
	faces.Algorithm, faces.Pairs = correlate.Algorithm, []Pair{pair(0, 1, 0.3), pair(1, 3, 0.4), pair(0, 2, 0.05), pair(1, 2, 0.2)}
	pins := &Evaluation{marks: of("C", "A")}
	pins.Algorithm, pins.Pairs = correlate.FiringPinAlgorithm, []Pair{pair(0, 1, 0.6)}
	fuseRegions(e, []*Evaluation{faces, pins})
	weight := func(score float64) float64 { return fuse.Weigh(correlate.Algorithm, score) }
	want := []Pair{pair(0, 1, weight(0.4)), pair(0, 2, fuse.Weigh(correlate.FiringPinAlgorithm, 0.6)), pair(1, 2, weight(0.2))}
	if len(e.Pairs) != len(want) {
		t.Fatalf("%+v", e.Pairs)
	}
	for i, p := range e.Pairs {
		if p.Query != want[i].Query || p.Other != want[i].Other || !near(p.Score, want[i].Score, 1e-12) || p.Mates {
			t.Errorf("%d and %d weigh %g, want %g", p.Query, p.Other, p.Score, want[i].Score)
		}
	}
}
