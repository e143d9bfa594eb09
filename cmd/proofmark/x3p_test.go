package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"proofmark/correlate/x3p"
)

// crooked writes a scan as a careless tool might: in a folder, its record of instrument and dates unfit, with a mask and no root prefix.
func crooked(t *testing.T, edit map[string]string) string {
	t.Helper()
	s := &x3p.Scan{SizeX: 4, SizeY: 3, IncX: 5e-6, IncY: 5e-6, Z: make([]float64, 12)}
	for i := range s.Z {
		s.Z[i] = float64(i*i) * 1e-7
	}
	s.Meta = x3p.Meta{Date: "2024-05-31T13:00:00Z", Manufacturer: "NanoFocus", CalibrationDate: "2024-05-01T08:00:00Z", ProbingType: "NonContacting", Comment: "of the laboratory"}
	var good, bad, picture bytes.Buffer
	if err := x3p.Write(&good, s); err != nil {
		t.Fatal(err)
	}
	p := image.NewNRGBA(image.Rect(0, 0, 4, 3))
	for i := range 12 {
		p.SetNRGBA(i%4, i/4, color.NRGBA{0xcd, 0x7f, 0x32, 0xff})
	}
	p.SetNRGBA(1, 1, color.NRGBA{0x80, 0, 0x80, 0xff})
	if err := png.Encode(&picture, p); err != nil {
		t.Fatal(err)
	}
	in, err := zip.NewReader(bytes.NewReader(good.Bytes()), int64(good.Len()))
	if err != nil {
		t.Fatal(err)
	}
	out := zip.NewWriter(&bad)
	put := func(name string, content []byte) {
		w, err := out.Create("scan/" + name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if f.Name == "main.xml" {
			for from, to := range edit {
				if !strings.Contains(text, from) {
					t.Fatalf("main.xml has no %s", from)
				}
				text = strings.ReplaceAll(text, from, to)
			}
		}
		put(f.Name, []byte(text))
	}
	put("bindata/mask.png", picture.Bytes())
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "crooked.x3p")
	if err := os.WriteFile(path, bad.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// typed runs a command line in this process.
func typed(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestConvertRepairs(t *testing.T) {
	mask := "<Mask><Background>#cd7f32</Background><Annotations><Annotation color=\"#800080\">left groove</Annotation></Annotations></Mask>"
	for _, c := range []struct {
		name             string
		edit             map[string]string
		flags            []string
		repaired         []string
		leftOut, caution []string
		missing          int
		comment          string
	}{
		{"namespace", map[string]string{"p:ISO5436_2 xmlns:p=\"http://www.opengps.eu/2008/ISO5436_2\"": "ISO5436", "/p:ISO5436_2": "/ISO5436"}, nil,
			[]string{"root element", "nested in folder", "main.xml has MD5"}, []string{"own mask"}, []string{"compare it with the source"}, 0, "of the laboratory"},
		{"date in another form", map[string]string{"2024-05-31T13:00:00Z": "2024-05-31 13:00:00"}, nil, []string{`date "2024-05-31 13:00:00" is written 2024-05-31T13:00:00`}, nil, nil, 0, "of the laboratory"},
		{"no date", map[string]string{"2024-05-31T13:00:00Z": "N/A"}, nil, nil, []string{"manufacturer: NanoFocus", "comment: of the laboratory"}, []string{"had to be left out"}, 0, ""},
		{"no date, given", map[string]string{"2024-05-31T13:00:00Z": "N/A"}, []string{"--date", "2024-05-31T14:00:00Z"}, nil, []string{`"N/A", for which --date was given`}, nil, 0, "of the laboratory"},
		{"own mask", map[string]string{"</Record3>": mask + "</Record3>"}, []string{"--mask", "own"}, []string{"Record3/Mask: is not in the schema"}, nil, nil, 1,
			"of the laboratory [proofmark x3p convert: masked, 1 points taken out]"},
		{"own mask, a label", map[string]string{"</Record3>": mask + "</Record3>"}, []string{"--mask", "own", "--keep", "left groove"}, nil, nil, nil, 11,
			"of the laboratory [proofmark x3p convert: masked, 11 points taken out]"},
	} {
		out := filepath.Join(t.TempDir(), "out.x3p")
		code, stdout, stderr := typed(t, append([]string{"--json", "x3p", "convert", crooked(t, c.edit), out}, c.flags...)...)
		var made converted
		if err := json.Unmarshal([]byte(stdout), &made); code != exitOK || err != nil {
			t.Errorf("%s: exit %d, %v, %s", c.name, code, err, stderr)
			continue
		}
		for _, pair := range []struct {
			got  []string
			want []string
		}{{made.Repaired, c.repaired}, {made.LeftOut, c.leftOut}, {made.Warnings, c.caution}} {
			for _, want := range pair.want {
				if !strings.Contains(strings.Join(pair.got, "\n"), want) {
					t.Errorf("%s: %q is not in %q", c.name, want, pair.got)
				}
			}
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		r := x3p.CheckBytes(b, x3p.Limits{})
		if !r.Conforms() || r.Refused() || r.Scan.Missing() != c.missing || r.Scan.Meta.Comment != c.comment {
			t.Errorf("%s: %v, %d missing, comment %q", c.name, r.Findings, r.Scan.Missing(), r.Scan.Meta.Comment)
		}
	}
}

func TestInfoNamesTheMask(t *testing.T) {
	path := crooked(t, map[string]string{"</Record3>": "<Mask><Annotations><Annotation color=\"#800080\">left groove</Annotation></Annotations></Mask></Record3>"})
	code, stdout, _ := typed(t, "x3p", "info", path)
	if code != exitOK || !strings.Contains(stdout, "of its own: left groove") || !strings.Contains(stdout, "4 × 3 at 5 µm, 20 × 15 µm") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

func TestCheckRefusesChangedContent(t *testing.T) {
	path := crooked(t, map[string]string{"NanoFocus": "Nanofocus"})
	code, stdout, stderr := typed(t, "x3p", "check", path)
	if code != exitFailed || !strings.Contains(stdout, "A peer refuses it:\n  main.xml has MD5") || !strings.Contains(stderr, "1 of 1 file would be refused") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}
