// Package render draws a scan as a picture that a person can judge: a relief
// under a light, with a scale bar, its missing points marked and a legend that
// says what was done to it.
//
// It is a pure function of scan and options; it refuses to know files, and it
// decides nothing about marks. One look is no comparison.
package render

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"

	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

// Options say how a scan is drawn. Start from [Defaults].
type Options struct {
	Title        string    // first line of the legend
	Longest      int       // pixels of the longer side of the surface; 0: one per point, within bounds
	Azimuth      float64   // where the light comes from: degrees clockwise from the top
	Altitude     float64   // of the light above the surface, degrees
	Exaggeration float64   // of slopes; 0: so that the steeper ones stand out
	Colour       bool      // by height, over a robust range
	Form         edit.Form // taken off before drawing
	Bare         bool      // the surface alone, no legend: one pixel per point where Longest is 0
}

// Defaults light the surface from the upper left, as people expect of a relief.
func Defaults() Options {
	return Options{Azimuth: 315, Altitude: 40, Form: edit.Plane}
}

const (
	minSide, maxSide = 720, 1600 // pixels of the longer side that are chosen unasked
	// MaxSide is the most that may be asked for.
	MaxSide = 8192
	// robust is the share of heights left out at each end of the colour scale.
	robust = 0.01
)

// ErrEmpty says that no point of the scan has a height.
var ErrEmpty = errors.New("no point has a height")

func (o Options) check() error {
	switch {
	case o.Longest < 0 || o.Longest > MaxSide:
		return fmt.Errorf("%d pixels are not between 1 and %d", o.Longest, MaxSide)
	case !(o.Altitude > 0 && o.Altitude <= 90):
		return fmt.Errorf("the light's altitude of %g° is not above 0 and up to 90", o.Altitude)
	case !(math.Abs(o.Azimuth) <= 360):
		return fmt.Errorf("the light's direction of %g° is not between -360 and 360", o.Azimuth)
	case !(o.Exaggeration >= 0 && o.Exaggeration <= 1e6):
		return fmt.Errorf("an exaggeration of %g is not between 0 and a million", o.Exaggeration)
	}
	return nil
}

// Image draws the scan with row 0 on top.
func Image(s *x3p.Scan, o Options) (*image.RGBA, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	missing := s.Missing()
	if missing == len(s.Z) {
		return nil, fmt.Errorf("render: %w", ErrEmpty)
	}
	flat, err := edit.Level(s, o.Form)
	if err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	if !o.Bare || o.Longest > 0 {
		if flat, err = fit(flat, o.Longest); err != nil {
			return nil, fmt.Errorf("render: %w", err)
		}
	}
	r := relief{scan: flat, light: towards(o.Azimuth, o.Altitude), steep: o.Exaggeration}
	if r.steep == 0 {
		r.steep = r.usualSteepness()
	}
	r.low, r.high = heightRange(flat.Z)
	surface := r.draw(o.Colour)
	if o.Bare {
		return surface, nil
	}
	return page(surface, legend{
		title: o.Title, facts: describe(s, o.Form, r.steep), metresPerPixel: flat.IncX, colour: o.Colour, low: r.low, high: r.high,
		missing: float64(missing) / float64(len(s.Z)), light: r.light, azimuth: o.Azimuth, altitude: o.Altitude,
	}), nil
}

// fit brings the scan to square pixels and the wanted size.
func fit(s *x3p.Scan, longest int) (*x3p.Scan, error) {
	width, height := float64(s.SizeX)*s.IncX, float64(s.SizeY)*s.IncY
	if longest == 0 {
		longest = max(minSide, min(maxSide, s.SizeX, s.SizeY))
		if n := max(s.SizeX, s.SizeY); n > longest {
			longest = min(n, maxSide)
		}
	}
	pixel := max(width, height) / float64(longest)
	// A scan hundreds of times longer than wide is drawn with wider pixels.
	incX, incY := min(pixel, width), min(pixel, height)
	return edit.ResampleTo(s, incX, incY)
}

// heightRange leaves out the robust share at each end, so that a few spikes do
// not take all of the scale.
func heightRange(z []float64) (low, high float64) {
	var v []float64
	for _, h := range z {
		if !math.IsNaN(h) {
			v = append(v, h)
		}
	}
	slices.Sort(v)
	k := int(robust * float64(len(v)-1))
	return v[k], v[len(v)-1-k]
}

