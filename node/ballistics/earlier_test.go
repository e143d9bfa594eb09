package ballistics

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"proofmark/correlate"
	"proofmark/store"
)

// Records as the first release wrote them.
const (
	acquisitionBefore = `{"id":"a1","exhibit":"e1","number":"E 1","roi":"breech-face","scan":"5feceb66","scan_bytes":4711,"file":"e1.x3p",
		"instrument":"Confocal","operator":"tiago","resolution_um":6.25,"quality":{"score":0.9,"valid_share":0.8,"rms":0.6,"area_mm2":3.1,
		"reasons":["80 % valid"],"accept":true,"origin_x":2000,"origin_y":1900},"warnings":["MD5 differs"],"signature":"s1","signature_bytes":1200,
		"purpose":"criminal investigation","at":"2026-11-21T10:00:00Z"}`
	candidateBefore = `{"pair":"%s","a":"s1","b":"s%d","roi":"breech-face","comparison":{"score":%g,"r":0.7,"overlap_mm2":2.5,"cells":20,"congruent_cells":15,
		"pose":{"rotation":3,"shift_x":1,"shift_y":2},"algorithm":"proofmark-bf/1"},"found":"2026-11-21T11:00:00Z","country":"ES"}`
)

func TestRecordsOfEarlierForm(t *testing.T) {
	var a earlierAcquisition
	if err := json.Unmarshal([]byte(acquisitionBefore), &a); err != nil {
		t.Fatal(err)
	}
	want := Scan{File: "e1.x3p", Hash: "5feceb66", Bytes: 4711, Resolution: 6.25, Warnings: []string{"MD5 differs"}}
	if len(a.Scans) != 1 || !reflect.DeepEqual(a.Scans[0], want) || a.Identity != "5feceb66" || a.Algorithm != correlate.Algorithm || a.Bytes != 1200 {
		t.Errorf("%+v", a)
	}
	if q := a.Quality; q.Score != 0.9 || len(q.Reasons) != 1 || q.Areal == nil || q.Areal.AreaMM2 != 3.1 {
		t.Errorf("quality %+v", q)
	}
	var c earlierCandidate
	if err := json.Unmarshal(fmt.Appendf(nil, candidateBefore, "p", 2, 0.61), &c); err != nil {
		t.Fatal(err)
	}
	if c.Score != 0.61 || c.Algorithm != correlate.Algorithm || c.Comparison.CongruentCells != 15 {
		t.Errorf("%+v", c)
	}
	// What was read is written in today's form and read again as it is.
	for _, v := range []any{&a, &c} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		again := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		if err := json.Unmarshal(raw, again); err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("%s is read as %+v; %v", raw, again, err)
		}
	}
	for _, bad := range []string{`{"scan":7}`, `{"scans":{}}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), new(earlierAcquisition)); err == nil {
			t.Errorf("%s is an acquisition", bad)
		}
	}
}

// A database of the first release: other index entries, and none of some kinds.
func TestAnEarlierDatabaseIsBroughtForward(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	score := []float64{0.2, 0.61, 0.4}
	oldAcquisitions := store.NewCollection("acquisition", store.Index[json.RawMessage]{Name: "scan", Keys: func(*json.RawMessage) []string { return []string{"e1/breech-face/5feceb66"} }})
	oldExhibits := store.NewCollection[json.RawMessage]("exhibit")
	oldCandidates := store.NewCollection("candidate",
		store.Index[json.RawMessage]{Name: "ranked", Keys: func(raw *json.RawMessage) []string {
			var c struct{ Comparison struct{ Score float64 } }
			if err := json.Unmarshal(*raw, &c); err != nil {
				t.Error(err)
			}
			return []string{fmt.Sprintf("s1/%09d", int64((1-c.Comparison.Score)*1e8))}
		}},
		store.Index[json.RawMessage]{Name: "worklist", Keys: func(*json.RawMessage) []string { return []string{"open/000000001/p"} }})
	put := func(c *store.Collection[json.RawMessage], id, text string) {
		raw := json.RawMessage(text)
		if err := b.store.Update(context.Background(), func(tx *store.Tx) error { return c.Put(tx, id, &raw) }); err != nil {
			t.Fatal(err)
		}
	}
	put(oldAcquisitions, "a1", acquisitionBefore)
	put(oldExhibits, "e1", `{"id":"e1","number":"E 1","case":"C 1","kind":"cartridge-case","origin":"test-fire","firearm":"PT-F-1","calibre":"9x19"}`)
	for i, s := range score {
		put(oldCandidates, fmt.Sprint("p", i), fmt.Sprintf(candidateBefore, fmt.Sprint("p", i), i+2, s))
	}
	check := func() {
		t.Helper()
		err := b.store.View(func(tx *store.Tx) error {
			if a, err := oneBy(tx, acquisitions, "scan", scanKey("e1", correlate.BreechFace, "5feceb66"), "acquisition"); err != nil || len(a.Scans) != 1 {
				t.Errorf("the acquisition is found as %+v, %v", a, err)
			}
			if e, err := oneBy(tx, exhibits, "firearm", "PT-F-1", "exhibit"); err != nil || e.Number != "E 1" {
				t.Errorf("the firearm's test fire is found as %+v, %v", e, err)
			}
			for _, list := range [][2]string{{"ranked", "s1/"}, {"worklist", "open/"}} {
				var order []string
				for id, c := range candidates.ByPrefix(tx, list[0], list[1]) {
					order = append(order, fmt.Sprintf("%s %g", id, c.Score))
				}
				if got := strings.Join(order, ", "); got != "p1 0.61, p2 0.4, p0 0.2" {
					t.Errorf("%s lists %s", list[0], got)
				}
			}
			return tx.Err()
		})
		if err != nil {
			t.Error(err)
		}
	}
	b.load(t)
	check()
	if n := strings.Count(b.said(), "get today's form"); n != 1 {
		t.Errorf("said %d times: %s", n, b.said())
	}
	if err := b.renew(context.Background()); err != nil {
		t.Error(err)
	}
	check()
	if n := strings.Count(b.said(), "get today's form"); n != 1 {
		t.Errorf("a second start does it again: %s", b.said())
	}
}
