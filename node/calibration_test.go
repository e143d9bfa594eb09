package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"proofmark/correlate/calibrate"
	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// modelFile is a model of the program's own numbers under another name, for other makes.
func modelFile(t *testing.T, name string, makes ...string) []byte {
	t.Helper()
	m := *calibrate.Default()
	m.Population.Name = name
	m.Population.Classes = nil
	for _, k := range makes {
		m.Population.Classes = append(m.Population.Classes, calibrate.Class{Make: k, Calibre: "9x19"})
	}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLoadCalibrations(t *testing.T) {
	file := func(b []byte) *fstest.MapFile { return &fstest.MapFile{Data: b} }
	glock, walther := modelFile(t, "a", "Glock"), modelFile(t, "b", "Walther")
	many := fstest.MapFS{}
	for i := range maxCalibrations + 1 {
		many[fmt.Sprintf("%d.json", i)] = file(modelFile(t, "many", fmt.Sprint("make ", i)))
	}
	var unknown map[string]any
	if err := json.Unmarshal(glock, &unknown); err != nil {
		t.Fatal(err)
	}
	unknown["prior"] = 1
	strange, err := json.Marshal(unknown)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		folder fstest.MapFS
		want   string // populations in their order
		says   string
	}{
		"none":          {fstest.MapFS{}, "own", ""},
		"two":           {fstest.MapFS{"z.json": file(glock), "a.json": file(walther)}, "b a own", ""},
		"other files":   {fstest.MapFS{"a.json": file(glock), "README.txt": file([]byte("x")), ".b.json": file([]byte("x")), "old/c.json": file([]byte("x"))}, "a own", ""},
		"no model":      {fstest.MapFS{"a.json": file([]byte("{}"))}, "", "a.json: not a valid calibration model: format 0"},
		"no JSON":       {fstest.MapFS{"a.json": file(glock), "b.json": file([]byte("x"))}, "", "b.json: not a valid calibration model"},
		"unknown field": {fstest.MapFS{"a.json": file(strange)}, "", "prior"},
		"too large":     {fstest.MapFS{"a.json": file(append(slices.Clone(glock), make([]byte, calibrate.MaxModelSize)...))}, "", "a.json: not a valid calibration model: 1048577 bytes, the limit is 1048576"},
		"too many":      {many, "", "more than 64 calibrations"},
		"a clash":       {fstest.MapFS{"a.json": file(glock), "b.json": file(modelFile(t, "c", "GLOCK"))}, "", "a.json and b.json both speak for the breech-face of GLOCK 9x19"},
	} {
		models, err := loadCalibrations(c.folder)
		var got []string
		for _, m := range models {
			if m.File == "" {
				got = append(got, "own")
			} else {
				got = append(got, m.Model.Population.Name)
			}
		}
		if strings.Join(got, " ") != c.want || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v; want %q, %q", name, got, err, c.want, c.says)
		}
	}
	if models, err := loadCalibrations(os.DirFS(filepath.Join(t.TempDir(), "none"))); err != nil || len(models) != 1 {
		t.Errorf("without the folder: %v, %v", models, err)
	}
}

func TestCalibrationsChangedBetweenStartsAreRecorded(t *testing.T) {
	b := newBureau(t, "PT")
	entries := func() []store.AuditRecord {
		t.Helper()
		n, err := Open(b.dir, []byte(testPassphrase), Options{Cost: crypto.TestCost})
		if err != nil {
			t.Fatal(err)
		}
		found, err := n.store.QueryAudit(t.Context(), store.AuditQuery{Kind: "calibration", Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(found, func(a, b store.AuditRecord) int { return int(a.Index - b.Index) })
		return found
	}
	first := entries()
	if len(first) != 1 || !strings.Contains(first[0].Details["model 1"], calibrate.Default().Population.Name) || !strings.Contains(first[0].Details["model 1"], "(built in), SHA-256 ") {
		t.Fatalf("the first start: %+v", first)
	}
	if again := entries(); len(again) != 1 {
		t.Errorf("the same again: %+v", again)
	}
	folder := filepath.Join(b.dir, modelDir)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "glock.json")
	if err := os.WriteFile(file, modelFile(t, "our Glocks", "Glock"), 0o600); err != nil {
		t.Fatal(err)
	}
	added := entries()
	if len(added) != 2 {
		t.Fatalf("%+v", added)
	}
	if e := added[1]; e.Action != protocol.ActAlter || e.Actor != "node" || e.Event != "calibrations changed at start" || !strings.HasPrefix(e.Details["model 1"], "our Glocks, version 2: breech-face by proofmark-bf/1 (glock.json), SHA-256 ") ||
		e.Details["model 2"] != first[0].Details["model 1"] || e.Object == first[0].Object {
		t.Errorf("%+v", e)
	}
	if err := os.WriteFile(file, []byte(`{"format": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.reopen(); err == nil || !strings.Contains(err.Error(), "glock.json: not a valid calibration model") || !strings.Contains(err.Error(), "proofmark calibrate") || !strings.Contains(err.Error(), folder) {
		t.Errorf("a broken model: %v", err)
	}
	if err := os.Chmod(file, 0o660); err != nil {
		t.Fatal(err)
	}
	if err := b.reopen(); err == nil || !strings.Contains(err.Error(), "its group can write") {
		t.Errorf("a model that others can change: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if back := entries(); len(back) != 3 || back[2].Object != first[0].Object {
		t.Errorf("the model taken out again: %+v", back)
	}
}
