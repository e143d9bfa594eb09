package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"image/jpeg"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/synth"
)

// maxPicture bounds the picture's file: it is part of a page that people load.
const maxPicture = 400_000

// pairOf is two shots of one firearm, turned and shifted against each other, and what their comparison finds.
var pairOf = sync.OnceValues(func() (faces [2]*placed, c correlate.Comparison) {
	gun := synth.NewMaker(1).Firearm(7)
	var templates [2]*correlate.Template
	for i, shot := range []synth.Shot{{Rotation: 25, ShiftX: 0.1e-3, ShiftY: -0.15e-3}, {Rotation: -62, ShiftX: -0.2e-3, ShiftY: 0.05e-3}} {
		s := gun.Fire(uint64(i+1), shot)
		faces[i] = &placed{scan: s, centre: [2]float64{shot.ShiftX * 1e6, shot.ShiftY * 1e6}}
		signature, _, err := correlate.Encode(s, correlate.BreechFace)
		if err != nil {
			panic(err)
		}
		templates[i] = correlate.NewTemplate(signature)
	}
	c = correlate.Compare(templates[0], templates[1])
	faces[1].pose = c.Pose
	return faces, c
})

// likeness correlates the slopes of two reliefs where both were measured.
func likeness(a, b *relief) float64 {
	var n, sa, sb, saa, sbb, sab float64
	const lag = 3
	for i := lag; i < len(a.z); i++ {
		if min(a.cover[i], a.cover[i-lag], b.cover[i], b.cover[i-lag]) < 1 || i%a.n < lag {
			continue
		}
		x, y := a.z[i]-a.z[i-lag], b.z[i]-b.z[i-lag]
		n, sa, sb, saa, sbb, sab = n+1, sa+x, sb+y, saa+x*x, sbb+y*y, sab+x*y
	}
	return (sab - sa*sb/n) / math.Sqrt((saa-sa*sa/n)*(sbb-sb*sb/n))
}

// TestFacesLieAlike: the drawing lays both faces so that their marks coincide, which a wrong sign or order would spoil.
func TestFacesLieAlike(t *testing.T) {
	faces, c := pairOf()
	if math.Abs(math.Abs(c.Pose.Rotation)-87) > 3 || c.CongruentCells < 6 {
		t.Fatalf("the comparison found %+v, so the test says nothing", c)
	}
	v := viewOf(faces[0], faces[1])
	if v.half < 1700 || v.half > 2600 {
		t.Errorf("view %+v does not fit a primer", v)
	}
	const points = 300
	a := faces[0].lay(v, points)
	if got := likeness(a, faces[1].lay(v, points)); got < 0.35 {
		t.Errorf("in the found pose the faces' slopes correlate at %.2f", got)
	}
	for name, wrong := range map[string]correlate.Pose{"as scanned": {}, "turned the other way": {Rotation: -c.Pose.Rotation, ShiftX: c.Pose.ShiftX, ShiftY: c.Pose.ShiftY}} {
		other := *faces[1]
		other.pose = wrong
		if got := likeness(a, other.lay(v, points)); got > 0.2 {
			t.Errorf("%s the faces' slopes correlate at %.2f: the test would not see a wrong pose", name, got)
		}
	}
	shifted := *faces[1]
	shifted.pose.ShiftX, shifted.pose.ShiftY, shifted.pose.Rotation = 130, -70, 33
	for _, q := range [][2]float64{{0, 0}, {12.5, 400}} {
		x, y := shifted.outOf(q[0], q[1])
		if col, row := shifted.into(x, y); math.Abs(col-q[0])+math.Abs(row-q[1]) > 1e-9 {
			t.Errorf("point %v comes back as %g, %g", q, col, row)
		}
	}
}

// TestLight: what rises towards the light is brighter than what falls away from it, and beside a face there is the plate.
func TestLight(t *testing.T) {
	const n = 12
	slope := func(dx, dy float64) uint8 {
		r := &relief{n: n, step: 10, z: make([]float64, n*n), cover: make([]float64, n*n)}
		for i := range r.z {
			r.z[i] = dx*float64(i%n) + dy*float64(i/n)
			if i != 0 {
				r.cover[i] = 1
			}
		}
		img := r.shade()
		if got := img.RGBAAt(0, 0); got != plate {
			t.Errorf("where nothing was measured the colour is %v", got)
		}
		return img.RGBAAt(n/2, n/2).R
	}
	level := slope(0, 0)
	if towards, away := slope(0.3, 0.3), slope(-0.3, -0.3); towards <= level || away >= level { // the upper left is low: faces the light
		t.Errorf("towards the light %d, level %d, away %d", towards, level, away)
	}
}

func TestGridTurn(t *testing.T) {
	grid := func(turn float64) (cells []correlate.Cell) {
		sin, cos := math.Sincos(turn * math.Pi / 180)
		for i := range 20 {
			x, y := float64(i%5)*cellSide+77, float64(i/5)*cellSide-31
			cells = append(cells, correlate.Cell{X: x*cos - y*sin, Y: x*sin + y*cos})
		}
		return cells
	}
	for _, rotation := range []float64{34, -120, 7} {
		if got := gridTurn(grid(rotation), rotation); got != rotation {
			t.Errorf("cells turned by %g° are drawn turned by %g°", rotation, got)
		}
		if got := gridTurn(grid(0), rotation); got != 0 {
			t.Errorf("cells along the axes are drawn turned by %g°", got)
		}
	}
	if got := gridTurn(nil, 30); got != 0 {
		t.Errorf("no cells are turned by %g°", got)
	}
	faces, c := pairOf()
	if got := gridTurn(c.CellMap, c.Pose.Rotation); got != 0 && got != faces[1].pose.Rotation {
		t.Errorf("real cells are turned by %g°", got)
	}
}

