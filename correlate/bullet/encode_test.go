//go:build !race

package bullet

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

func transposed(s *x3p.Scan) *x3p.Scan {
	out := &x3p.Scan{SizeX: s.SizeY, SizeY: s.SizeX, IncX: s.IncY, IncY: s.IncX, Z: make([]float64, len(s.Z))}
	for y := range s.SizeY {
		for x := range s.SizeX {
			out.Z[x*s.SizeY+y] = s.At(x, y)
		}
	}
	return out
}

func TestEncodeBothOrientations(t *testing.T) {
	scan := synth.NewBarrel(1, synth.Rifling{Strength: 1}).FireLand(1, 0, strip)
	l, q, err := EncodeLand(scan)
	if err != nil || !q.Accept || q.Transposed {
		t.Fatalf("%+v, %v", q, err)
	}
	turned, tq, err := EncodeLand(transposed(scan))
	if err != nil || !tq.Transposed || !strings.Contains(strings.Join(tq.Reasons, " "), "transposed") {
		t.Fatalf("%+v, %v", tq, err)
	}
	if !reflect.DeepEqual(l, turned) {
		t.Error("a transposed scan gives another signature")
	}
	tq.Transposed, tq.Reasons = false, q.Reasons
	if !reflect.DeepEqual(q, tq) {
		t.Errorf("qualities differ: %+v, %+v", q, tq)
	}
	how := strip
	how.Mirrored = true
	mirror := mustLand(t, synth.NewBarrel(1, synth.Rifling{Strength: 1}).FireLand(1, 0, how))
	if c := CompareLands(l, mirror.Mirrored()); c.R < 0.9 {
		t.Errorf("read backwards a mirrored scan agrees at %.2f", c.R)
	}
	if c := CompareLands(l, mirror); c.R > 0.5 {
		t.Errorf("a mirrored scan agrees at %.2f", c.R)
	}
}

// Instruments have other spacings; the striae stay where they are.
func TestEncodeAtOtherSpacings(t *testing.T) {
	b := synth.NewBarrel(2, synth.Rifling{Strength: 1})
	plain := strip
	plain.Change = -1
	l := mustLand(t, b.FireLand(1, 1, plain))
	for _, pitch := range []float64{0.8e-6, 1.5625e-6, 1.9e-6, 3.125e-6} {
		for _, along := range []float64{3.125e-6, 25e-6} {
			how := synth.LandShot{Pitch: pitch, Along: along, Rows: int(200e-6 / along), Slip: -1, Change: -1}
			c := CompareLands(l, mustLand(t, b.FireLand(2, 1, how)))
			if c.R < 0.7 { // 0.77 at the first scan's own spacing
				t.Errorf("%.2f × %.1f µm: r %.2f", pitch*1e6, along*1e6, c.R)
			}
		}
	}
}

// The height of a plane, the bullet's curve and the place of the land in the
// field are no marks.
func TestEncodeTakesOffFormAndPlace(t *testing.T) {
	scan := synth.NewBarrel(3, synth.Rifling{Strength: 1}).FireLand(1, 0, strip)
	l := mustLand(t, scan)
	tilted := *scan
	tilted.Z = make([]float64, len(scan.Z))
	for i, z := range scan.Z {
		x := float64(i%scan.SizeX)/float64(scan.SizeX) - 0.5
		tilted.Z[i] = z + 30e-6*x + 40e-6*x*x + 5e-3
	}
	if c := CompareLands(l, mustLand(t, &tilted)); c.R < 0.99 || c.Lag != 0 {
		t.Errorf("tilted and bent: r %.3f lag %.2f", c.R, c.Lag)
	}
}

func TestEncodeQualityReasons(t *testing.T) {
	b := synth.NewBarrel(4, synth.Rifling{Strength: 0.15})
	l, q, err := EncodeLand(b.FireLand(1, 0, strip))
	if err != nil {
		t.Fatal(err)
	}
	if q.Accept || l.Passes() || q.RMS >= MinRMS || !strings.Contains(strings.Join(q.Reasons, "; "), "weak marks: 0.") {
		t.Errorf("weak barrel: %+v", q)
	}
	// No land at all: noise without striae on a cylinder.
	r := rand.New(rand.NewPCG(5, 2))
	noise := &x3p.Scan{SizeX: 1500, SizeY: 100, IncX: 1.5625e-6, IncY: 1.5625e-6, Z: make([]float64, 150_000)}
	for i := range noise.Z {
		noise.Z[i] = 1e-6 * r.NormFloat64()
	}
	_, q, err = EncodeLand(noise)
	all := strings.Join(q.Reasons, "; ")
	if err != nil || q.Agreement > 0.3 || !strings.Contains(all, "do not run through") || !strings.Contains(all, "no shoulders") {
		t.Errorf("noise: %+v, %v", q, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	flat := func(nx, ny int, px, py, z float64) *x3p.Scan {
		s := &x3p.Scan{SizeX: nx, SizeY: ny, IncX: px, IncY: py, Z: make([]float64, nx*ny)}
		for i := range s.Z {
			s.Z[i] = z * float64(i%7)
		}
		return s
	}
	short := flat(1500, 20, 1.5e-6, 1.5e-6, 1e-7)
	short.Z = short.Z[:10]
	for _, c := range []struct {
		what string
		scan *x3p.Scan
		says string
	}{
		{"nothing", nil, "no scan"},
		{"no heights", flat(1500, 20, 1.5e-6, 1.5e-6, math.NaN()), ""},
		{"one constant height", flat(1500, 20, 1.5e-6, 1.5e-6, 0), "no striae"},
		{"coarse", flat(500, 100, 5e-6, 5e-6, 1e-7), "higher magnification"},
		{"narrow", flat(300, 100, 1.5e-6, 1.5e-6, 1e-7), "at least 800"},
		{"a whole bullet", flat(9000, 20, 1.5e-6, 1.5e-6, 1e-7), "crop it"},
		{"micrometres for metres", flat(1500, 20, 1.5, 1.5, 0.1), ""},
		{"fewer heights than points", short, "10 heights"},
	} {
		l, _, err := EncodeLand(c.scan)
		if err == nil || l != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.what, err, c.says)
		}
		if c.says != "" && !errors.Is(err, ErrNotALand) {
			t.Errorf("%s: %v is no ErrNotALand", c.what, err)
		}
	}
}

// Missing points, a hole through the striae, lost rows: a signature still, and
// the mate is still found.
func TestEncodeWithHoles(t *testing.T) {
	b := synth.NewBarrel(5, synth.Rifling{Strength: 1})
	l := mustLand(t, b.FireLand(1, 0, strip))
	scan := b.FireLand(2, 0, strip)
	r := rand.New(rand.NewPCG(5, 3))
	for i := range scan.Z {
		x, y := i%scan.SizeX, i/scan.SizeX
		if (x > 500 && x < 600) || y == 3 || r.IntN(5) == 0 {
			scan.Z[i] = math.NaN()
		}
	}
	holed, q, err := EncodeLand(scan)
	if err != nil || q.ValidShare > 0.98 || q.ValidShare < 0.8 {
		t.Fatalf("%+v, %v", q, err)
	}
	if c := CompareLands(l, holed); c.R < 0.7 {
		t.Errorf("r %.2f", c.R)
	}
}
