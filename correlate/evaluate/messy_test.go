package evaluate

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// What a folder does not allow to measure is null and said; what it allows is measured.
func TestMessyFolders(t *testing.T) {
	good, _ := generatedSet()
	data := func(name string) *fstest.MapFile {
		b, err := readScan(good, name)
		if err != nil {
			t.Fatal(err)
		}
		return &fstest.MapFile{Data: b}
	}
	folder := fstest.MapFS{
		"two words/a b.x3p": data("g0-0.x3p"), "sub/b.x3p": data("g0-1.x3p"), "c.x3p": data("g1-0.x3p"),
		"copy of c.x3p": data("g1-0.x3p"), "empty.x3p": {}, "cut.x3p": {Data: data("g0-2.x3p").Data[:20_000]},
	}
	named := func(names ...string) (out []Labelled) {
		for _, n := range names {
			scan, source, _ := strings.Cut(n, "|")
			out = append(out, Labelled{Scan: scan, Source: source})
		}
		return out
	}
	for _, c := range []struct {
		name            string
		set             []Labelled
		same, different int
		rejected        int
		missing         int
		says            []string
	}{
		{"one scan", named("c.x3p|1"), 0, 0, 0, 0, []string{"0 same-source and 0 different-source"}},
		{"one source", named("two words/a b.x3p|1", `sub\b.x3p|1`), 1, 0, 0, 0, []string{"and 0 different-source"}},
		{"no mates", named("two words/a b.x3p|1", "c.x3p|2"), 0, 1, 0, 0, []string{" 0 same-source and"}},
		{"gaps", named("two words/a b.x3p|1", "sub/b.x3p|1", "c.x3p|2", "gone.x3p|2", "empty.x3p|1", "cut.x3p|2"), 1, 2, 3, 1, []string{"not in the folder", "unreadable"}},
		{"a copy", named("c.x3p|2", "copy of c.x3p|2", "sub/b.x3p|1"), 0, 1, 1, 0, []string{"the same scan as c.x3p"}},
		{"a copy with another label", named("c.x3p|2", "copy of c.x3p|1", "sub/b.x3p|1"), 0, 1, 1, 0, []string{"one of the labels is wrong"}},
		{"nothing readable", named("empty.x3p|1", "cut.x3p|1"), 0, 0, 2, 0, []string{"unreadable"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Seed: 1, Now: time.Now, Distractors: 3}
			if c.missing > 0 && !raced { // one of them cut, too
				o.Sectors = []float64{40}
			}
			e := mustRun(t, folder, c.set, o)
			same, different := c.same, c.different
			if o.Sectors != nil { // both directions
				same, different = 2*same, 2*different
			}
			if e.SamePairs != same || e.DifferentPairs != different || e.Rejected != c.rejected || e.Missing != c.missing {
				t.Errorf("%d and %d pairs, %d rejected, %d missing: %+v", e.SamePairs, e.DifferentPairs, e.Rejected, e.Missing, e.Rejections)
			}
			if (e.AUC == nil) != (same == 0 || different == 0) || (e.SameMin == nil) != (same == 0) || (e.DifferentMax == nil) != (different == 0) || (e.Rank1 == nil) != (same == 0) {
				t.Errorf("%+v", e.Figures)
			}
			if encoded := c.rejected < len(c.set); (e.BytesMean != nil) != (encoded) || (e.EncodeMS != nil) != encoded || (e.CoarseUS != nil) != encoded {
				t.Errorf("%+v", e.Figures)
			}
			checkKeys(t, e)
			b, err := json.Marshal(e.Figures)
			if err != nil {
				t.Fatal(err)
			}
			var text, page strings.Builder
			if err := e.Text(&text); err != nil {
				t.Fatal(err)
			}
			if err := e.Markdown(&page, e.Pictures()); err != nil {
				t.Fatal(err)
			}
			for _, says := range c.says {
				if !strings.Contains(text.String(), says) || !strings.Contains(page.String(), says) {
					t.Errorf("the report does not say %q:\n%s", says, text.String())
				}
			}
			for _, p := range e.Pictures() {
				if strings.Contains(string(p.SVG), "NaN") || strings.Contains(string(p.SVG), "Inf") {
					t.Errorf("%s holds a number that is none", p.Name)
				}
			}
			if c.rejected > 0 && !strings.Contains(string(b), `"reasons"`) {
				t.Error("JSON does not say why")
			}
		})
	}
}

// A scan of an exhibit is not compared with another one of the same exhibit.
func TestScansOfOneExhibit(t *testing.T) {
	folder, set := generatedSet()
	set = append([]Labelled(nil), set[:4]...)
	set[0].Exhibit, set[1].Exhibit = "E 1", "E 1"
	e := mustRun(t, folder, set, Options{Seed: 1})
	if e.SamePairs != 2 || e.DifferentPairs != 3 || e.Exhibits != 3 || *e.Rank1 != 1 || *e.ShortlistRecall != 1 {
		t.Errorf("%+v", e.Figures)
	}
}
