//go:build !race

package correlate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"proofmark/correlate/exact"
	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

// pinView is how a primer with a firing-pin impression is scanned.
type pinView struct {
	rotation float64 // degrees
	noise    texture // of this scan alone, at half weight
	pitch    float64 // µm; 5
	alone    bool    // the impression without the face around it
	flat     bool    // a flat pin of 1.1 by 0.8 mm, else a ball's cap
	tilt     float64 // degrees
	scale    float64 // of the marks; 2
	floorOff bool    // the floor is dropout
	side     float64 // µm the pin struck off the aperture's middle
	mirror   bool    // heights turned over
	dropout  int     // one point in so many is lost
	deep     float64 // µm, depth; 200
}

const pinRadius = 620.0

// pinScan renders a primer of 3.3 mm: the face, an aperture of 760 µm radius with a
// bulge, and in it the pin's impression, whose marks are the texture at 2/5.
func (t texture) pinScan(v pinView) *x3p.Scan {
	if v.pitch == 0 {
		v.pitch = 5
	}
	if v.scale == 0 {
		v.scale = 2
	}
	if v.deep == 0 {
		v.deep = 200
	}
	field := 3300.0
	if v.alone {
		field = 1300
	}
	n := int(field / v.pitch)
	s := &x3p.Scan{SizeX: n, SizeY: n, IncX: v.pitch * 1e-6, IncY: v.pitch * 1e-6, Z: make([]float64, n*n)}
	sin, cos := math.Sincos(v.rotation * math.Pi / 180)
	slope := math.Tan(v.tilt * math.Pi / 180)
	for i := range s.Z {
		x, y := (float64(i%n)+0.5)*v.pitch-field/2, (float64(i/n)+0.5)*v.pitch-field/2
		mx, my := cos*x+sin*y, cos*y-sin*x
		face := t + 5000
		z := face.at(mx+5000, my+5000) / 2
		r := math.Hypot(mx, my)
		if r < 760 {
			z += 15 * (1 - r/760) // the bulge
		}
		px, py := mx-v.side, my
		inside, depth := math.Hypot(px, py) < pinRadius, 0.0
		if v.flat {
			inside = math.Abs(px) < 550 && math.Abs(py) < 400
			depth = v.deep * min(1, (550-math.Abs(px))/60, (400-math.Abs(py))/60)
		} else if inside {
			rad := (pinRadius*pinRadius + v.deep*v.deep) / (2 * v.deep)
			depth = math.Sqrt(rad*rad-px*px-py*py) - (rad - v.deep)
		}
		if inside {
			z = -depth + v.scale*t.at(2.5*px+5000, 2.5*py+5000)/2
			if v.noise != 0 {
				z += v.scale * v.noise.at(2.5*x, 2.5*y) / 4
			}
			if v.floorOff && depth > 0.5*v.deep {
				z = math.NaN()
			}
		} else if r > 740 && r < 760 {
			z = math.NaN()
		}
		z += slope * x
		if v.mirror {
			z = -z
		}
		if v.dropout > 0 && (i*7919)%104729%v.dropout == 0 {
			z = math.NaN()
		}
		s.Z[i] = z * 1e-6
	}
	return s
}

func encodePin(t *testing.T, s *x3p.Scan) (*Signature, Quality) {
	t.Helper()
	sig, q, err := Encode(s, FiringPin)
	if err != nil {
		t.Fatal(err)
	}
	return sig, q
}

