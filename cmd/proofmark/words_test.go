package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"proofmark/correlate"
	"proofmark/node/ballistics"
	"proofmark/policy"
	"proofmark/protocol"
)

func TestIntervals(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"2026-01-10", "", "2026-01-10T00:00:00Z 2026-01-10T23:59:59Z"},
		{"2026-01-10", "2026-01-12", "2026-01-10T00:00:00Z 2026-01-12T23:59:59Z"},
		{"2026-01-10T22:30:00Z", "", "2026-01-10T22:30:00Z 2026-01-10T22:30:00Z"},
		{"2026-01-10T22:30:00Z", "2026-01-10", "2026-01-10T22:30:00Z 2026-01-10T23:59:59Z"},
		{"2026-01-10", "2026-01-09", "--from, --to: ends"},
		{"2026-13-10", "", "--from: \"2026-13-10\" is not a time"},
		{"2026-01-10", "later", "--to: \"later\" is not a time"},
	} {
		i, err := parseInterval("--from", c.from, "--to", c.to, parseDay)
		got := i.From.Format(time.RFC3339) + " " + i.To.Format(time.RFC3339)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s to %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

func TestSpellingOfDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "–", 0: "under a minute", 59 * time.Second: "under a minute", time.Minute: "1 min", 59*time.Minute + 59*time.Second: "59 min",
		90 * time.Minute: "1.5 h", 47 * time.Hour: "47.0 h", 72 * time.Hour: "3.0 days",
	} {
		if got := spell(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// A value that came from abroad must stay one argument, and steer nothing, when a person copies the command that is proposed.
func TestArguments(t *testing.T) {
	for value, want := range map[string]string{
		"E-1": "E-1", "PJ 2/26": "'PJ 2/26'", "": "''", "a;rm -rf b": "'a;rm -rf b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "a\nb": "'a·b'", "\x1b[31m": "'·[31m'",
	} {
		if got := argument(value); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestLongBytesAreShortened(t *testing.T) {
	long := strings.Repeat("Ab1+", 100)
	text := "{\n  \"signature\": \"" + long + "==\",\n  \"note\": \"" + strings.Repeat("two shots ", 50) + "\"\n}"
	got := withoutBytes(text)
	if strings.Contains(got, long) || !strings.Contains(got, `"`+long[:60]+`…" (402 characters of base64; whole with --json),`) || !strings.Contains(got, strings.Repeat("two shots ", 50)) {
		t.Error(got)
	}
	if short := `{"signature": "QUJD"}`; withoutBytes(short) != short {
		t.Error(withoutBytes(short))
	}
}

func TestCustodySteps(t *testing.T) {
	step, err := parseCustody("retailer DE 2019-03-01 Waffen Huber")
	want := protocol.CustodyStep{Role: "retailer", Country: "DE", Date: time.Date(2019, 3, 1, 0, 0, 0, 0, time.UTC), Name: "Waffen Huber"}
	if err != nil || step != want {
		t.Errorf("%+v, %v", step, err)
	}
	step, err = parseCustody("first-purchaser FR")
	if err != nil || step != (protocol.CustodyStep{Role: "first-purchaser", Country: "FR"}) {
		t.Errorf("%+v, %v", step, err)
	}
	for _, s := range []string{"", "retailer", "retailer DE 2019-99-01"} {
		if _, err := parseCustody(s); err == nil {
			t.Errorf("%q was taken for a step", s)
		}
	}
}

// Cells lie on a grid that is turned against the map by any angle: none may be lost, and none may be drawn where there is none.
func TestCellMapLosesNoCell(t *testing.T) {
	for degrees := 0; degrees < 90; degrees += 7 {
		sin, cos := math.Sincos(float64(degrees) * math.Pi / 180)
		var cells []correlate.Cell
		for i := range 7 {
			for j := range 9 {
				x, y := float64(i-3)*cellSide, float64(j-4)*cellSide
				cells = append(cells, correlate.Cell{X: cos*x - sin*y + 77, Y: sin*x + cos*y - 31})
			}
		}
		for i := range cells {
			cells[i].Congruent = true
			if m := strings.Join(cellMap(cells), "\n"); !strings.Contains(m, "#") || !strings.Contains(m, ".") {
				t.Fatalf("%d°: cell %d is not in the map\n%s", degrees, i, m)
			}
			cells[i].Congruent = false
		}
		if m := strings.Join(cellMap(cells), "\n"); strings.Contains(m, "#") {
			t.Fatalf("%d°: a congruent cell where there is none\n%s", degrees, m)
		}
	}
	if m := cellMap(nil); m != nil {
		t.Errorf("no cells drew %q", m)
	}
	far := cellMap([]correlate.Cell{{X: -1e9, Y: -1e9}, {X: 1e9, Y: 1e9}})
	if len(far) > maxLines {
		t.Errorf("%d lines, the limit is %d", len(far), maxLines)
	}
}

func TestWhatIsOfferedForReview(t *testing.T) {
	mine := []ballistics.Review{{By: "rita", Round: ballistics.Primary}}
	for _, c := range []struct {
		state   string
		reviews []ballistics.Review
		role    string
		want    bool
	}{
		{"awaits-primary", nil, policy.Technician, true},
		{"awaits-primary", nil, policy.Examiner, false},
		{"awaits-secondary", nil, policy.Examiner, true},
		{"awaits-secondary", nil, policy.Technician, false},
		{"awaits-secondary", mine, policy.Examiner, false},
		{"awaits-third", nil, policy.Examiner, true},
		{"awaits-third", mine, policy.Examiner, false},
		{"decided", nil, policy.Examiner, false},
		{"awaits-primary", nil, policy.Investigator, false},
	} {
		v := &ballistics.CandidateView{State: c.state}
		v.Reviews = c.reviews
		if got := mayReview(v, "rita", []string{c.role}); got != c.want {
			t.Errorf("%s, reviewed %v, %s: offered %v", c.state, len(c.reviews) > 0, c.role, got)
		}
	}
}

func TestWhatFollowsACandidate(t *testing.T) {
	mine := []ballistics.Review{{By: "rita"}}
	for _, c := range []struct {
		name, state, want string
		reviews           []ballistics.Review
		outcome           protocol.Verdict
		lead              string
		other             protocol.Country
	}{
		{name: "fresh", state: "awaits-primary", want: "--verdict lead|inconclusive|excluded|unsuitable  (a technician's)"},
		{name: "I was first", state: "awaits-secondary", reviews: mine, want: "session of their own, without seeing your verdict"},
		{name: "second", state: "awaits-secondary", want: "(an examiner's)"},
		{name: "disagreed with me", state: "awaits-third", reviews: mine, want: "a third person reviews it"},
		{name: "third", state: "awaits-third", want: "(a third person's"},
		{name: "excluded", state: "decided", outcome: protocol.VerdictExcluded, want: "the reviews decided excluded"},
		{name: "own with own", state: "decided", outcome: protocol.VerdictLead, other: "PT", want: "nothing to release"},
		{name: "to release", state: "decided", outcome: protocol.VerdictLead, other: "ES", want: "releases the lead to ES: proofmark lead release 0123456789ab"},
		{name: "released", state: "decided", outcome: protocol.VerdictLead, other: "ES", lead: "released", want: "proofmark lead show 0123456789ab"},
	} {
		v := &ballistics.CandidateView{State: c.state, Lead: c.lead}
		v.Pair, v.Reviews, v.Outcome, v.Own.Country, v.Other.Country = "0123456789abcdef", c.reviews, c.outcome, "PT", c.other
		if got := nextForCandidate(v, "rita"); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCreatedFilesOverwriteNothing(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := createFiles(newFile{a, []byte("one"), 0o600}); err != nil {
		t.Fatal(err)
	}
	if err := createFiles(newFile{b, []byte("two"), 0o600}, newFile{a, []byte("two"), 0o600}); err == nil {
		t.Error("an existing file was no error")
	}
	if got, err := os.ReadFile(a); err != nil || string(got) != "one" {
		t.Errorf("the existing file holds %q, %v", got, err)
	}
	if st, err := os.Stat(a); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, want the first alone (%v)", len(entries), err)
	}
}

func TestFilesAreBoundedBeforeTheyAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := readFile("thing", path, 5); err != nil || string(b) != "12345" {
		t.Errorf("%q, %v", b, err)
	}
	_, err := readFile("thing", path, 4)
	if want := fmt.Sprintf("thing: %s has 5 bytes, the limit is 4", path); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := readFile("thing", "/dev/zero", 4); err == nil || !strings.Contains(err.Error(), "more than 4 bytes") {
		t.Errorf("a device without end: %v", err)
	}
	if _, err := readFile("thing", path+"r", 4); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
