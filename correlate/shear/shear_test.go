package shear

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

// edge is the striated edge of an aperture: heights in µm along it at every µm.
type edge []float64

// newEdge draws striae of 20 to 120 µm.
func newEdge(seed uint64) edge {
	r := rand.New(rand.NewPCG(seed, 7))
	e := make(edge, 4000)
	for _, o := range []struct{ spacing, rms float64 }{{9, 0.35}, {20, 0.5}, {45, 0.7}} {
		nodes := make([]float64, int(4000/o.spacing)+3)
		for i := range nodes {
			nodes[i] = r.NormFloat64() * o.rms * 1.3
		}
		for i := range e {
			x := float64(i) / o.spacing
			k := int(x)
			t := x - float64(k)
			t = t * t * (3 - 2*t)
			e[i] += nodes[k] + t*(nodes[k+1]-nodes[k])
		}
	}
	return e
}

func (e edge) at(u float64) float64 {
	u += 2000
	i := int(u)
	t := u - float64(i)
	return e[i] + t*(e[i+1]-e[i])
}

// shot is how a primer with sheared flow-back is scanned.
type shot struct {
	rotation float64 // degrees
	seed     uint64  // of what this shot has alone
	pitch    float64 // µm; 5
	alone    bool    // the facet alone
	dropout  int     // one point in so many is lost
	scale    float64 // of the striae; 1
	tilt     float64 // degrees
	shift    float64 // µm, of the facet along the edge
	sheared  bool
}

const (
	apertureRadius = 850.0
	facetSlope     = 0.14
)

// scan renders a primer whose flow-back was sheared: the face, a dished dome in the
// aperture, and on its lower side a facet of 1.2 by 0.3 mm that rises inwards.
func (e edge) scan(s shot) *x3p.Scan {
	if s.pitch == 0 {
		s.pitch = 5
	}
	if s.scale == 0 {
		s.scale = 1
	}
	field, middle := 3200.0, 0.0
	if s.alone {
		field, middle = 1300, 650
	}
	r := rand.New(rand.NewPCG(s.seed, 99))
	n := int(field / s.pitch)
	out := &x3p.Scan{SizeX: n, SizeY: n, IncX: s.pitch * 1e-6, IncY: s.pitch * 1e-6, Z: make([]float64, n*n)}
	sin, cos := math.Sincos(s.rotation * math.Pi / 180)
	own := newEdge(1000 + s.seed)
	slope := math.Tan(s.tilt * math.Pi / 180)
	for i := range out.Z {
		x, y := (float64(i%n)+0.5)*s.pitch-field/2, (float64(i/n)+0.5)*s.pitch-field/2
		u, v := cos*x+sin*y, cos*y-sin*x+middle
		rho := math.Hypot(u, v)
		z := 0.4*math.Sin(u/40+v/25)*math.Sin(v/31-u/70) + 0.1*r.NormFloat64()
		if rho < apertureRadius {
			dome := 40 * (1 - rho*rho/(apertureRadius*apertureRadius))
			z += dome
			if rho > apertureRadius-25 {
				z = math.NaN()
			}
			in := apertureRadius - rho // from the edge inwards
			if s.sheared && v > 0 && in < 300 && math.Abs(u-s.shift) < 600 {
				z = -20 + facetSlope*in + s.scale*e.at(u) + 0.25*s.scale*own.at(v+u/3) + 0.1*r.NormFloat64()
			}
		}
		if rho < 420 {
			z = math.NaN() // the pin's impression
		}
		z += slope * x
		if s.alone && !(rho < apertureRadius && apertureRadius-rho < 300 && math.Abs(u-s.shift) < 600) {
			z = math.NaN()
		}
		if s.dropout > 0 && r.IntN(s.dropout) == 0 {
			z = math.NaN()
		}
		out.Z[i] = z * 1e-6
	}
	return out
}

