package overlay

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"regexp"
	"strings"
	"testing"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/exact"
	"proofmark/correlate/shear"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// mark is a ring of random heights; factor −1 turns it inside out.
func mark(t *testing.T, seed uint64, factor int8) *correlate.Signature {
	t.Helper()
	rng := exact.Sequence(seed)
	const n = correlate.SignatureSide
	pixels := make([]int8, n*n)
	coarse := make([]int8, n*n)
	for i := range coarse {
		coarse[i] = int8(1+rng.Below(3)) * int8(1-2*rng.Below(2))
	}
	for i := range pixels {
		x, y := i%n-n/2, i/n-n/2
		if d := x*x + y*y; d > 25*25 && d < 55*55 {
			pixels[i] = factor * coarse[(i/n/3)*n+i%n/3]
		}
	}
	s, err := correlate.SignatureFromPixels(correlate.SignatureFacts{ROI: correlate.BreechFace, Origin: correlate.OriginAperture, Aperture: 800, RMS: 0.6, Quality: 0.9, Levels: 6}, pixels)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func compareMarks(a, b *correlate.Signature) correlate.Comparison {
	return correlate.Compare(correlate.NewTemplate(a), correlate.NewTemplate(b))
}

// wellFormed parses the document and refuses whatever could run or call out.
func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		e, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if strings.Contains("script foreignObject style use a", e.Name.Local) {
			t.Errorf("element %s", e.Name.Local)
		}
		for _, a := range e.Attr {
			if a.Name.Local == "href" && !strings.HasPrefix(a.Value, "data:image/png;base64,") || strings.HasPrefix(a.Name.Local, "on") {
				t.Errorf("%s %s=%.40q", e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
}

var embedded = regexp.MustCompile(`href="data:image/png;base64,([^"]+)"`)

// shares counts the clearly blue and clearly orange pixels of the third panel.
func shares(t *testing.T, svg []byte) (agree, oppose int) {
	t.Helper()
	panels := embedded.FindAllSubmatch(svg, -1)
	if len(panels) != 3 {
		t.Fatalf("%d panels", len(panels))
	}
	raw, err := base64.StdEncoding.DecodeString(string(panels[2][1]))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			switch {
			case c.A == 0:
			case int(c.B) > int(c.R)+40:
				agree++
			case int(c.R) > int(c.B)+40:
				oppose++
			}
		}
	}
	return agree, oppose
}

func TestMarksShowAgreement(t *testing.T) {
	a, b, inverse := mark(t, 1, 1), mark(t, 2, 1), mark(t, 1, -1)
	for _, c := range []struct {
		what       string
		other      *correlate.Signature
		least, top float64 // of the share that agrees
	}{{"itself", a, 0.99, 1}, {"its inverse at the same pose", inverse, 0, 0.01}, {"another", b, 0.35, 0.7}} {
		found := compareMarks(a, c.other)
		if c.other == inverse {
			found = correlate.Comparison{Algorithm: correlate.Algorithm} // not turned away from itself
		}
		svg, err := Marks(a, c.other, found, Labels{A: "A", B: "B"})
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, svg)
		agree, oppose := shares(t, svg)
		if share := float64(agree) / float64(agree+oppose); agree+oppose < 5000 || share < c.least || share > c.top {
			t.Errorf("%s: %d pixels agree, %d oppose", c.what, agree, oppose)
		}
	}
}

func TestMarksDrawEveryCell(t *testing.T) {
	a := mark(t, 1, 1)
	found := compareMarks(a, a)
	if found.CongruentCells < 10 || found.CongruentCells != found.Cells {
		t.Fatalf("a mark on itself: %d of %d cells", found.CongruentCells, found.Cells)
	}
	found.CellMap[0].Congruent = false
	svg, err := Marks(a, a, found, Labels{A: "A", B: "B"})
	if err != nil {
		t.Fatal(err)
	}
	clipped := string(svg[bytes.Index(svg, []byte(`<svg x=`)):bytes.LastIndex(svg, []byte(`</svg>`))])
	clipped = clipped[:strings.LastIndex(clipped, "</svg>")]
	if n := strings.Count(clipped, "<rect"); n != 3*found.Cells {
		t.Errorf("%d cells drawn in three panels, want %d", n, 3*found.Cells)
	}
	if n := strings.Count(clipped, "stroke-dasharray"); n != 3 {
		t.Errorf("%d cells drawn as not congruent, want 3", n)
	}
}

