// Package edit changes a scan as a laboratory may: cut it, mask it, resample,
// turn, level it, and correct its units when a person says which they are.
//
// Every operation is a pure function that returns a new scan and leaves the one
// it was given alone. It refuses to know files, and it never decides by itself
// that a scan needs a change.
//
// A point stands for the cell of one spacing by one spacing around it: a scan of
// n columns is n·IncX wide, its first point lies half a spacing inside of the
// left edge. Lengths are metres, measured from the left (x) and from the top (y)
// of the scan as it is drawn with row 0 on top.
package edit

import (
	"errors"
	"fmt"
	"math"

	"proofmark/correlate/x3p"
)

// ErrNothingLeft says that an operation would leave no point at all.
var ErrNothingLeft = errors.New("nothing of the scan is left")

// ErrTooLarge says that an operation asks for more points than a reader accepts.
var ErrTooLarge = errors.New("more points than a reader accepts")

// minWeight is the share of the weight of an interpolated point that must come
// from points with a height; below it the point is missing.
const minWeight = 0.5

// empty returns a scan like s of another size without any height.
func empty(s *x3p.Scan, sizeX, sizeY int, incX, incY float64) (*x3p.Scan, error) {
	if sizeX <= 0 || sizeY <= 0 {
		return nil, ErrNothingLeft
	}
	if most := x3p.DefaultLimits().MaxPoints; sizeX > most/sizeY {
		return nil, fmt.Errorf("%w: %d × %d, the limit is %d", ErrTooLarge, sizeX, sizeY, most)
	}
	out := &x3p.Scan{SizeX: sizeX, SizeY: sizeY, IncX: incX, IncY: incY, Z: make([]float64, sizeX*sizeY), Meta: s.Meta}
	for i := range out.Z {
		out.Z[i] = math.NaN()
	}
	return out, nil
}

// cells returns n as an int, or one more than any scan may have where it is out
// of all bounds, so that empty refuses it.
func cells(n float64) int {
	most := x3p.DefaultLimits().MaxPoints + 1
	if !(n < float64(most)) {
		return most
	}
	return int(n)
}

// Rect is a rectangle in metres.
type Rect struct{ X0, Y0, X1, Y1 float64 }

// Crop keeps the points whose centres lie in r: at or above its lower bounds and
// below its upper ones, so that neighbouring rectangles share no point.
func Crop(s *x3p.Scan, r Rect) (*x3p.Scan, error) {
	if !(r.X0 < r.X1 && r.Y0 < r.Y1) {
		return nil, fmt.Errorf("crop: the rectangle from (%g, %g) to (%g, %g) m is empty: give left, top, right, bottom", r.X0, r.Y0, r.X1, r.Y1)
	}
	x0, x1 := span(r.X0, r.X1, s.IncX, s.SizeX)
	y0, y1 := span(r.Y0, r.Y1, s.IncY, s.SizeY)
	out, err := empty(s, x1-x0, y1-y0, s.IncX, s.IncY)
	if err != nil {
		return nil, fmt.Errorf("crop: %w: the scan is %.4g × %.4g mm", err, 1e3*float64(s.SizeX)*s.IncX, 1e3*float64(s.SizeY)*s.IncY)
	}
	for y := range out.SizeY {
		copy(out.Z[y*out.SizeX:(y+1)*out.SizeX], s.Z[(y0+y)*s.SizeX+x0:])
	}
	return out, nil
}

// span returns the first cell whose centre is at or above lo, and the first one
// at or above hi.
func span(lo, hi, inc float64, n int) (first, end int) {
	index := func(v float64) int {
		// A bound that is a centre up to rounding belongs to that cell.
		i := math.Ceil(v/inc - 0.5 - 1e-9)
		return int(max(0, min(float64(n), i)))
	}
	return index(lo), index(hi)
}

// Circle is a disc in metres.
type Circle struct{ X, Y, R float64 }

// CropCircle keeps the points whose centres lie in c, on the smallest rectangle
// around it; the other points of the rectangle become missing.
func CropCircle(s *x3p.Scan, c Circle) (*x3p.Scan, error) {
	if !(c.R > 0) {
		return nil, fmt.Errorf("crop: the radius %g m is not above zero", c.R)
	}
	r := Rect{c.X - c.R, c.Y - c.R, c.X + c.R, c.Y + c.R}
	out, err := Crop(s, r)
	if err != nil {
		return nil, err
	}
	x0, _ := span(r.X0, r.X1, s.IncX, s.SizeX)
	y0, _ := span(r.Y0, r.Y1, s.IncY, s.SizeY)
	any := false
	for i := range out.Z {
		dx := (float64(x0+i%out.SizeX)+0.5)*s.IncX - c.X
		dy := (float64(y0+i/out.SizeX)+0.5)*s.IncY - c.Y
		if dx*dx+dy*dy > c.R*c.R {
			out.Z[i] = math.NaN()
		} else {
			any = true
		}
	}
	if !any {
		return nil, fmt.Errorf("crop: %w", ErrNothingLeft)
	}
	return out, nil
}

// InMetres corrects a file whose numbers are not metres: spacing and height say
// how many of its units make one, 1e6 for µm, 1 where nothing is wrong. It divides
// by them, because they are exact where 1e-6 is not.
func InMetres(s *x3p.Scan, spacing, height float64) (*x3p.Scan, error) {
	for _, f := range []float64{spacing, height} {
		if !(f > 0) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("units: %g to the metre is not above zero", f)
		}
	}
	out, err := empty(s, s.SizeX, s.SizeY, s.IncX/spacing, s.IncY/spacing)
	if err != nil {
		return nil, fmt.Errorf("units: %w", err)
	}
	for i, z := range s.Z {
		out.Z[i] = z / height
	}
	return out, nil
}
