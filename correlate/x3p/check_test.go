package x3p

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func says(r Report, part string) *Finding {
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.String(), part) })
	if i < 0 {
		return nil
	}
	return &r.Findings[i]
}

func TestCheck(t *testing.T) {
	wrongSum := strings.Repeat("0", 32)
	for _, c := range []struct {
		name              string
		b                 []byte
		says              string
		standard, refused bool
		surface           bool
	}{
		{"bare digest", file{sum: fmt.Sprintf("%x", sumOf(file{}.xml()))}.bytes(t), "md5checksum.hex: holds a bare digest", true, false, true},
		{"digest of another file", file{sum: fmt.Sprintf("%x *other.xml", sumOf(file{}.xml()))}.bytes(t), `is of "*other.xml"`, true, false, true},
		{"no checksum", file{noSum: true}.bytes(t), "main.xml is not verified", true, false, true},
		{"wrong checksum", file{sum: wrongSum + " *main.xml"}.bytes(t), "main.xml has MD5", true, true, true},
		{"wrong checksum of points", file{record3: strings.Replace(linked(sixHeights(), nil), fmt.Sprintf("%X", sumOf(sixHeights())), wrongSum, 1)}.bytes(t), "bindata/data.bin has MD5", true, true, true},
		{"nested", file{folder: "a/"}.bytes(t), `nested in folder "a"`, true, false, true},
		{"stranger", file{extra: map[string][]byte{"Notes.txt": nil}}.bytes(t), `"Notes.txt" is not named`, false, false, true},
		{"units", file{edit: map[string]string{"1e-6": "1"}}.bytes(t), "x spacing is 1 m", false, true, true},
		{"offset", file{edit: map[string]string{"<Offset>0<": "<Offset>0.5<"}}.bytes(t), "CX/Offset: 0.5 m is not kept", false, false, true},
		{"order", file{edit: map[string]string{"<DataType>D</DataType><Increment>1e-6</Increment>": "<Increment>1e-6</Increment><DataType>D</DataType>"}}.bytes(t), "stands after Increment", true, false, true},
		{"profile", file{edit: map[string]string{"SUR": "PRF"}}.bytes(t), "is a profile", false, true, false},
		{"too few points", file{data: sixHeights()[:40]}.bytes(t), "is 40 bytes long", true, true, false},
		{"too large", file{edit: map[string]string{"<SizeX>3<": "<SizeX>300000000<"}}.bytes(t), "the limit is", false, true, false},
		{"no container", []byte("This is no scan."), "not a readable ZIP file", true, true, false},
		{"text after the end", file{edit: map[string]string{"</p:ISO5436_2>": "</p:ISO5436_2><x/>"}}.bytes(t), "more than one root", true, true, false},
	} {
		r := CheckBytes(c.b, Limits{})
		f := says(r, c.says)
		if f == nil || f.Standard != c.standard || f.Refused != c.refused || (r.Scan != nil) != c.surface {
			t.Errorf("%s: %+v of %v, surface %v", c.name, f, r.Findings, r.Scan != nil)
		}
		if c.refused != r.Refused() {
			t.Errorf("%s: refused %v: %v", c.name, r.Refused(), r.Findings)
		}
		if _, err := Decode(c.b, Options{Strict: true}); err != nil && !r.Refused() {
			t.Errorf("%s: a peer says %v, the check does not", c.name, err)
		}
	}
	// Both checksums at once: a check goes on where a strict reader stops.
	both := CheckBytes(file{sum: wrongSum + " *main.xml", record3: strings.Replace(linked(sixHeights(), nil), fmt.Sprintf("%X", sumOf(sixHeights())), wrongSum, 1)}.bytes(t), Limits{})
	if says(both, "main.xml has MD5") == nil || says(both, "data.bin has MD5") == nil {
		t.Errorf("two wrong checksums: %v", both.Findings)
	}
	// What the schema says is not said a second time by the reader.
	root := CheckBytes(file{edit: map[string]string{"p:ISO5436_2": "p:ISO5436"}}.bytes(t), Limits{})
	if n := strings.Count(fmt.Sprint(root.Findings), "root element"); n != 1 {
		t.Errorf("the root is named %d times: %v", n, root.Findings)
	}
}