func TestPicturesAreSteadyAndHarmless(t *testing.T) {
	a, b := mark(t, 1, 1), mark(t, 2, 1)
	hostile := Labels{`"><script>alert(1)</script>`, "\x00\xff]]>&amp;" + strings.Repeat("long ", 200), "H1 <b>" + strings.Repeat("note ", 200)}
	one, err := Marks(a, b, compareMarks(a, b), hostile)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Marks(a, b, compareMarks(a, b), hostile)
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("equal comparisons give other bytes: %v", err)
	}
	wellFormed(t, one)
	if len(one) > 1<<20 {
		t.Errorf("%d bytes", len(one))
	}
}

// fired encodes two bullets of one generated barrel.
func fired(t *testing.T, seed uint64) (a, b *bullet.Bullet, found bullet.Comparison) {
	t.Helper()
	barrel := synth.NewBarrel(seed, synth.Rifling{})
	made := make([]*bullet.Bullet, 2)
	for i := range made {
		scans, _ := barrel.FireBullet(uint64(i+1), synth.LandShot{Pitch: 3.125e-6, Along: 12.5e-6, Rows: 16})
		lands := make([]*bullet.Land, len(scans))
		for k, s := range scans {
			l, _, err := bullet.EncodeLand(s)
			if err != nil {
				t.Fatal(err)
			}
			lands[k] = l
		}
		var err error
		if made[i], err = bullet.NewBullet(lands); err != nil {
			t.Fatal(err)
		}
	}
	return made[0], made[1], bullet.Compare(bullet.NewTemplate(made[0]), bullet.NewTemplate(made[1]))
}

func TestBulletsShowEveryLandPair(t *testing.T) {
	var a, b *bullet.Bullet
	var found bullet.Comparison
	for seed := uint64(1); len(found.Lands) != 6; seed++ { // some generated barrels are weak, as real ones are
		if seed == 20 {
			t.Fatal("no generated barrel has six lands that can be compared")
		}
		a, b, found = fired(t, seed)
	}
	for i := range found.Lands {
		found.Lands[i].Counted = i != 2
	}
	svg := Bullets(a, b, found, Labels{A: "A<", B: "B", Note: "H1: not for court\nH2: not for others"})
	wellFormed(t, svg)
	if n := bytes.Count(svg, []byte(`fill="none" stroke="`+second)); n != 6 {
		t.Errorf("%d profiles of the second bullet", n)
	}
	if n := bytes.Count(svg, []byte("below the gate")); n != 1 {
		t.Errorf("%d pairs are said to be below the gate", n)
	}
	if !bytes.Contains(svg, []byte(">H1: not for court</text>")) || !bytes.Contains(svg, []byte(">H2: not for others</text>")) {
		t.Error("the note is missing")
	}
	none := Bullets(a, b, bullet.Comparison{}, Labels{})
	wellFormed(t, none)
	if !bytes.Contains(none, []byte("nothing was compared")) {
		t.Error("an empty comparison does not say so")
	}
}

// facet is a scan of striae alone, whose profile is drawn from the seed; noise is what
// this one has of its own.
func facet(seed, noise uint64) *x3p.Scan {
	const n, rows = 260, 60 // 5 µm
	rng, own := exact.Sequence(seed), exact.Sequence(noise)
	nodes := make([]float64, n/5+3)
	for i := range nodes {
		nodes[i] = float64(rng.Below(2001)-1000) / 400
	}
	s := &x3p.Scan{SizeX: n, SizeY: rows, IncX: 5e-6, IncY: 5e-6, Z: make([]float64, n*rows)}
	for i := range s.Z {
		x := float64(i%n) / 5
		k, t := int(x), x-float64(int(x))
		t = t * t * (3 - 2*t)
		s.Z[i] = (nodes[k] + t*(nodes[k+1]-nodes[k]) + float64(own.Below(200))/1000) * 1e-6
	}
	return s
}

func TestShearShowsBothProfiles(t *testing.T) {
	var marks [2]*shear.Mark
	for i := range marks {
		var err error
		if marks[i], _, err = shear.Encode(facet(4, uint64(i)), correlate.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	found := shear.Compare(marks[0], marks[1])
	if found.R < 0.9 {
		t.Fatalf("one profile twice: %+v", found)
	}
	for _, c := range []shear.Comparison{found, {R: found.R, Lag: 40, Reversed: true}} {
		svg := Shear(marks[0], marks[1], c, Labels{A: "A<", B: "B", Note: "H1"})
		wellFormed(t, svg)
		if n := bytes.Count(svg, []byte(`stroke-linejoin="round"`)); n != 2 {
			t.Errorf("%d profiles", n)
		}
		if said := bytes.Contains(svg, []byte("read from its other end")); said != c.Reversed {
			t.Errorf("reversed %v, said %v", c.Reversed, said)
		}
	}
}
