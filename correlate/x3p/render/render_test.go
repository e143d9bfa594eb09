package render

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"math"
	"strings"
	"testing"

	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

func scan(sizeX, sizeY int, height func(x, y float64) float64) *x3p.Scan {
	s := &x3p.Scan{SizeX: sizeX, SizeY: sizeY, IncX: 5e-6, IncY: 5e-6, Z: make([]float64, sizeX*sizeY)}
	for i := range s.Z {
		s.Z[i] = height(float64(i%sizeX), float64(i/sizeX))
	}
	return s
}

func picture(t *testing.T, s *x3p.Scan, change func(*Options)) *image.RGBA {
	t.Helper()
	o := Defaults()
	o.Form = edit.AsMeasured
	change(&o)
	p, err := Image(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bare(o *Options) { o.Bare = true }

func grey(c color.Color) int { return int(color.GrayModel.Convert(c).(color.Gray).Y) }

// The side of a hill that faces the light is brighter, wherever the light is.
func TestLightFallsOnTheSideThatFacesIt(t *testing.T) {
	hill := scan(41, 41, func(x, y float64) float64 { return 40e-6 * math.Exp(-((x-20)*(x-20)+(y-20)*(y-20))/80) })
	for _, c := range []struct {
		azimuth float64
		x, y    int // a point towards the light
	}{{0, 20, 12}, {90, 28, 20}, {180, 20, 28}, {270, 12, 20}, {315, 14, 14}, {-45, 14, 14}, {135, 26, 26}} {
		p := picture(t, hill, func(o *Options) { o.Bare, o.Azimuth = true, c.azimuth })
		if lit, dark := grey(p.At(c.x, c.y)), grey(p.At(40-c.x, 40-c.y)); lit < dark+60 {
			t.Errorf("light from %g°: %d towards it, %d away from it", c.azimuth, lit, dark)
		}
	}
	hole := scan(41, 41, func(x, y float64) float64 { return -hill.At(int(x), int(y)) })
	p := picture(t, hole, bare)
	if grey(p.At(14, 14)) >= grey(p.At(26, 26)) {
		t.Error("a hole looks like a hill")
	}
}

func TestLevelSurfaceIsEven(t *testing.T) {
	tilted := scan(60, 40, func(x, y float64) float64 { return 1e-6*x - 2e-6*y })
	p := picture(t, tilted, func(o *Options) { o.Bare, o.Form = true, edit.Plane; o.Exaggeration = 1 })
	for i := range tilted.Z {
		if p.At(i%60, i/60) != p.At(0, 0) {
			t.Fatalf("pixel %d is %v, the first is %v", i, p.At(i%60, i/60), p.At(0, 0))
		}
	}
}

// Height order is kept in lightness, so that the scale can be read without colours.
func TestColoursRiseInLightness(t *testing.T) {
	before := -1
	for i := range 101 {
		now := grey(lit(heightColour(float64(i)/100), 1))
		if now < before {
			t.Errorf("height %d %% is darker (%d) than the one below it (%d)", i, now, before)
		}
		before = now
	}
	if low, high := grey(lit(heightColour(0), 1)), grey(lit(heightColour(1), 1)); high-low < 140 {
		t.Errorf("from %d to %d is no scale", low, high)
	}
}

// A few spikes do not change how the rest is coloured or lit.
func TestRobustToSpikes(t *testing.T) {
	wave := func(x, y float64) float64 { return 1e-6 * math.Sin(x/5) * math.Cos(y/7) }
	clean, spiked := scan(100, 100, wave), scan(100, 100, wave)
	for _, i := range []int{1234, 5678, 9012} {
		spiked.Z[i] = 1e-2
	}
	change := func(o *Options) { o.Bare, o.Colour = true, true }
	a, b := picture(t, clean, change), picture(t, spiked, change)
	differ := 0
	for i := range clean.Z {
		x, y := i%100, i/100
		if d := grey(a.At(x, y)) - grey(b.At(x, y)); d > 8 || d < -8 {
			differ++
		}
	}
	if differ > 5*3 { // the spikes and their neighbours
		t.Errorf("%d pixels differ by three spikes", differ)
	}
}

func TestMissingPointsAreMarked(t *testing.T) {
	s := scan(50, 50, func(x, y float64) float64 { return 1e-6 * math.Sin(x) })
	for y := 10; y < 30; y++ {
		for x := 10; x < 30; x++ {
			s.Z[y*50+x] = math.NaN()
		}
	}
	for _, colour := range []bool{false, true} {
		p := picture(t, s, func(o *Options) { o.Bare, o.Colour = true, colour })
		for i := range s.Z {
			x, y := i%50, i/50
			if marked := p.RGBAAt(x, y) == noData(x, y); marked != math.IsNaN(s.Z[i]) {
				t.Fatalf("colour %v: pixel (%d, %d) marked %v", colour, x, y, marked)
			}
		}
	}
	for i := range s.Z {
		s.Z[i] = math.NaN()
	}
	if _, err := Image(s, Defaults()); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing to draw: %v", err)
	}
}

// The bar is as long as it says.
func TestScaleBar(t *testing.T) {
	for exponent := -10.0; exponent < 1; exponent += 0.13 {
		scale := math.Pow(10, exponent)
		metres, pixels := barLength(scale, 200)
		if pixels < 75 || pixels > 200 || math.Abs(metres/scale-float64(pixels)) > 0.51 {
			t.Errorf("%g m per pixel: %g m in %d pixels", scale, metres, pixels)
		}
		digit := strings.TrimRight(strings.Fields(quantity(metres))[0], "0")
		if digit != "1" && digit != "2" && digit != "5" {
			t.Errorf("%g m per pixel: a bar of %s", scale, quantity(metres))
		}
	}
	// 720 pixels for 3.6 mm: 1 mm is 200 pixels, ink from the left margin on.
	p := picture(t, scan(720, 100, func(x, y float64) float64 { return 1e-6 * math.Sin(x) }), func(*Options) {})
	y, run := 20+100+14+8, 0
	for p.RGBAAt(20+run, y) == ink {
		run++
	}
	if run != 200 {
		t.Errorf("the bar is %d pixels long, want 200 for 1 mm", run)
	}
}

func TestPageSizes(t *testing.T) {
	for _, c := range []struct {
		sizeX, sizeY, longest int
		incY                  float64
		w, h                  int // of the surface
	}{
		{100, 50, 0, 5e-6, 720, 360}, {1000, 500, 0, 5e-6, 1000, 500}, {2000, 100, 0, 5e-6, 1600, 80},
		{100, 50, 300, 5e-6, 300, 150}, {100, 50, 300, 10e-6, 300, 300}, {4, 4, 300, 5e-3, 1, 300}, {1, 1, 0, 5e-6, 720, 720},
	} {
		s := scan(c.sizeX, c.sizeY, func(x, y float64) float64 { return 1e-6 * math.Sin(x*y) })
		s.IncY = c.incY
		p := picture(t, s, func(o *Options) { o.Longest, o.Bare = c.longest, false })
		if w := max(c.w, 560) + 40; p.Rect.Dx() != w || p.Rect.Dy() < c.h+20+14+rowHeight+lineHeight {
			t.Errorf("%+v: page of %v", c, p.Rect)
		}
		if c.longest > 0 {
			p = picture(t, s, func(o *Options) { o.Longest, o.Bare = c.longest, true })
			if p.Rect.Dx() != c.w || p.Rect.Dy() != c.h {
				t.Errorf("%+v: surface of %v", c, p.Rect)
			}
		}
	}
	if p := picture(t, scan(33, 21, func(x, y float64) float64 { return x * y * 1e-7 }), bare); p.Rect != image.Rect(0, 0, 33, 21) {
		t.Errorf("bare, a pixel per point: %v", p.Rect)
	}
}

func TestEqualScansGiveEqualPictures(t *testing.T) {
	s := scan(80, 60, func(x, y float64) float64 { return 1e-6 * math.Sin(x/3+y) })
	title := func(o *Options) { o.Title, o.Colour = strings.Repeat("a long title ", 40), true }
	if !bytes.Equal(picture(t, s, title).Pix, picture(t, s, title).Pix) {
		t.Error("two pictures of one scan differ")
	}
}

func TestOptions(t *testing.T) {
	s := scan(5, 5, func(x, y float64) float64 { return x * 1e-6 })
	for name, spoil := range map[string]func(*Options){
		"pixels": func(o *Options) { o.Longest = MaxSide + 1 }, "negative pixels": func(o *Options) { o.Longest = -1 },
		"light from below": func(o *Options) { o.Altitude = 0 }, "altitude": func(o *Options) { o.Altitude = math.NaN() },
		"azimuth": func(o *Options) { o.Azimuth = math.Inf(1) }, "exaggeration": func(o *Options) { o.Exaggeration = -1 },
	} {
		o := Defaults()
		spoil(&o)
		if _, err := Image(s, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNumbersAsPeopleWriteThem(t *testing.T) {
	for v, want := range map[float64]string{3.4e-3: "3.4 mm", 1.5625e-6: "1.5625 µm", 5e-7: "500 nm", 1e-3: "1 mm", 0: "0 nm", 2: "2 m", -4e-6: "−4 µm", 1e-12: "0.001 nm"} {
		if got := quantity(v); got != want {
			t.Errorf("%g m: %q, want %q", v, got, want)
		}
	}
	if low, high := heights(-3.99e-6, 4.712e-6); low != "−3.99 µm" || high != "4.71 µm" {
		t.Errorf("%s to %s", low, high)
	}
	if got := percent(0.722); got != "72.2 %" {
		t.Error(got)
	}
	if got := percent(1e-6); got != "under 0.1 %" {
		t.Error(got)
	}
}