func mustEncode(t testing.TB, s *x3p.Scan) (*Mark, Quality) {
	t.Helper()
	m, q, err := Encode(s, correlate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m, q
}

func TestShearEnrolsAndMatches(t *testing.T) {
	reference, q := mustEncode(t, newEdge(1).scan(shot{sheared: true}))
	b, _ := reference.MarshalBinary()
	t.Logf("reference: %+v, %d bytes", q, len(b))
	if !q.Accept || q.Drawn || math.Abs(math.Remainder(q.Direction, 180)) > 1.5 || len(b) > 170 {
		t.Errorf("%+v, %d bytes", q, len(b))
	}
	for _, c := range []struct {
		name string
		s    shot
	}{
		{"again", shot{seed: 1}},
		{"turned 30°", shot{rotation: 30, seed: 2}},
		{"turned 117°", shot{rotation: 117, seed: 3}},
		{"turned 200°", shot{rotation: 200, seed: 4}},
		{"turned 285°", shot{rotation: 285, seed: 4}},
		{"tilted 6°", shot{rotation: -20, seed: 5, tilt: 6}},
		{"coarser", shot{rotation: 10, seed: 6, pitch: 6.25}},
		{"finer", shot{rotation: 95, seed: 6, pitch: 3.125}},
		{"dropouts", shot{rotation: 10, seed: 7, dropout: 6}},
		{"alone", shot{seed: 8, alone: true, rotation: 12}},
		{"shifted along the edge", shot{seed: 9, shift: 120, rotation: 40}},
	} {
		c.s.sheared = true
		started := time.Now()
		m, q := mustEncode(t, newEdge(1).scan(c.s))
		other, _ := mustEncode(t, newEdge(2).scan(c.s))
		mate, stranger := Compare(reference, m), Compare(reference, other)
		t.Logf("%-24s across %5.1f°, %.2f µm, %4.0f wide, strips %.2f: mate %.2f (r %.2f over %.0f µm at %.0f, reversed %v), stranger %.2f, %d ms with rendering, %v",
			c.name, q.Direction, q.RMS, q.Width, q.Agreement, mate.Score, mate.R, mate.Overlap, mate.Lag, mate.Reversed, stranger.Score, time.Since(started).Milliseconds(), q.Reasons)
		if d := math.Abs(math.Remainder(q.Direction-c.s.rotation, 180)); d > 3 {
			t.Errorf("%s: striae across %.1f°", c.name, q.Direction)
		}
		if mate.Score < 0.8 || mate.Score < 1.5*stranger.Score || !q.Accept {
			t.Errorf("%s: mate %.3f, stranger %.3f, %+v", c.name, mate.Score, stranger.Score, q)
		}
	}
}

// drawnFacet is what a person would draw on an unturned scan: the middle of the facet.
func drawnFacet(s *x3p.Scan) *edit.Mask {
	m := &edit.Mask{SizeX: s.SizeX, SizeY: s.SizeY, Keep: make([]bool, len(s.Z))}
	for i := range m.Keep {
		x, y := (float64(i%s.SizeX)+0.5)*s.IncX*1e6-1600, (float64(i/s.SizeX)+0.5)*s.IncY*1e6-1600
		rho := math.Hypot(x, y)
		m.Keep[i] = y > 0 && rho < 820 && rho > 600 && math.Abs(x) < 400
	}
	return m
}

func TestDrawnMaskWins(t *testing.T) {
	s := newEdge(1).scan(shot{sheared: true})
	m := drawnFacet(s)
	mark, q, err := Encode(s, correlate.Options{Mask: m})
	if err != nil {
		t.Fatal(err)
	}
	if !q.Drawn || math.Abs(q.Width-800) > 60 {
		t.Errorf("%+v", q)
	}
	whole, _ := mustEncode(t, s)
	if c := Compare(mark, whole); c.R < 0.8 || math.Abs(c.Lag) > 60 && !c.Reversed {
		t.Errorf("%+v", c)
	}
	m.SizeX--
	if _, _, err := Encode(s, correlate.Options{Mask: m}); err == nil || !strings.Contains(err.Error(), "mask") {
		t.Errorf("a mask of another size: %v", err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	good := newEdge(1).scan(shot{sheared: true, pitch: 6.25})
	plain := newEdge(1).scan(shot{pitch: 6.25}) // a dome that nothing sheared
	coarse := newEdge(1).scan(shot{sheared: true, pitch: 12.5})
	nothing := *good
	nothing.Z = make([]float64, len(good.Z))
	for i := range nothing.Z {
		nothing.Z[i] = math.NaN()
	}
	for _, c := range []struct {
		name string
		scan *x3p.Scan
		o    correlate.Options
		want error
		says string
	}{
		{"no scan", nil, correlate.Options{}, nil, "no scan"},
		{"nothing sheared", plain, correlate.Options{}, nil, "draw a mask"},
		{"too coarse", coarse, correlate.Options{}, nil, "higher magnification"},
		{"nothing measured", &nothing, correlate.Options{}, ErrNoStriae, "draw a mask"},
		{"a sector", good, correlate.Options{Sector: &correlate.Sector{Share: 0.5}}, nil, "sector"},
	} {
		_, _, err := Encode(c.scan, c.o)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestQualityGivesReasons(t *testing.T) {
	faint := newEdge(3).scan(shot{sheared: true, scale: 0.3})
	weak, q, err := Encode(faint, correlate.Options{Mask: drawnFacet(faint)})
	if err != nil {
		t.Fatal(err)
	}
	reasons := strings.Join(q.Reasons, "; ")
	if !strings.Contains(reasons, "weak marks: 0.") || q.Accept || weak.Passes() {
		t.Errorf("%+v", q)
	}
	good, _ := mustEncode(t, newEdge(3).scan(shot{sheared: true}))
	if c := Compare(weak, good); c.Score != 0 || len(c.Reasons) != 1 {
		t.Errorf("%+v", c)
	}
	if err := NewGallery().Put("weak", correlate.Class{}, weak); !errors.Is(err, ErrBelowGate) {
		t.Errorf("put: %v", err)
	}
}
