package edit

import (
	"errors"
	"math"
	"testing"

	"proofmark/correlate/x3p"
)

func TestResampleKeepsTheMean(t *testing.T) {
	s := rough(11, 60, 40, 0) // 120 × 120 µm
	for _, spacing := range []float64{4e-6, 5e-6, 7.5e-6, 12e-6, 40e-6, 120e-6} {
		got := do(t)(Resample(s, spacing))
		if n := int(math.Round(120e-6 / spacing)); got.SizeX != n || got.SizeY != n || got.IncX != spacing || got.IncY != spacing {
			t.Fatalf("%g m: %d × %d points at %g, %g", spacing, got.SizeX, got.SizeY, got.IncX, got.IncY)
		}
		if a, b := mean(got), mean(s); math.Abs(a-b) > 1e-9*1e-6 {
			t.Errorf("%g m: mean %g, was %g", spacing, a, b)
		}
	}
}

// A new grid that does not end with the old one keeps the mean nearly, and does
// not invent points.
func TestResampleToUnevenGrid(t *testing.T) {
	s := rough(12, 100, 80, 0)
	for i := range s.Z {
		s.Z[i] = 1e-6 * (1 + math.Sin(float64(i%100)*0.1)*math.Cos(float64(i/100)*0.1))
	}
	for _, spacing := range []float64{0.7e-6, 1.3e-6, 2.6e-6, 7e-6, 11e-6} {
		got := do(t)(Resample(s, spacing))
		if got.Missing() != 0 {
			t.Errorf("%g m: %d of a whole scan's points are missing", spacing, got.Missing())
		}
		if a, b := mean(got), mean(s); math.Abs(a/b-1) > 0.03 {
			t.Errorf("%g m: mean %g, was %g", spacing, a, b)
		}
	}
}

func TestResampleAreas(t *testing.T) {
	nan := math.NaN()
	row := func(inc float64, z ...float64) *x3p.Scan {
		return &x3p.Scan{SizeX: len(z), SizeY: 1, IncX: inc, IncY: inc, Z: z}
	}
	for _, c := range []struct {
		name       string
		z          []float64
		incX, incY float64
		want       []float64
	}{
		{"pairs", []float64{1, 3, 5, 9}, 2, 1, []float64{2, 7}},
		{"one and a half", []float64{1, 4, 7}, 1.5, 1, []float64{(1 + 4*.5) / 1.5, (4*.5 + 7) / 1.5}},
		{"half of it missing", []float64{1, nan, nan, nan}, 2, 1, []float64{1, nan}},
		{"more than half missing", []float64{1, nan, nan, 4, 5, 6}, 3, 1, []float64{nan, 5}},
		{"as it is", []float64{1, nan, 3}, 1, 1, []float64{1, nan, 3}},
		{"finer", []float64{0, 4}, 0.5, 1, []float64{0, 1, 3, 4}},
		{"finer, missing", []float64{0, nan}, 0.5, 1, []float64{0, 0, nan, nan}},
		{"finer, one point", []float64{3}, 0.5, 1, []float64{3, 3}},
	} {
		got := do(t)(ResampleTo(row(1, c.z...), c.incX, c.incY))
		if len(got.Z) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got.Z, c.want)
			continue
		}
		for i, want := range c.want {
			if math.IsNaN(got.Z[i]) != math.IsNaN(want) || math.Abs(got.Z[i]-want) > 1e-12 {
				t.Errorf("%s: %v, want %v", c.name, got.Z, c.want)
				break
			}
		}
	}
}

func TestResampleLimits(t *testing.T) {
	s := rough(13, 60, 40, 0)
	for _, spacing := range []float64{1e-12, 1e-300} {
		if _, err := Resample(s, spacing); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%g m: %v", spacing, err)
		}
	}
	if _, err := Resample(s, 1e-3); !errors.Is(err, ErrNothingLeft) {
		t.Errorf("a cell of which the scan covers next to nothing: %v", err)
	}
	for _, spacing := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if _, err := Resample(s, spacing); err == nil {
			t.Errorf("%g m is no spacing", spacing)
		}
	}
}