func TestFiringPinImpressionsEnrolAndMatch(t *testing.T) {
	reference, q := encodePin(t, texture(50).pinScan(pinView{}))
	if !q.Accept || len(q.Reasons) != 0 || reference.ROI() != FiringPin || reference.Algorithm() != FiringPinAlgorithm {
		t.Errorf("%s by %s: %+v", reference.ROI(), reference.Algorithm(), q)
	}
	b, err := reference.MarshalBinary()
	if err != nil || len(b) > MaxSignatureSize || b[4] != roiCodeFiringPin {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if decoded, err := DecodeSignature(b); err != nil || *decoded != *reference {
		t.Fatalf("decoded: %v", err)
	}
	if math.Abs(10*float64(reference.aperture)-450) > 30 || reference.AreaMM2() < 0.7 || reference.AreaMM2() > 1.25 {
		t.Errorf("outline of %d0 µm at half the depth, %.2f mm²", reference.aperture, reference.AreaMM2())
	}
	first := NewTemplate(reference)
	for i, c := range []struct {
		name string
		v    pinView
		off  float64 // µm that the origin may lie off
	}{
		{"turned", pinView{rotation: 40, noise: 901}, 20},
		{"tilted 4°", pinView{rotation: -120, noise: 902, tilt: 4}, 40},
		{"tilted 8°", pinView{noise: 902, tilt: 8}, 60},
		{"coarser", pinView{rotation: 77, noise: 903, pitch: 7.5}, 20},
		{"alone", pinView{rotation: 10, noise: 904, alone: true}, 40},
		{"alone and tilted", pinView{rotation: 10, noise: 904, alone: true, tilt: 6}, 60},
		{"off the middle", pinView{rotation: 15, noise: 905, side: 100}, 40},
		{"dropouts", pinView{rotation: 15, noise: 906, dropout: 5}, 20},
		{"deeper", pinView{rotation: 15, noise: 907, deep: 280}, 20},
		{"shallower", pinView{rotation: 15, noise: 907, deep: 120}, 20},
	} {
		if raceDetector && i%4 > 0 {
			continue // the figures are the plain run's
		}
		s := texture(50).pinScan(c.v)
		started := time.Now()
		sig, q := encodePin(t, s)
		took := time.Since(started)
		sin, cos := math.Sincos(c.v.rotation * math.Pi / 180)
		middle := float64(s.SizeX) * s.IncX * 5e5
		off := math.Hypot(q.OriginX-middle-cos*c.v.side, q.OriginY-middle-sin*c.v.side)
		mate := Compare(first, NewTemplate(sig))
		other, _ := encodePin(t, texture(51).pinScan(c.v))
		stranger := Compare(first, NewTemplate(other)).Score
		t.Logf("%-18s origin off by %3.0f µm, kind %d, %.2f mm², mate %.3f (turned %.1f°, shift %.0f %.0f), stranger %.3f, %d ms, %v",
			c.name, off, sig.centre, sig.AreaMM2(), mate.Score, mate.Pose.Rotation, mate.Pose.ShiftX, mate.Pose.ShiftY, stranger, took.Milliseconds(), q.Reasons)
		if off > c.off || mate.Score < 0.5 || stranger > 0.3 || math.Abs(math.Remainder(mate.Pose.Rotation+c.v.rotation, 360)) > 1 {
			t.Errorf("%s: origin off by %.0f µm, mate %.3f at %.1f°, stranger %.3f", c.name, off, mate.Score, mate.Pose.Rotation, stranger)
		}
		if mate.OverlapMM2 > min(sig.AreaMM2(), reference.AreaMM2()) {
			t.Errorf("%s: %.2f mm² of overlap of %.2f and %.2f", c.name, mate.OverlapMM2, sig.AreaMM2(), reference.AreaMM2())
		}
	}
}

// bowlScan is an impression alone made of whole nanometres, without any rounding
// that an architecture could do otherwise.
func bowlScan(seed uint64) *x3p.Scan {
	const n = 240 // 5 µm
	noise := make([]int, n*n)
	rng := exact.Sequence(seed)
	for i := range noise {
		noise[i] = rng.Below(6001) - 3000
	}
	s := &x3p.Scan{SizeX: n, SizeY: n, IncX: 5e-6, IncY: 5e-6, Z: make([]float64, n*n)}
	for i := range s.Z {
		x, y := i%n, i/n
		d := (2*x-n+1)*(2*x-n+1) + (2*y-n+1)*(2*y-n+1)
		if s.Z[i] = math.NaN(); d > 220*220 {
			continue
		}
		sum := 0
		for v := -2; v <= 2; v++ {
			for u := -2; u <= 2; u++ {
				sum += noise[(y+v)*n+x+u]
			}
		}
		s.Z[i] = float64(sum/5+4*d) / 1e9
	}
	return s
}

// These bits must come out on every architecture: a change of them is a change of
// FiringPinAlgorithm.
func TestFiringPinVector(t *testing.T) {
	a, _ := encodePin(t, bowlScan(31))
	b, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if got := hex.EncodeToString(sum[:8]); got != "250e3a00ef5dbc9e" {
		t.Errorf("the scan makes a signature of digest %s", got)
	}
}

// A pin with a flat, angular end has no circle around it.
func TestAngularFiringPin(t *testing.T) {
	a, q := encodePin(t, texture(60).pinScan(pinView{flat: true}))
	if !strings.Contains(strings.Join(q.Reasons, "; "), "not round") {
		t.Errorf("%+v", q)
	}
	b, _ := encodePin(t, texture(60).pinScan(pinView{flat: true, rotation: 63, noise: 911}))
	c, _ := encodePin(t, texture(61).pinScan(pinView{flat: true, rotation: 63, noise: 912}))
	mate, stranger := Compare(NewTemplate(a), NewTemplate(b)).Score, Compare(NewTemplate(a), NewTemplate(c)).Score
	if mate < 0.5 || stranger > 0.3 {
		t.Errorf("mate %.3f, stranger %.3f", mate, stranger)
	}
}

func TestFiringPinRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		scan *x3p.Scan
		want error
		says string
	}{
		{"floor not measured", texture(50).pinScan(pinView{floorOff: true}), ErrNoMark, "its floor was not measured"},
		{"processed breech face", texture(50).scan(view{}), ErrNoMark, "its floor was not measured"},
		{"upside down", texture(50).pinScan(pinView{mirror: true}), ErrUpsideDown, "turn the scan's heights over"},
		{"alone, upside down", texture(50).pinScan(pinView{alone: true, mirror: true}), ErrUpsideDown, ""},
		{"too coarse", texture(50).pinScan(pinView{pitch: 12.5}), nil, "higher magnification"},
	} {
		_, _, err := Encode(c.scan, FiringPin)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Fadul's pins left floors so steep or dark that none was measured: real scans of
// whole primers that must be refused.
func TestRealPrimersWithoutPinFloorAreRefused(t *testing.T) {
	if realScans(t, "fadul") == nil {
		return // TestFiringPinRefusals has such primers too
	}
	for _, name := range []string{"1-1", "1-2", "2-1"} {
		_, _, err := Encode(readScan(t, "fadul-raw/fadul-"+name+".raw.x3p"), FiringPin)
		if !errors.Is(err, ErrNoMark) || !strings.Contains(err.Error(), "its floor was not measured") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A drawn mask is the region of an impression too.
func TestDrawnMaskOfAnImpression(t *testing.T) {
	whole, wq := encodePin(t, texture(50).pinScan(pinView{}))
	scan := texture(50).pinScan(pinView{noise: 920})
	middle := float64(scan.SizeX) * scan.IncX * 5e5
	half := draw(scan, func(x, y float64) bool { return math.Hypot(x-middle, y-middle) < 500 && x < middle })
	sig, q, err := EncodeWith(scan, FiringPin, Options{Mask: half})
	if err != nil {
		t.Fatal(err)
	}
	if math.Hypot(q.OriginX-wq.OriginX, q.OriginY-wq.OriginY) > 30 {
		t.Errorf("origin at %.0f, %.0f, the whole's at %.0f, %.0f", q.OriginX, q.OriginY, wq.OriginX, wq.OriginY)
	}
	if want := math.Pi * 0.25 / 2; math.Abs(sig.AreaMM2()-want) > 0.15*want {
		t.Errorf("%.3f mm², the mask keeps %.3f", sig.AreaMM2(), want)
	}
	if c := Compare(NewTemplate(whole), NewTemplate(sig)); c.Score < 0.5 {
		t.Errorf("its mate scores %.3f", c.Score)
	}
	// Where the scan shows no floor of itself, the mask alone says what it is.
	ring := texture(50).pinScan(pinView{floorOff: true})
	around := draw(ring, func(x, y float64) bool { r := math.Hypot(x-middle, y-middle); return r > 450 && r < 600 })
	if _, _, err := EncodeWith(ring, FiringPin, Options{Mask: around}); err != nil {
		t.Errorf("drawn around a missing floor: %v", err)
	}
	if _, _, err := EncodeWith(scan, FiringPin, Options{Mask: &edit.Mask{SizeX: 3, SizeY: 3, Keep: make([]bool, 9)}}); err == nil {
		t.Error("a mask of another size was taken")
	}
}

// Marks of different regions are never compared.
func TestRegionsAreNotCompared(t *testing.T) {
	pin, _ := encodePin(t, texture(50).pinScan(pinView{}))
	face := *pin
	face.region = roiCodeBreechFace // the same picture
	if c := Compare(NewTemplate(pin), NewTemplate(&face)); c.Score != 0 || c.Cells != 0 || c.Algorithm != "" || c.CellMap != nil {
		t.Errorf("%+v", c)
	}
	g := NewGallery()
	g.PutSignature("face", Class{}, &face)
	g.PutSignature("pin", Class{}, pin)
	for _, q := range []*Signature{pin, &face} {
		got, err := g.Search(context.Background(), NewTemplate(q), Class{}, 5, nil)
		if err != nil || len(got) != 1 || (got[0].ID == "pin") != (q == pin) {
			t.Errorf("%s finds %+v, %v", q.ROI(), got, err)
		}
	}
	if c := Compare(NewTemplate(pin), NewTemplate(pin)); c.Score < 0.7 || c.Algorithm != FiringPinAlgorithm {
		t.Errorf("%+v", c)
	}
}
