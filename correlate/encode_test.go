package correlate

import (
	"errors"
	"math"
	"strings"
	"testing"

	"proofmark/correlate/x3p"
)

// rawPrimer renders a whole primer as it comes from the instrument: tilted, with
// the firing-pin impression, the primer's rounded edge and the case head below.
func rawPrimer(t texture, noise texture) *x3p.Scan {
	const n, pitch = 720, 6.25
	s := &x3p.Scan{SizeX: n, SizeY: n, IncX: pitch * 1e-6, IncY: pitch * 1e-6, Z: make([]float64, n*n)}
	for i := range s.Z {
		x, y := (float64(i%n)-n/2+0.5)*pitch-70, (float64(i/n)-n/2+0.5)*pitch+110
		r := math.Hypot(x, y)
		z := 0.03*x - 0.02*y + t.at(x+5000, y+5000) + noise.at(x, y)/2
		switch {
		case r < 500:
			z -= 180
		case r < 750:
			z -= (750 - r) * 0.72
		case r > 2050:
			z -= 120
		case r > 1700:
			z -= (r - 1700) * (r - 1700) / 1000
		}
		s.Z[i] = z * 1e-6
		if i%37 == 0 { // single dropouts, as confocal instruments have them
			s.Z[i] = math.NaN()
		}
	}
	return s
}

func TestRawPrimerEnrols(t *testing.T) {
	scan := rawPrimer(3, 700)
	sig, q, err := Encode(scan, BreechFace)
	if err != nil || !q.Accept {
		t.Fatalf("%+v, %v", q, err)
	}
	middle := float64(scan.SizeX) * scan.IncX * 1e6 / 2
	if math.Hypot(q.OriginX-middle-70, q.OriginY-middle+110) > 30 {
		t.Errorf("origin at %.0f, %.0f µm, the aperture is at %.0f, %.0f", q.OriginX, q.OriginY, middle+70, middle-110)
	}
	if want := math.Pi * (1.7*1.7 - 0.75*0.75); math.Abs(sig.AreaMM2()-want) > 0.2*want {
		t.Errorf("area %.2f mm², the face has %.2f", sig.AreaMM2(), want)
	}
	raw := NewTemplate(sig)
	if s := Compare(raw, mustTemplate(t, texture(3).scan(view{noise: 701, rotation: 25}))).Score; s < 0.5 {
		t.Errorf("its mate scores %.3f", s)
	}
	if s := Compare(raw, mustTemplate(t, texture(4).scan(view{noise: 702}))).Score; s > 0.25 {
		t.Errorf("another firearm scores %.3f", s)
	}
}