func TestQuarterTurns(t *testing.T) {
	s := rough(14, 7, 4, 0.2)
	turned := s
	for i := 1; i <= 4; i++ {
		turned = do(t)(Rotate(turned, 90))
		if got := do(t)(Rotate(s, float64(90*i))); !same(got, turned) {
			t.Errorf("%d° is not %d quarter turns", 90*i, i)
		}
		if got := do(t)(Rotate(s, float64(90*i-720))); !same(got, turned) {
			t.Errorf("%d° is not %d°", 90*i-720, 90*i)
		}
	}
	if !same(turned, s) {
		t.Error("four quarter turns are not nothing")
	}
	quarter := do(t)(Rotate(s, 90))
	if quarter.SizeX != 4 || quarter.IncX != s.IncY {
		t.Errorf("a quarter turn is %d wide at %g", quarter.SizeX, quarter.IncX)
	}
	// Counter-clockwise: what was at the right end of row 0 is on top at the left.
	if a, b := quarter.At(0, 0), s.At(6, 0); a != b {
		t.Errorf("the upper left corner is %g, want %g", a, b)
	}
}

// bump is a smooth surface that tells directions apart; square spacing.
func bump(n int) *x3p.Scan {
	s := rough(1, n, n, 0)
	s.IncY = s.IncX
	for i := range s.Z {
		x, y := float64(i%n)/float64(n)-0.5, float64(i/n)/float64(n)-0.5
		s.Z[i] = math.Exp(-20*((x-0.15)*(x-0.15)+(y+0.05)*(y+0.05))) + 0.3*x
	}
	return s
}

// Any angle goes on from where a quarter turn leads: the sense is the same.
func TestRotateIsContinuous(t *testing.T) {
	s := bump(101)
	for _, q := range []float64{0, 90, 180, 270} {
		exact, near := do(t)(Rotate(s, q)), do(t)(Rotate(s, q+0.01))
		dx, dy := (near.SizeX-exact.SizeX)/2, (near.SizeY-exact.SizeY)/2
		for y := 5; y < 96; y++ {
			for x := 5; x < 96; x++ {
				// The wider canvas may be off by half a point.
				if d := math.Abs(near.At(x+dx, y+dy) - exact.At(x, y)); !(d < 0.03) {
					t.Fatalf("%g°: point (%d, %d) differs by %g", q, x, y, d)
				}
			}
		}
	}
}

func TestRotateThereAndBack(t *testing.T) {
	s := bump(121)
	for _, angle := range []float64{1, 33.3, 45, 120, 200.5} {
		back := do(t)(Rotate(do(t)(Rotate(s, angle)), -angle))
		dx, dy := float64(back.SizeX-s.SizeX)/2, float64(back.SizeY-s.SizeY)/2
		for y := 10; y < 110; y++ {
			for x := 10; x < 110; x++ {
				if d := math.Abs(between(back, float64(x)+dx, float64(y)+dy) - s.At(x, y)); !(d < 0.01) {
					t.Fatalf("%g°: point (%d, %d) differs by %g", angle, x, y, d)
				}
			}
		}
	}
}

func TestRotateKeepsAreaAndMissing(t *testing.T) {
	s := bump(100)
	for i := range s.Z {
		if x, y := i%100, i/100; x >= 40 && x < 60 && y >= 40 && y < 60 {
			s.Z[i] = math.NaN()
		}
	}
	for _, angle := range []float64{10, 30, 45, 77} {
		got := do(t)(Rotate(s, angle))
		if have := len(got.Z) - got.Missing(); math.Abs(float64(have)/9600-1) > 0.01 {
			t.Errorf("%g°: %d points have a height, want about 9600", angle, have)
		}
		if a, b := mean(got), mean(s); math.Abs(a-b) > 0.002 {
			t.Errorf("%g°: mean %g, was %g", angle, a, b)
		}
		if !math.IsNaN(got.At(got.SizeX/2, got.SizeY/2)) || !math.IsNaN(got.At(0, 0)) {
			t.Errorf("%g°: the hole or the corner is filled", angle)
		}
	}
	for _, angle := range []float64{math.NaN(), math.Inf(1)} {
		if _, err := Rotate(s, angle); err == nil {
			t.Errorf("%g is no angle", angle)
		}
	}
	long := &x3p.Scan{SizeX: 30000, SizeY: 1, IncX: 1e-6, IncY: 1e-6, Z: make([]float64, 30000)}
	if _, err := Rotate(long, 45); !errors.Is(err, ErrTooLarge) {
		t.Errorf("450 million points: %v", err)
	}
}