// checkPicture reads a picture as a browser would: well-formed, nothing from outside, all text on the sheet, both faces with all cells.
func checkPicture(t *testing.T, svg []byte, cells int) (text string) {
	t.Helper()
	if len(svg) > maxPicture {
		t.Errorf("the picture has %d bytes", len(svg))
	}
	var words strings.Builder
	images, squares := 0, 0
	for dec := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if chars, ok := token.(xml.CharData); ok {
			if strings.Contains(string(chars), "url(") || strings.Contains(string(chars), "@import") || strings.Contains(string(chars), "@font-face") {
				t.Errorf("the style takes something from outside: %s", chars)
			}
			words.Write(chars)
			words.WriteByte('\n')
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		attr := map[string]string{}
		for _, a := range e.Attr {
			attr[a.Name.Local] = a.Value
		}
		for _, reach := range []string{attr["src"], strings.TrimPrefix(attr["href"], "data:")} {
			if strings.Contains(reach, ":") {
				t.Errorf("%s takes something from outside: %.60s", e.Name.Local, reach)
			}
		}
		switch {
		case e.Name.Local == "image":
			images++
			checkFace(t, attr["href"])
		case e.Name.Local == "rect" && (attr["class"] == "cell" || attr["class"] == "off"):
			squares++
		case e.Name.Local == "text":
			x, errX := strconv.ParseFloat(attr["x"], 64)
			y, errY := strconv.ParseFloat(attr["y"], 64)
			if errors.Join(errX, errY) != nil || x < 0 || x > paperWide || y < 0 || y > paperHigh {
				t.Errorf("a text at %s, %s", attr["x"], attr["y"])
			}
		}
	}
	if images != 2 || squares != 2*cells+2 { // two of the legend
		t.Errorf("%d faces, %d squares for %d cells", images, squares, cells)
	}
	return words.String()
}

func checkFace(t *testing.T, href string) {
	t.Helper()
	code, ok := strings.CutPrefix(href, "data:image/jpeg;base64,")
	if !ok {
		t.Fatalf("an image is not part of the file: %.60s", href)
	}
	b, err := base64.StdEncoding.DecodeString(code)
	if err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	bright := 0
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if r, _, _, _ := img.At(x, y).RGBA(); r > 0x6000 {
				bright++
			}
		}
	}
	if share := float64(bright) / float64(img.Bounds().Dx()*img.Bounds().Dy()); share < 0.08 || share > 0.5 {
		t.Errorf("%.0f %% of a face's image is metal", 100*share)
	}
}

func TestDrawing(t *testing.T) {
	faces, c := pairOf()
	d := &drawing{exhibits: 6, bytes: 1030, scan: 706_000, lead: "acknowledged", hit: "hit", taken: "retracted", trace: "COMPLETED", found: c, rank: [2]int{1, 2},
		faces: [2]drawnFace{{title: "PT", lines: []string{"evidence <&> \"more\""}, first: true}, {title: "ES", lines: []string{"test fire"}}}}
	for i, b := range casts {
		d.bureaus[i] = drawnBureau{country: b.country, name: b.name, exhibits: i + 1, bytes: 1000 + i, log: Log{Entries: 200, Verified: i != 1}}
	}
	if err := d.light(faces); err != nil {
		t.Fatal(err)
	}
	text := checkPicture(t, d.svg(), len(c.CellMap))
	for _, want := range []string{"evidence <&> \"more\"", "1 signature\n", "2 signatures", "1,002 bytes each", "lead, then hit", "trace, completed", "about 706 kB",
		"rank 1 in Lisbon's list, rank 2 in Madrid's", "a lead, retracted by its sender", "log of 200 entries, NOT verified"} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture does not say %q", want)
		}
	}
	d.hit = "acknowledged"
	if text := checkPicture(t, d.svg(), len(c.CellMap)); strings.Contains(text, "then hit") || !strings.Contains(text, "lead acknowledged") {
		t.Error("the picture tells of a hit that is none")
	}
}

// checkDay holds the picture of a day against what the federation had at its end.
func checkDay(t *testing.T, file string, exhibits, cells, entries int) {
	t.Helper()
	svg, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := checkPicture(t, svg, cells)
	for _, want := range []string{strconv.Itoa(exhibits) + " exhibits in three bureaus", "lead, then hit", "trace, completed", "recovered pistol", "log of " + strconv.Itoa(entries) + " entries, verified"} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture does not say %q: %s", want, text)
		}
	}
}

func TestNoPictureOfRealScans(t *testing.T) {
	_, err := Run(t.Context(), Options{Scans: t.TempDir(), Picture: filepath.Join(t.TempDir(), "x.svg"), Out: io.Discard, Now: time.Now})
	if !errors.Is(err, errRealScans) {
		t.Errorf("got %v", err)
	}
}
