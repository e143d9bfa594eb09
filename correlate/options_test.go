//go:build !race

package correlate

import (
	"errors"
	"math"
	"strings"
	"testing"

	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

// draw makes a mask of the points whose centres a rule keeps, told in µm from the
// scan's first corner.
func draw(s *x3p.Scan, keep func(x, y float64) bool) *edit.Mask {
	m := &edit.Mask{SizeX: s.SizeX, SizeY: s.SizeY, Keep: make([]bool, len(s.Z))}
	for i := range m.Keep {
		m.Keep[i] = keep((float64(i%s.SizeX)+0.5)*s.IncX*1e6, (float64(i/s.SizeX)+0.5)*s.IncY*1e6)
	}
	return m
}

// Marks cut by a mask or a sector lie in the frame of the whole scan, wherever
// the cut runs and however little it leaves.
func TestCutMarksKeepTheOriginOfTheWholeScan(t *testing.T) {
	scan := texture(31).scan(view{noise: 310, pitch: 12.5})
	whole, q, err := Encode(scan, BreechFace)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []float64{0, 97, 181, 300, -60, 1000} {
		for _, share := range []float64{0.5, 0.25, 0.1} {
			part, cut, err := EncodeWith(scan, BreechFace, Options{Sector: &Sector{From: from, Share: share}})
			if err != nil {
				t.Fatal(err)
			}
			if cut.OriginX != q.OriginX || cut.OriginY != q.OriginY || part.centre != whole.centre {
				t.Errorf("%g of the face from %g°: origin of kind %d at %.1f, %.1f, the whole's of kind %d at %.1f, %.1f",
					share, from, part.centre, cut.OriginX, cut.OriginY, whole.centre, q.OriginX, q.OriginY)
			}
			if got := float64(part.valid) / float64(whole.valid); math.Abs(got-share) > 0.04 {
				t.Errorf("%g of the face from %g°: %.3f of the pixels", share, from, got)
			}
			first := math.Mod(from+2880, 360)
			for i, v := range part.pixels {
				x, y := float64(2*(i%side)+1-side), float64(2*(i/side)+1-side)
				angle := math.Mod(math.Atan2(y, x)*180/math.Pi-first+720, 360)
				if v != 0 && angle > 360*share+4 && angle < 356 {
					t.Fatalf("%g of the face from %g°: a pixel at %.0f° from there", share, from, angle)
				}
			}
		}
	}
	half := draw(scan, func(x, _ float64) bool { return x < q.OriginX })
	part, cut, err := EncodeWith(scan, BreechFace, Options{Mask: half})
	if err != nil {
		t.Fatal(err)
	}
	if cut.OriginX != q.OriginX || cut.OriginY != q.OriginY || int(part.x0)+int(part.w) > side/2+1 || math.Abs(float64(part.valid)/float64(whole.valid)-0.5) > 0.04 {
		t.Errorf("half a face: origin at %.1f, %.1f for %.1f, %.1f; pixels from %d, %d wide, %d of %d",
			cut.OriginX, cut.OriginY, q.OriginX, q.OriginY, part.x0, part.w, part.valid, whole.valid)
	}
}

// What a person draws is the region, also where the segmentation finds another.
func TestDrawnMaskWinsOverTheSegmentation(t *testing.T) {
	// Two level regions, the larger one 60 µm below: a face at its aperture, and
	// what lies around it.
	scan := texture(32).scan(view{pitch: 12.5})
	other := texture(33)
	for i := range scan.Z {
		x, y := (float64(i%scan.SizeX)+0.5)*12.5, (float64(i/scan.SizeX)+0.5)*12.5
		if r := math.Hypot(x-1950, y-1950); r > 1350 {
			scan.Z[i] = (other.at(x, y) - 60) * 1e-6
		}
	}
	ring := draw(scan, func(x, y float64) bool { r := math.Hypot(x-1950, y-1950); return r > 700 && r < 1350 })
	sig, q, err := EncodeWith(scan, BreechFace, Options{Mask: ring})
	if err != nil {
		t.Fatal(err)
	}
	if want := math.Pi * (1.35*1.35 - 0.75*0.75); math.Abs(sig.AreaMM2()-want) > 0.1*want {
		t.Errorf("%.2f mm² of marks, the mask keeps %.2f", sig.AreaMM2(), want)
	}
	if math.Hypot(q.OriginX-1950, q.OriginY-1950) > 30 {
		t.Errorf("origin at %.0f, %.0f", q.OriginX, q.OriginY)
	}
	mate := mustTemplate(t, texture(32).scan(view{pitch: 12.5, noise: 320, rotation: 50}))
	if c := Compare(mate, NewTemplate(sig)); c.Score < 0.5 {
		t.Errorf("its mate scores %.3f", c.Score)
	}
}

func TestOptionsRefuse(t *testing.T) {
	scan := texture(1).scan(view{pitch: 12.5})
	for _, c := range []struct {
		name string
		o    Options
		want error
		says string
	}{
		{"mask of another size", Options{Mask: &edit.Mask{SizeX: 3, SizeY: 3, Keep: make([]bool, 9)}}, nil, "3 × 3"},
		{"mask of nothing", Options{Mask: draw(scan, func(_, _ float64) bool { return false })}, edit.ErrNothingLeft, ""},
		{"mask of a corner", Options{Mask: draw(scan, func(x, y float64) bool { return x > 2500 && y > 2500 && x < 2800 && y < 2800 })}, ErrNoMark, "mask keeps"},
		{"sector of nothing", Options{Sector: &Sector{}}, nil, "share"},
		{"sector of too much", Options{Sector: &Sector{Share: 1.5}}, nil, "share"},
		{"sector towards nowhere", Options{Sector: &Sector{From: math.NaN(), Share: 0.5}}, nil, "direction"},
		{"sector of next to nothing", Options{Sector: &Sector{Share: 1e-6}}, ErrNoMark, ""},
	} {
		_, _, err := EncodeWith(scan, BreechFace, c.o)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
