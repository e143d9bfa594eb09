package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/x3p"
)

// inProcess runs a command line as main does.
func inProcess(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// TestPracticeScan: a practice scan says that it is generated, is the same for the same numbers, has mates, and replaces nothing.
func TestPracticeScan(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{}
	template := map[string]*correlate.Template{}
	for name, numbers := range map[string][2]string{"a": {"7", "1"}, "again": {"7", "1"}, "mate": {"7", "2"}, "other": {"8", "1"}} {
		file := filepath.Join(dir, name+".x3p")
		code, stdout, stderr := inProcess(t, "practice", "scan", "--firearm", numbers[0], "--shot", numbers[1], "--out", file)
		if code != exitOK || !strings.Contains(stdout, "is generated, not measured") {
			t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
		scan, err := x3p.Decode(b, x3p.Options{Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(scan.Meta.Comment, "simulated, not measured") {
			t.Errorf("the scan's comment is %q", scan.Meta.Comment)
		}
		signature, _, err := correlate.Encode(scan, correlate.BreechFace)
		if err != nil {
			t.Fatal(err)
		}
		template[name] = correlate.NewTemplate(signature)
	}
	if !bytes.Equal(files["a"], files["again"]) {
		t.Error("equal numbers give different files")
	}
	mate, other := correlate.Compare(template["a"], template["mate"]).Score, correlate.Compare(template["a"], template["other"]).Score
	if mate < 2*other || mate < 0.3 {
		t.Errorf("mates score %.2f, non-mates %.2f", mate, other)
	}
	file := filepath.Join(dir, "a.x3p")
	if code, _, stderr := inProcess(t, "practice", "scan", "--firearm", "9", "--shot", "1", "--out", file); code != exitFailed || !strings.Contains(stderr, "never overwritten") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.Equal(b, files["a"]) {
		t.Error("a file was overwritten")
	}
	for _, contact := range []string{"-0.1", "1.5", "NaN"} {
		file := filepath.Join(dir, "contact.x3p")
		code, _, stderr := inProcess(t, "practice", "scan", "--firearm", "7", "--shot", "1", "--contact="+contact, "--out", file)
		if _, err := os.Stat(file); code != exitFailed || !strings.Contains(stderr, "is no share of a face") || err == nil {
			t.Errorf("contact %s: exit code %d: %s", contact, code, stderr)
		}
	}
}

// TestPracticePrimer: a class, the whole primer, another instrument and use are asked for by name, and what does not exist is refused with what does.
func TestPracticePrimer(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.x3p")
	code, _, stderr := inProcess(t, "practice", "scan", "--firearm", "1", "--shot", "1", "--class", "striker-rectangular", "--whole", "--measure", "elastomer", "--rounds", "500", "--out", whole)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	b, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	scan, err := x3p.Decode(b, x3p.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	if scan.SizeX < 1000 || scan.Missing() > 0 || !strings.Contains(scan.Meta.Comment, "striker-rectangular") || !strings.Contains(scan.Meta.Comment, "500 rounds") {
		t.Errorf("%d columns, %d points missing, comment %q", scan.SizeX, scan.Missing(), scan.Meta.Comment)
	}
	for what, args := range map[string][]string{
		`no class of firearms is called "glock"`: {"--class", "glock"},
		"give a number from 0":                   {"--rounds=-1"},
		"--measure must be one of":               {"--measure", "touch"},
	} {
		file := filepath.Join(dir, "none.x3p")
		code, _, stderr := inProcess(t, append([]string{"practice", "scan", "--firearm", "1", "--shot", "1", "--out", file}, args...)...)
		if _, err := os.Stat(file); code == exitOK || !strings.Contains(stderr, what) || err == nil {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
}

// TestPracticeBullet: the lands of a practice bullet say that they are generated, are the same for the same numbers, lie on those of another
// shot at one phase, and replace nothing.
func TestPracticeBullet(t *testing.T) {
	dir := t.TempDir()
	files, bullets := map[string][]byte{}, map[string]*bullet.Template{}
	for name, numbers := range map[string][2]string{"a": {"3", "1"}, "again": {"3", "1"}, "mate": {"3", "2"}, "other": {"5", "1"}} {
		base := filepath.Join(dir, name)
		code, stdout, stderr := inProcess(t, "practice", "bullet", "--barrel", numbers[0], "--shot", numbers[1], "--out", base)
		if code != exitOK || !strings.Contains(stdout, "are generated, not measured") || !strings.Contains(stdout, "--roi lea ") {
			t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
		}
		var lands []*bullet.Land
		for i := range 6 {
			b, err := os.ReadFile(fmt.Sprintf("%s-land-%d.x3p", base, i+1))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = append(files[name], b...)
			scan, err := x3p.Decode(b, x3p.Options{Strict: true})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(scan.Meta.Comment, "simulated, not measured") {
				t.Errorf("the scan's comment is %q", scan.Meta.Comment)
			}
			land, _, err := bullet.EncodeLand(scan)
			if err != nil {
				t.Fatal(err)
			}
			lands = append(lands, land)
		}
		b, err := bullet.NewBullet(lands)
		if err != nil {
			t.Fatal(err)
		}
		bullets[name] = bullet.NewTemplate(b)
	}
	if !bytes.Equal(files["a"], files["again"]) {
		t.Error("equal numbers give different files")
	}
	mate, other := bullet.Compare(bullets["a"], bullets["mate"]), bullet.Compare(bullets["a"], bullets["other"])
	if !mate.Conclusive || mate.Score < 2*other.Score {
		t.Errorf("mates: %.2f, contrast %.2f; others: %.2f", mate.Score, mate.Contrast, other.Score)
	}
	if code, _, stderr := inProcess(t, "practice", "bullet", "--barrel", "9", "--shot", "1", "--out", filepath.Join(dir, "a")); code != exitFailed || !strings.Contains(stderr, "never overwritten") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	for _, strength := range []string{"-0.1", "0", "11", "NaN"} {
		base := filepath.Join(dir, "strength")
		code, _, stderr := inProcess(t, "practice", "bullet", "--barrel", "7", "--shot", "1", "--strength="+strength, "--out", base)
		if _, err := os.Stat(base + "-land-1.x3p"); code != exitFailed || !strings.Contains(stderr, "is no factor for striae") || err == nil {
			t.Errorf("strength %s: exit code %d: %s", strength, code, stderr)
		}
	}
}