// realChecks are what the check says of each real file: whether it conforms,
// whether a peer refuses it, and parts of the findings.
var realChecks = map[string]struct {
	conforms, refused bool
	says              []string
}{
	"fadul/":                     {false, false, []string{"Axes/Origin: is not in the schema", "Record2/Instrument: stands after Comment", "Record3/Mask: is not in the schema", "bare digest"}},
	"fadul-raw/":                 {true, false, nil},
	"hamby44/":                   {true, false, nil},
	"ISO5436-sample1.x3p":        {true, true, []string{"x spacing is 0.016016 m"}},
	"ISO5436-sample1_bin.x3p":    {true, true, []string{"x spacing is 0.016016 m"}},
	"ISO5436-sample2.x3p":        {true, true, []string{"PCL is a point cloud"}},
	"ISO5436-sample3.x3p":        {true, true, []string{"y spacing is 2 m"}},
	"ISO5436-sample4.x3p":        {true, true, []string{"heights span 1.856 m"}},
	"ISO5436-sample4_bin.x3p":    {true, true, []string{"heights span 1.856 m"}},
	"KautschukInfiniteFocus.x3p": {false, false, []string{"5296 infinite heights"}},
	"SkiInfiniteFocus.x3p":       {false, false, []string{"4272 infinite heights"}},
	"csafe-logo.x3p":             {false, true, []string{"root element: is", "nested in folder", "CZ/Increment: 1e-06 is not applied", "main.xml has MD5"}},
	"pyramid.x3p":                {false, true, []string{`"Date of Calibration" is not a date`, `"Type" is none of`, "x spacing is 1 m"}},
	"sample-land.x3p":            {false, false, []string{"root element: is", "CZ/Offset", "Axes/Origin", "Record3/Mask", `bindata/.DS_Store" is not named`}},
	"testing.x3p":                {false, true, []string{`Record2/Date: "N/A"`, "it would fit if the file is in millimetres"}},
}

func TestCheckRealFiles(t *testing.T) {
	dir := realScans(t)
	if dir == "" {
		t.Log("no real scans here; TestCheck has the same kinds of files, written by hand")
		return
	}
	for _, e := range realFiles {
		want, ok := realChecks[filepath.Dir(e.file)+"/"]
		if !ok {
			if want, ok = realChecks[filepath.Base(e.file)]; !ok {
				t.Errorf("%s: nothing is said about it", e.file)
				continue
			}
		}
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(filepath.Join(dir, e.file))
			if err != nil {
				t.Fatal(err)
			}
			r := CheckBytes(b, Limits{})
			if r.Conforms() != want.conforms || r.Refused() != want.refused || (r.Scan == nil) != (e.complaint != "") {
				t.Errorf("conforms %v, refused %v, surface %v: %v", r.Conforms(), r.Refused(), r.Scan != nil, r.Findings)
			}
			for _, part := range want.says {
				if says(r, part) == nil {
					t.Errorf("%q is not among %v", part, r.Findings)
				}
			}
			if want.conforms && !want.refused && len(r.Findings) > 0 {
				t.Errorf("%v", r.Findings)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(written(f, surface(3, 2)))
	f.Add(file{}.bytes(f))
	f.Add(file{folder: "x/", noSum: true}.bytes(f))
	for _, c := range breaks {
		f.Add(file{edit: map[string]string{c.from: c.to}}.bytes(f))
	}
	f.Add(file{extra: map[string][]byte{maskFile: maskPicture(f, 3, 2, color.White)}}.bytes(f))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := CheckBytes(b, fuzzLimits)
		_, err := Decode(b, Options{Limits: fuzzLimits})
		if (err == nil) != (r.Scan != nil) {
			t.Fatalf("reading says %v, the check %v", err, r.Findings)
		}
		if _, err := Decode(b, Options{Strict: true, Limits: fuzzLimits}); err != nil && !r.Refused() {
			t.Fatalf("a peer says %v, the check %v", err, r.Findings)
		}
		if r.Scan == nil {
			return
		}
		if m, err := ReadMask(bytes.NewReader(b), int64(len(b)), r.Scan.SizeX, r.Scan.SizeY, fuzzLimits); err == nil {
			if size := m.Picture.Bounds().Size(); size != image.Pt(r.Scan.SizeX, r.Scan.SizeY) {
				t.Fatalf("a mask of %v for %d × %d points", size, r.Scan.SizeX, r.Scan.SizeY)
			}
		}
	})
}

