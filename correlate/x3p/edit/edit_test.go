package edit

import (
	"errors"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"proofmark/correlate/x3p"
)

// rough is a random surface in metres with a share of its points missing.
func rough(seed uint64, sizeX, sizeY int, missing float64) *x3p.Scan {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &x3p.Scan{SizeX: sizeX, SizeY: sizeY, IncX: 2e-6, IncY: 3e-6, Z: make([]float64, sizeX*sizeY), Meta: x3p.Meta{Comment: "kept"}}
	for i := range s.Z {
		s.Z[i] = 1e-6 * r.NormFloat64()
		if r.Float64() < missing {
			s.Z[i] = math.NaN()
		}
	}
	return s
}

func mean(s *x3p.Scan) float64 {
	sum, n := 0.0, 0
	for _, z := range s.Z {
		if !math.IsNaN(z) {
			sum += z
			n++
		}
	}
	return sum / float64(n)
}

// same compares to the bit, missing points with missing ones.
func same(a, b *x3p.Scan) bool {
	return a.SizeX == b.SizeX && a.SizeY == b.SizeY && a.IncX == b.IncX && a.IncY == b.IncY && a.Meta == b.Meta &&
		slices.EqualFunc(a.Z, b.Z, func(p, q float64) bool { return p == q || math.IsNaN(p) && math.IsNaN(q) })
}

