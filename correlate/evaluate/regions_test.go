package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
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
	if err := e.Text(&text); err != nil || !strings.Contains(text.String(), "fused of breech-face firing-pin") || !strings.Contains(text.String(), "By region") || !strings.Contains(text.String(), "no sum of evidence") {
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

func TestDeviations(t *testing.T) {
	var pairs []Pair
	for _, p := range []struct {
		mates bool
		score float64
	}{{false, 0.1}, {false, 0.3}, {true, 0.9}, {false, 0.1}, {false, 0.3}} {
		pairs = append(pairs, Pair{calibrate.Pair{Features: calibrate.Features{Score: p.score}}, 0, 1, p.mates})
	}
	if z := newNull(pairs).deviations(0.5); !near(z, 3, 1e-9) {
		t.Errorf("%g deviations, want 3", z)
	}
	if z := newNull(pairs[:3]).deviations(0.5); z != 0.5 {
		t.Errorf("two pairs of others made a null: %g", z)
	}
	if got := together([]float64{3, 5}); !near(got, 8/math.Sqrt2, 1e-12) || together([]float64{4}) != 4 || together([]float64{9, 0}) < together([]float64{6}) {
		t.Errorf("together %g", got)
	}
}
