package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"proofmark/correlate/evaluate"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

func TestChoose(t *testing.T) {
	var set []evaluate.Labelled
	for i := range 9 {
		set = append(set, evaluate.Labelled{Scan: fmt.Sprint(i), Source: fmt.Sprint(i / 3)})
	}
	pairs, err := choose(set, 4, 1)
	if err != nil || len(pairs) != 8 {
		t.Fatalf("%v, %v", pairs, err)
	}
	seen := map[string]bool{}
	for i, p := range pairs {
		if p.Same != (i < 4) || p.Same != (p.A[0]/3 == p.B[0]/3) || seen[p.A+p.B] {
			t.Errorf("pair %d: %+v", i, p)
		}
		seen[p.A+p.B] = true
	}
	if again, _ := choose(set, 4, 2); fmt.Sprint(again) == fmt.Sprint(pairs) {
		t.Error("another seed chose the same pairs")
	}
	if few, err := choose(set, 100, 1); err != nil || len(few) != 36 {
		t.Errorf("all: %d pairs, %v", len(few), err)
	}
	if _, err := choose(set[:3], 1, 1); !errors.Is(err, errNoPairs) {
		t.Errorf("one source: %v", err)
	}
}

// folder of two generated firearms with two marks each.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	truth := "scan,source\n"
	for i := range 4 {
		var b bytes.Buffer
		if err := x3p.Write(&b, synth.NewMaker(60).Firearm(uint64(i/2)).Fire(uint64(i), synth.Shot{})); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("case %d.x3p", i)
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		truth += fmt.Sprintf("%s,gun %d\n", name, i/2)
	}
	if err := os.WriteFile(filepath.Join(dir, "truth.csv"), []byte(truth), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Stand-ins for cmcR and x3ptools with the functions, arguments and columns that
// their manuals name: enough to run the script from end to end, nothing to measure.
var standIns = map[string]string{
	"x3ptools": `x3p_read <- function(file) list(name = basename(file), bytes = file.size(file))
sample_x3p <- function(x) x
`,
	"cmcR": `comparison_allTogether <- function(reference, target, theta = 0, numCells = c(8, 8), maxMissingProp = .85) {
  stopifnot(reference$bytes > 0, target$bytes > 0)
  data.frame(cellIndex = c("1, 1", "1, 2"), x = 0, y = 0, fft_ccf = .5, pairwiseCompCor = c(.9, .1), theta = theta)
}
decision_CMC <- function(cellIndex, x, y, theta, corr, xThresh = 20, yThresh = xThresh, thetaThresh = 6, corrThresh = .5, tau = NULL) {
  ifelse(corr > corrThresh & theta == 0, "CMC", "non-CMC")
}
`,
}

func TestSideBySide(t *testing.T) {
	dir := folder(t)
	script := func(env ...string) (stdout, stderr string) {
		t.Helper()
		cmd := exec.Command("./run", "-each", "1", dir)
		cmd.Env = append(os.Environ(), env...)
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, said.String())
		}
		return out.String(), said.String()
	}
	out, said := script("RSCRIPT=no-such-program")
	ours := decode(t, out)
	if len(ours) != 1 || ours[0]["method"] != "proofmark-bf/1" || ours[0]["pairs"] != 2.0 || ours[0]["auc"] != 1.0 || ours[0]["seconds_mean"].(float64) <= 0 {
		t.Errorf("%v", ours)
	}
	if !strings.Contains(said, "not measured") || !strings.Contains(said, "apt-get install") {
		t.Errorf("without R it says %q", said)
	}

	if _, err := exec.LookPath("Rscript"); err != nil {
		t.Log("R is not here; what runs without it did")
		return
	}
	if out, err := exec.Command("Rscript", "--vanilla", "cmcr.R", "--selftest").CombinedOutput(); err != nil || !strings.Contains(string(out), "selftest passed") {
		t.Errorf("selftest: %v\n%s", err, out)
	}
	library, source := t.TempDir(), t.TempDir()
	for name, code := range standIns {
		pkg := filepath.Join(source, name)
		if err := os.MkdirAll(filepath.Join(pkg, "R"), 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{
			"DESCRIPTION": "Package: " + name + "\nVersion: 0.0.1\nTitle: Stand-In\nDescription: For a test.\nLicense: none\n",
			"NAMESPACE":   "exportPattern(\".\")\n", "R/all.R": code,
		} {
			if err := os.WriteFile(filepath.Join(pkg, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command("R", "CMD", "INSTALL", "--no-docs", "--no-byte-compile", "--no-test-load", "-l", library, pkg).CombinedOutput(); err != nil {
			t.Fatalf("install the stand-in %s: %v\n%s", name, err, out)
		}
	}
	out, said = script("R_LIBS=" + library)
	both := decode(t, out)
	if len(both) != 2 {
		t.Fatalf("%s\n%s", out, said)
	}
	for key := range both[0] {
		if _, ok := both[1][key]; !ok {
			t.Errorf("cmcR's half has no %q", key)
		}
	}
	if both[1]["method"] != "cmcR 0.0.1" || both[1]["pairs"] != 2.0 || both[1]["same_min"] != 1.0 || both[1]["auc"] != 0.5 {
		t.Errorf("%v", both[1])
	}
}

func decode(t *testing.T, out string) (objects []map[string]any) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var o map[string]any
		if err := d.Decode(&o); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		objects = append(objects, o)
	}
	return objects
}