func do(t *testing.T) func(*x3p.Scan, error) *x3p.Scan {
	return func(s *x3p.Scan, err error) *x3p.Scan {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestCrop(t *testing.T) {
	s := rough(1, 10, 8, 0.1) // 20 × 24 µm; centres at 1, 3, 5… and 1.5, 4.5, 7.5… µm
	for _, c := range []struct {
		name         string
		r            Rect
		x0, y0, w, h int
	}{
		{"all", Rect{0, 0, 20e-6, 24e-6}, 0, 0, 10, 8},
		{"more than all", Rect{-1, -1, 1, 1}, 0, 0, 10, 8},
		{"centres decide", Rect{2.9e-6, 4.4e-6, 7.1e-6, 7.6e-6}, 1, 1, 3, 2},
		{"lower bound belongs to it, upper does not", Rect{3e-6, 4.5e-6, 7e-6, 10.5e-6}, 1, 1, 2, 2},
		{"one point", Rect{18e-6, 21e-6, 20e-6, 24e-6}, 9, 7, 1, 1},
	} {
		got := do(t)(Crop(s, c.r))
		if got.SizeX != c.w || got.SizeY != c.h || got.IncX != s.IncX || got.Meta != s.Meta {
			t.Errorf("%s: %d × %d points, want %d × %d", c.name, got.SizeX, got.SizeY, c.w, c.h)
			continue
		}
		for i, z := range got.Z {
			if want := s.At(c.x0+i%c.w, c.y0+i/c.w); z != want && !(math.IsNaN(z) && math.IsNaN(want)) {
				t.Errorf("%s: point %d is %g, want %g", c.name, i, z, want)
			}
		}
	}
	for _, r := range []Rect{{5e-6, 0, 5e-6, 1}, {0, 1, 1, 0}, {math.NaN(), 0, 1, 1}} {
		if _, err := Crop(s, r); err == nil {
			t.Errorf("%v is no rectangle", r)
		}
	}
	if _, err := Crop(s, Rect{1, 1, 2, 2}); !errors.Is(err, ErrNothingLeft) {
		t.Errorf("outside of the scan: %v", err)
	}
}

// Rectangles that share an edge share no point and lose none, wherever it lies.
func TestNeighbouringCropsTile(t *testing.T) {
	s := rough(2, 37, 5, 0)
	r := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		cut := 72e-6*r.Float64() + 1e-6
		left, right := do(t)(Crop(s, Rect{0, 0, cut, 1})), do(t)(Crop(s, Rect{cut, 0, 1, 1}))
		if left.SizeX+right.SizeX != s.SizeX || right.At(0, 0) != s.At(left.SizeX, 0) {
			t.Fatalf("cut at %g: %d + %d columns", cut, left.SizeX, right.SizeX)
		}
	}
}

func TestCropCircle(t *testing.T) {
	s := rough(4, 60, 40, 0)
	c := Circle{40e-6, 60e-6, 25e-6}
	got := do(t)(CropCircle(s, c))
	if got.SizeX != 25 || got.SizeY != 16 {
		t.Errorf("%d × %d points", got.SizeX, got.SizeY)
	}
	area := float64(len(got.Z)-got.Missing()) * s.IncX * s.IncY
	if want := math.Pi * c.R * c.R; math.Abs(area/want-1) > 0.03 {
		t.Errorf("area %g m², want %g", area, want)
	}
	if !math.IsNaN(got.At(0, 0)) || math.IsNaN(got.At(12, 8)) {
		t.Error("a corner is kept or the centre is not")
	}
	if _, err := CropCircle(s, Circle{0, 0, -1}); err == nil {
		t.Error("a negative radius is no error")
	}
	if _, err := CropCircle(s, Circle{2e-6, 3e-6, 0.1e-6}); !errors.Is(err, ErrNothingLeft) {
		t.Errorf("a circle between the points: %v", err)
	}
}

func TestMasksUnite(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	random := func() Mask {
		m := Mask{20, 15, make([]bool, 300)}
		for i := range m.Keep {
			m.Keep[i] = r.Float64() < 0.6
		}
		return m
	}
	s := rough(6, 20, 15, 0.2)
	before := slices.Clone(s.Z)
	a, b := random(), random()
	both, err := a.And(b)
	if err != nil {
		t.Fatal(err)
	}
	once := do(t)(both.Apply(s))
	if !same(do(t)(b.Apply(do(t)(a.Apply(s)))), once) || !same(do(t)(a.Apply(do(t)(b.Apply(s)))), once) {
		t.Error("one mask after the other is not both at once")
	}
	if !same(do(t)(both.Apply(once)), once) {
		t.Error("a mask twice is not a mask once")
	}
	for i := range s.Z {
		if want := math.IsNaN(s.Z[i]) || !a.Keep[i] || !b.Keep[i]; math.IsNaN(once.Z[i]) != want {
			t.Fatalf("point %d: missing %v, want %v", i, math.IsNaN(once.Z[i]), want)
		}
		if s.Z[i] != before[i] && !math.IsNaN(before[i]) {
			t.Fatal("the scan itself was changed")
		}
	}
	if _, err := (Mask{20, 15, make([]bool, 300)}).Apply(s); !errors.Is(err, ErrNothingLeft) {
		t.Errorf("a mask that keeps nothing: %v", err)
	}
	if _, err := a.Apply(rough(1, 15, 20, 0)); err == nil {
		t.Error("a mask of another size is no error")
	}
	if _, err := a.And(Mask{1, 1, []bool{true}}); err == nil {
		t.Error("masks of two sizes are no error")
	}
}

func TestMaskFromPicture(t *testing.T) {
	p := image.NewNRGBA(image.Rect(10, 20, 14, 21)) // bounds need not begin at zero
	red := color.NRGBA{0xff, 0, 0, 0xff}
	for x, c := range []color.NRGBA{{0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0xff}, {0xff, 0xff, 0xff, 0}, red} {
		p.SetNRGBA(10+x, 20, c)
	}
	if m := FromPicture(p, Light); m.SizeX != 4 || m.SizeY != 1 || !slices.Equal(m.Keep, []bool{true, false, false, false}) {
		t.Errorf("light: %+v", m)
	}
	if m := FromPicture(p, Among(red)); !slices.Equal(m.Keep, []bool{false, false, false, true}) {
		t.Errorf("red: %+v", m)
	}
}

func TestInMetres(t *testing.T) {
	s := rough(7, 3, 2, 0)
	s.IncX, s.IncY, s.Z[4] = 6.25, 3.125, 0.7
	got := do(t)(InMetres(s, 1e6, 1e3))
	if got.IncX != 6.25e-6 || got.IncY != 3.125e-6 || got.Z[4] != 0.7e-3 {
		t.Errorf("%+v", got)
	}
	for _, f := range []float64{0, -1, math.Inf(1), math.NaN()} {
		if _, err := InMetres(s, 1, f); err == nil {
			t.Errorf("%g to the metre is no error", f)
		}
	}
}

func TestLevel(t *testing.T) {
	const tilt, bend = 5e-6, 8e-6
	form := func(x, y float64, form Form) float64 {
		z := 3e-6 + tilt*x - 2*tilt*y
		if form == Curve {
			z += bend*x*x - bend*x*y/2 + bend*y*y/3
		}
		return z
	}
	for _, f := range []Form{Plane, Curve} {
		s, flat := rough(8, 120, 90, 0.2), rough(8, 120, 90, 0.2)
		for i := range s.Z {
			var b [6]float64
			basis(s, i, &b)
			s.Z[i] = 0.05*s.Z[i] + form(b[1], b[2], f)
			if b[1]*b[1]+b[2]*b[2] < 0.04 {
				s.Z[i] -= 80e-6 // a hole, which must not tilt the rest
			}
		}
		got := do(t)(Level(s, f))
		var worst float64
		for i := range got.Z {
			var b [6]float64
			basis(s, i, &b)
			if !math.IsNaN(got.Z[i]) && b[1]*b[1]+b[2]*b[2] >= 0.04 {
				worst = max(worst, math.Abs(got.Z[i]-0.05*flat.Z[i]))
			}
		}
		if worst > 0.05e-6 {
			t.Errorf("form %d: up to %g m of form are left", f, worst)
		}
	}
	s := rough(9, 7, 7, 0.1)
	if got := do(t)(Level(s, AsMeasured)); !same(got, s) {
		t.Error("no form, but the heights changed")
	}
	for _, few := range []*x3p.Scan{rough(1, 1, 1, 0), rough(1, 50, 1, 0), rough(1, 3, 3, 1)} {
		if got := do(t)(Level(few, Curve)); !same(got, few) {
			t.Errorf("%d × %d points do not determine a form, but the heights changed", few.SizeX, few.SizeY)
		}
	}
}