// relief is a surface with what it is drawn by.
type relief struct {
	scan      *x3p.Scan // square pixels, levelled
	light     vector
	steep     float64 // factor of all slopes
	low, high float64 // metres, ends of the colour scale
}

type vector struct{ x, y, z float64 }

// towards is the unit vector to the light; y points down, as rows do.
func towards(azimuth, altitude float64) vector {
	sin, cos := math.Sincos(azimuth * math.Pi / 180)
	up, along := math.Sincos(altitude * math.Pi / 180)
	return vector{along * sin, -along * cos, up}
}

// slope is the rise per metre to the right and down at a pixel, from the
// neighbours on both sides or, next to a missing point, on one.
func (r *relief) slope(x, y int) (dx, dy float64) {
	s := r.scan
	here := s.At(x, y)
	side := func(nx, ny int) float64 {
		if nx < 0 || ny < 0 || nx >= s.SizeX || ny >= s.SizeY {
			return math.NaN()
		}
		return s.At(nx, ny)
	}
	rise := func(before, after, inc float64) float64 {
		switch b, a := math.IsNaN(before), math.IsNaN(after); {
		case b && a:
			return 0
		case b:
			return (after - here) / inc
		case a:
			return (here - before) / inc
		}
		return (after - before) / (2 * inc)
	}
	return rise(side(x-1, y), side(x+1, y), s.IncX), rise(side(x, y-1), side(x, y+1), s.IncY)
}

// usualSteepness makes nine slopes of ten less steep than steepSlope.
func (r *relief) usualSteepness() float64 {
	const (
		samples    = 50_000
		share      = 0.9
		steepSlope = 0.9 // about 42°
	)
	var v []float64
	stride := max(1, len(r.scan.Z)/samples)
	for i := 0; i < len(r.scan.Z); i += stride {
		if !math.IsNaN(r.scan.Z[i]) {
			v = append(v, math.Hypot(r.slope(i%r.scan.SizeX, i/r.scan.SizeX)))
		}
	}
	slices.Sort(v)
	if len(v) == 0 {
		return 1
	}
	usual := v[int(share*float64(len(v)-1))]
	if usual == 0 {
		return 1
	}
	return steepSlope / usual
}

// shade is the light that a pixel throws back, 0 to 1: Lambert's law with some
// light from all around, so that slopes away from the light are not all black.
func (r *relief) shade(x, y int) float64 {
	const around = 0.18
	dx, dy := r.slope(x, y)
	dx, dy = dx*r.steep, dy*r.steep
	lit := (r.light.z - dx*r.light.x - dy*r.light.y) / math.Sqrt(1+dx*dx+dy*dy)
	return around + (1-around)*max(0, lit)
}

func (r *relief) draw(colour bool) *image.RGBA {
	s := r.scan
	out := image.NewRGBA(image.Rect(0, 0, s.SizeX, s.SizeY))
	for i, z := range s.Z {
		x, y := i%s.SizeX, i/s.SizeX
		if math.IsNaN(z) {
			out.SetRGBA(x, y, noData(x, y))
			continue
		}
		light := r.shade(x, y)
		if !colour {
			out.SetRGBA(x, y, stone(light))
			continue
		}
		at := 0.5
		if r.high > r.low {
			at = max(0, min(1, (z-r.low)/(r.high-r.low)))
		}
		out.SetRGBA(x, y, lit(heightColour(at), light/(r.light.z+0.18*(1-r.light.z))))
	}
	return out
}

// page puts the surface on white paper with its legend below.
func page(surface *image.RGBA, l legend) *image.RGBA {
	const margin, narrowest = 20, 560
	w, h := surface.Rect.Dx(), surface.Rect.Dy()
	width := max(w, narrowest) + 2*margin
	rows := l.layout(width - 2*margin)
	out := image.NewRGBA(image.Rect(0, 0, width, margin+h+rows.height+margin))
	draw.Draw(out, out.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	left := (width - w) / 2
	draw.Draw(out, image.Rect(left, margin, left+w, margin+h), surface, image.Point{}, draw.Src)
	rows.draw(out, image.Pt(margin, margin+h))
	return out
}
