package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// federationData is the small federation to start from.
const federationData = "../../testdata/federation"

// TestFirearmRecordsToStartFrom imports the firearm files of testdata and finds a record under a look-alike serial number.
func TestFirearmRecordsToStartFrom(t *testing.T) {
	_, _, ncb := newDaemon(t, "PT")
	for file, want := range map[string]int{"firearms-pt.csv": 5, "firearms-es.csv": 4, "firearms-fr.csv": 3} {
		path, err := filepath.Abs(filepath.Join(federationData, file))
		if err != nil {
			t.Fatal(err)
		}
		var report struct{ Added int }
		if err := json.Unmarshal(ncb.run("--json", "firearm", "import", path), &report); err != nil || report.Added != want {
			t.Errorf("%s: %d records added, want %d (%v)", file, report.Added, want, err)
		}
	}
	var hits []struct{ Firearm struct{ Reference string } }
	if err := json.Unmarshal(ncb.run("--json", "firearm", "search", "--serial", "3I5-O82B1", "--make", "Ruger"), &hits); err != nil || len(hits) != 1 || hits[0].Firearm.Reference != "PT-ARM-0001" {
		t.Errorf("the look-alike serial number finds %+v, %v", hits, err)
	}
}

// TestExhibitsToStartFrom enters the exhibits of testdata in one node and finds those of one firearm next to each other, and none of another calibre.
func TestExhibitsToStartFrom(t *testing.T) {
	_, tech, _ := newDaemon(t, "PT")
	f, err := os.Open(filepath.Join(federationData, "exhibits.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 9 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	cases, firearms := map[string]bool{}, map[string]string{}
	for _, r := range rows[1:] {
		ref, number, calibre := r[1], r[2], r[3]
		firearms[number] = r[4] + "/" + r[5]
		if !cases[ref] {
			cases[ref] = true
			tech.run("case", "add", ref, "--agency", "Test agency")
			tech.run("incident", "add", "--case", ref, "--from", "2026-02-11", "--place", "Nowhere", "--offence", "homicide")
		}
		scan := number + ".x3p"
		tech.run("practice", "scan", "--maker", r[4], "--firearm", r[5], "--shot", r[6], "--out", scan)
		tech.run("exhibit", "add", "--number", number, "--case", ref, "--origin", "evidence", "--calibre", calibre)
		tech.run("acquire", "--exhibit", number, "--roi", "breech-face", scan)
	}
	tech.awaitIdle(len(rows) - 1)
	for number, firearm := range firearms {
		mates := 0
		for other, f := range firearms {
			if other != number && f == firearm {
				mates++
			}
		}
		list := fusedList(t, tech, number)
		for i, c := range list[:min(mates, len(list))] {
			if firearms[c.Other.Exhibit] != firearm {
				t.Errorf("%s: rank %d is %s of firearm %s, want one of %s", number, i+1, c.Other.Exhibit, firearms[c.Other.Exhibit], firearm)
			}
		}
		if len(list) < mates {
			t.Errorf("%s: %d candidates, it has %d mates", number, len(list), mates)
		}
	}
	list := fusedList(t, tech, "MAD-E-3")
	if got := fmt.Sprint(list); len(list) != 1 || list[0].Other.Exhibit != "PAR-E-3" {
		t.Errorf("a 7.65 Browning is compared with %s; only the other 7.65 Browning is of its calibre", got)
	}
}

type fusedEntry struct {
	Other struct{ Exhibit, Calibre string }
}

// fusedList is the fused list of an exhibit, which must name the same exhibits as the lists of its regions.
func fusedList(t *testing.T, tech *terminal, number string) []fusedEntry {
	t.Helper()
	var list struct{ Fused, Candidates []fusedEntry }
	if err := json.Unmarshal(tech.run("--json", "candidates", "--exhibit", number), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Fused) != len(list.Candidates) {
		t.Errorf("%s: %d exhibits in the fused list, %d in that of its only region", number, len(list.Fused), len(list.Candidates))
	}
	return list.Fused
}