func maskPicture(t testing.TB, w, h int, c color.Color) []byte {
	t.Helper()
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	p.Set(0, 0, c)
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestOwnMask(t *testing.T) {
	const legend = `<Mask><Background>#010203ff</Background><Annotations><Annotation color="#1f376c">break-off</Annotation><Annotation color="#629d4b"/><Annotation>x</Annotation></Annotations></Mask></Record3>`
	red := color.NRGBA{0xff, 0, 0, 0xff}
	masked := func(w, h int) []byte {
		return file{edit: map[string]string{"</Record3>": legend}, extra: map[string][]byte{maskFile: maskPicture(t, w, h, red)}}.bytes(t)
	}
	b := masked(3, 2)
	m, err := ReadMask(bytes.NewReader(b), int64(len(b)), 3, 2, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Background != (color.NRGBA{1, 2, 3, 0xff}) || len(m.Labels) != 1 || m.Labels[0] != (MaskLabel{color.NRGBA{0x1f, 0x37, 0x6c, 0xff}, "break-off"}) {
		t.Errorf("legend %+v", m)
	}
	if got := color.NRGBAModel.Convert(m.Picture.At(0, 0)); got != red {
		t.Errorf("first pixel %v", got)
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"another size": {masked(2, 3), "2 × 3 pixels, the scan has 3 × 2 points"},
		"none":         {file{}.bytes(t), "no mask of its own"},
		"no picture":   {file{extra: map[string][]byte{maskFile: []byte("GIF89a")}}.bytes(t), "is no PNG picture"},
		"cut off":      {file{extra: map[string][]byte{maskFile: maskPicture(t, 3, 2, red)[:50]}}.bytes(t), "cannot be decoded"},
		"no container": {[]byte("x"), "not a readable ZIP"},
	} {
		if _, err := ReadMask(bytes.NewReader(c.b), int64(len(c.b)), 3, 2, Limits{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for s, good := range map[string]bool{"#cd7f32": true, "#CD7F32FF": true, "cd7f32": false, "#cd7f3": false, "#cd7f3g": false, "": false} {
		if c, err := ParseColor(s); (err == nil) != good || good && c != defaultBackground {
			t.Errorf("%q: %v, %v", s, c, err)
		}
	}
}

func TestOwnMaskOfARealFile(t *testing.T) {
	dir := realScans(t)
	if dir == "" {
		t.Log("no real scans here; TestOwnMask has run")
		return
	}
	b, err := os.ReadFile(filepath.Join(dir, "format-samples", "sample-land.x3p"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ReadMask(bytes.NewReader(b), int64(len(b)), 918, 256, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Labels) != 6 || m.Labels[1].Text != "right groove" || m.Background != defaultBackground {
		t.Errorf("%+v %v", m.Labels, m.Background)
	}
	seen := map[color.Color]int{}
	for y := range 256 {
		for x := range 918 {
			seen[color.NRGBAModel.Convert(m.Picture.At(x, y))]++
		}
	}
	if seen[m.Background] < 918*256/2 || seen[m.Labels[1].Color] == 0 {
		t.Errorf("colours %v", seen)
	}
}

func sumOf(b []byte) [16]byte { return md5.Sum(b) }