func TestEncodeLeavesTheScanAlone(t *testing.T) {
	scan := texture(1).scan(view{pitch: 12.5})
	before := append([]float64(nil), scan.Z...)
	mustEncode(t, scan)
	for i, z := range scan.Z {
		if math.Float64bits(z) != math.Float64bits(before[i]) {
			t.Fatalf("height %d changed", i)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	good := texture(1).scan(view{pitch: 12.5})
	change := func(f func(s *x3p.Scan)) *x3p.Scan {
		s := *good
		s.Z = append([]float64(nil), good.Z...)
		f(&s)
		return &s
	}
	for _, c := range []struct {
		name string
		scan *x3p.Scan
		roi  ROI
		want error  // errors.Is, or
		says string // part of the message
	}{
		{"region that nobody encodes", good, EjectorMark, ErrUnsupportedROI, "breech face"},
		{"region of another package", good, ApertureShear, ErrUnsupportedROI, "shear"},
		{"land engraved area", good, LEA, ErrUnsupportedROI, ""},
		{"no region", good, "heel", ErrUnknownROI, "breech-face"},
		{"no scan", nil, BreechFace, nil, "no scan"},
		{"spacing in µm", change(func(s *x3p.Scan) { s.IncX, s.IncY = 12.5, 12.5 }), BreechFace, nil, "spacing"},
		{"heights missing", change(func(s *x3p.Scan) { s.Z = s.Z[:100] }), BreechFace, nil, "100 heights"},
		{"nothing valid", change(func(s *x3p.Scan) {
			for i := range s.Z {
				s.Z[i] = math.NaN()
			}
		}), BreechFace, ErrNoMark, ""},
		{"too large a field", change(func(s *x3p.Scan) { s.IncX, s.IncY = 50e-6, 50e-6; s.SizeX *= 2; s.Z = append(s.Z, s.Z...) }), BreechFace, nil, "crop"},
	} {
		_, _, err := Encode(c.scan, c.roi)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestQualityGivesReasons(t *testing.T) {
	scale := func(s *x3p.Scan, f float64) *x3p.Scan {
		for i := range s.Z {
			s.Z[i] *= f
		}
		return s
	}
	fill := texture(2).scan(view{pitch: 12.5})
	for i := range fill.Z { // no aperture at all: a square of marks
		x, y := float64(i%fill.SizeX), float64(i/fill.SizeX)
		fill.Z[i] = texture(2).at(12.5*x, 12.5*y) * 1e-6
	}
	patchy := texture(2).scan(view{pitch: 12.5})
	for i := range patchy.Z { // dropout in stripes
		if i/patchy.SizeX%16 < 9 {
			patchy.Z[i] = math.NaN()
		}
	}
	for _, c := range []struct {
		name   string
		scan   *x3p.Scan
		says   string
		accept bool
	}{
		{"good", scale(texture(2).scan(view{pitch: 12.5}), 2), "", true},
		{"weak", scale(texture(2).scan(view{pitch: 12.5}), 0.2), "weak marks: 0.", true},
		{"nothing but noise of nanometres", scale(texture(2).scan(view{pitch: 12.5}), 0.02), "weak marks", false},
		{"patchy", patchy, "% valid", true},
		{"partial", texture(2).scan(view{pitch: 12.5, sector: 90}), "arc of the aperture", true},
		{"sliver", texture(2).scan(view{pitch: 12.5, sector: 9}), "small mark", false},
		{"no aperture", fill, "no aperture found", true},
	} {
		_, q, err := Encode(c.scan, BreechFace)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		reasons := strings.Join(q.Reasons, "; ")
		if !strings.Contains(reasons, c.says) || (c.says == "") != (reasons == "") || q.Accept != c.accept {
			t.Errorf("%s: %+v", c.name, q)
		}
		if q.Score < 0 || q.Score > 1 || q.ValidShare < 0 || q.ValidShare > 1 {
			t.Errorf("%s: out of range: %+v", c.name, q)
		}
	}
}

// A face too large for six levels keeps to the byte limit with four, and where
// that is not enough by leaving out its weakest marks.
func TestLargeFacesKeepTheByteLimit(t *testing.T) {
	const n = 352
	for _, c := range []struct {
		radius float64 // µm
		steps  uint8
	}{{1700, 3}, {2000, 2}, {2180, 2}} {
		s := &x3p.Scan{SizeX: n, SizeY: n, IncX: 12.5e-6, IncY: 12.5e-6, Z: make([]float64, n*n)}
		for i := range s.Z {
			x, y := (float64(i%n)-n/2)*12.5, (float64(i/n)-n/2)*12.5
			if r := math.Hypot(x, y); r < 500 || r > c.radius {
				s.Z[i] = math.NaN()
				continue
			}
			s.Z[i] = texture(8).at(x+5000, y+5000) * 1e-6
		}
		sig := mustEncode(t, s)
		b, err := sig.MarshalBinary()
		if err != nil || len(b) > MaxSignatureSize {
			t.Fatalf("radius %.0f: %d bytes, %v", c.radius, len(b), err)
		}
		if sig.steps != c.steps || sig.AreaMM2() < 6 {
			t.Errorf("radius %.0f: %d steps, %.1f mm², %d bytes", c.radius, sig.steps, sig.AreaMM2(), len(b))
		}
	}
}

func TestParseROI(t *testing.T) {
	for _, r := range []ROI{BreechFace, FiringPin, ApertureShear, EjectorMark, LEA} {
		if got, err := ParseROI(string(r)); err != nil || got != r {
			t.Errorf("%s: %s, %v", r, got, err)
		}
	}
	for _, s := range []string{"", "Breech-Face", "bf"} {
		if _, err := ParseROI(s); !errors.Is(err, ErrUnknownROI) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
