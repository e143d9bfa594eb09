package edit

import (
	"fmt"
	"math"

	"proofmark/correlate/x3p"
)

// Rotate turns the scan counter-clockwise, as it is drawn with row 0 on top, by
// an angle in degrees. Quarter turns move points and change no height; any other
// angle interpolates between the four nearest points, keeps the spacings, and
// widens the scan so that nothing is cut off. A point is missing where less than
// half of its weight has a height.
func Rotate(s *x3p.Scan, degrees float64) (*x3p.Scan, error) {
	if math.IsNaN(degrees) || math.IsInf(degrees, 0) {
		return nil, fmt.Errorf("rotate: %g is not an angle", degrees)
	}
	turns := math.Mod(degrees, 360) / 90
	if turns == math.Trunc(turns) {
		return quarters(s, (int(turns)+4)%4)
	}
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	width, height := float64(s.SizeX)*s.IncX, float64(s.SizeY)*s.IncY
	sizeX := cells(math.Ceil((width*math.Abs(cos)+height*math.Abs(sin))/s.IncX - 1e-9))
	sizeY := cells(math.Ceil((width*math.Abs(sin)+height*math.Abs(cos))/s.IncY - 1e-9))
	out, err := empty(s, sizeX, sizeY, s.IncX, s.IncY)
	if err != nil {
		return nil, fmt.Errorf("rotate: %w", err)
	}
	for y := range sizeY {
		dy := (float64(y) - float64(sizeY-1)/2) * s.IncY
		for x := range sizeX {
			dx := (float64(x) - float64(sizeX-1)/2) * s.IncX
			u := (dx*cos-dy*sin)/s.IncX + float64(s.SizeX-1)/2
			v := (dx*sin+dy*cos)/s.IncY + float64(s.SizeY-1)/2
			out.Z[y*sizeX+x] = between(s, u, v)
		}
	}
	return out, nil
}

// between interpolates at column u and row v, missing outside of the scan.
func between(s *x3p.Scan, u, v float64) float64 {
	x0, y0 := int(math.Floor(u)), int(math.Floor(v))
	fx, fy := u-float64(x0), v-float64(y0)
	var z, have float64
	for k, w := range [4]float64{(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy} {
		x, y := x0+k&1, y0+k>>1
		if w == 0 || x < 0 || y < 0 || x >= s.SizeX || y >= s.SizeY {
			continue
		}
		if h := s.At(x, y); !math.IsNaN(h) {
			z += w * h
			have += w
		}
	}
	if have < minWeight {
		return math.NaN()
	}
	return z / have
}

// quarters turns by quarter turns counter-clockwise.
func quarters(s *x3p.Scan, n int) (*x3p.Scan, error) {
	sizeX, sizeY, incX, incY := s.SizeX, s.SizeY, s.IncX, s.IncY
	if n%2 == 1 {
		sizeX, sizeY, incX, incY = sizeY, sizeX, incY, incX
	}
	out, err := empty(s, sizeX, sizeY, incX, incY)
	if err != nil {
		return nil, fmt.Errorf("rotate: %w", err)
	}
	for y := range sizeY {
		for x := range sizeX {
			u, v := x, y
			switch n {
			case 1:
				u, v = s.SizeX-1-y, x
			case 2:
				u, v = s.SizeX-1-x, s.SizeY-1-y
			case 3:
				u, v = y, s.SizeY-1-x
			}
			out.Z[y*sizeX+x] = s.At(u, v)
		}
	}
	return out, nil
}
