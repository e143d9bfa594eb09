package evaluate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/synth"
)

func TestGeneratedLands(t *testing.T) {
	if plainOnly(t) {
		return
	}
	folder := fstest.MapFS{"text.x3p": &fstest.MapFile{Data: []byte("no scan")}}
	var set []Labelled
	for barrel := range uint64(2) {
		b := synth.NewBarrel(30+barrel, synth.Rifling{Lands: 4, Strength: 2.5})
		for shot := range uint64(2) {
			scans, _ := b.FireBullet(shot, synth.LandShot{Rows: 240})
			for i, s := range scans {
				l := Labelled{Scan: fmt.Sprintf("b%d-%d-%d.x3p", barrel, shot, i), Source: fmt.Sprint("barrel ", barrel), Bullet: fmt.Sprint("bullet ", barrel, shot), Land: fmt.Sprint(i + 1)}
				folder[l.Scan] = &fstest.MapFile{Data: packed(s)}
				set = append(set, l)
			}
		}
	}
	set = append(set, Labelled{Scan: "text.x3p", Source: "barrel 1", Bullet: "bullet x", Land: "1"})
	e := mustRun(t, folder, set, Options{ROI: correlate.LEA, Seed: 1, Now: time.Now})
	b := e.Bullets
	if b == nil || b.Bullets != 5 || b.Comparable != 4 || b.SamePairs != 2 || b.DifferentPairs != 4 || *b.AUC != 1 || *b.ContrastMin < 0.1 {
		t.Fatalf("%+v", b)
	}
	if *e.AUC < 0.99 || e.Rejected < 1 || e.SamePairs < 6 || e.SamePairs > 8 || *e.BytesMax > 1000 || e.Cllr != nil {
		t.Errorf("%+v", e.Figures)
	}
	if *e.EncodeMS <= 0 || *e.CompareUS <= 0 || *e.CoarseUS <= 0 || e.ROI != correlate.LEA || !strings.Contains(strings.Join(e.Notes, " "), "taken from the phase") {
		t.Errorf("%+v", e.Figures)
	}
	if n := len(e.Pictures()); n != 5 {
		t.Errorf("%d pictures, want all but those of likelihood ratios", n)
	}
	var text strings.Builder
	if err := e.Text(&text); err != nil || !strings.Contains(text.String(), "Whole bullets") {
		t.Errorf("%v\n%s", err, text.String())
	}
	if _, err := Run(context.Background(), folder, set, Options{ROI: correlate.LEA, Sectors: []float64{25}}); err == nil || !strings.Contains(err.Error(), "cartridge cases") {
		t.Errorf("cut lands: %v", err)
	}
	one := mustRun(t, folder, set[:4], Options{ROI: correlate.LEA, Now: time.Now})
	if one.AUC != nil || one.SamePairs != 0 || one.Bullets.Bullets != 1 || one.Bullets.AUC != nil || *one.EncodeMS <= 0 {
		t.Errorf("one bullet: %+v", one.Figures)
	}
	checkKeys(t, one)
	padded := mustRun(t, folder, set, Options{ROI: correlate.LEA, Distractors: 2, Seed: 2})
	growth := padded.Bullets.Growth
	if len(growth) != 2 || growth[1].Gallery != 6 || growth[1].Generated != 2 || *growth[1].Rank1 != 1 || *growth[1].ListedMates != 1 || growth[1].DistractorMax == nil {
		t.Errorf("%+v", growth)
	}
}

func TestLandTables(t *testing.T) {
	good := []Labelled{{Scan: "a", Source: "x", Bullet: "1", Land: "1"}, {Scan: "b", Source: "x", Bullet: "1", Land: "6"}}
	if n, err := landNumbers(good); n != 6 || err != nil {
		t.Errorf("%d lands, %v", n, err)
	}
	for why, l := range map[string]Labelled{
		"numbered from 1 to 8": {Scan: "c", Source: "x", Bullet: "1", Land: "9"},
		`land "two"`:           {Scan: "c", Source: "x", Bullet: "1", Land: "two"},
		`bullet ""`:            {Scan: "c", Source: "x", Land: "2"},
		"stands there twice":   {Scan: "c", Source: "x", Bullet: "1", Land: "06"},
		`from "x" and from`:    {Scan: "c", Source: "y", Bullet: "1", Land: "2"},
	} {
		if _, err := landNumbers(append(good[:2:2], l)); !errors.Is(err, ErrBadTruth) || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, want %q", err, why)
		}
	}
}

// The real lands of the recipe, where they are at hand.
func TestRealLands(t *testing.T) {
	if plainOnly(t) {
		return
	}
	dir := filepath.Join("..", "..", "..", "shared", "scans", "hamby44")
	f, err := os.Open(filepath.Join(dir, "truth.csv"))
	if err != nil {
		t.Log("no real lands here; TestGeneratedLands stands alone")
		return
	}
	defer f.Close()
	set, err := ReadTruth(f)
	if err != nil {
		t.Fatal(err)
	}
	e := mustRun(t, os.DirFS(dir), set, Options{ROI: correlate.LEA, Seed: 1})
	t.Logf("%+v; bullets %+v", e.Figures, e.Bullets)
	if p := e.Bullets.Pairs; len(p) != 1 || !p[0].Conclusive || p[0].Counted < 5 || *e.AUC < 0.95 {
		t.Errorf("AUC %g, bullets %+v", *e.AUC, p)
	}
}
