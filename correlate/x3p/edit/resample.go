package edit

import (
	"fmt"
	"math"

	"proofmark/correlate/x3p"
)

// tap is what one target cell takes from consecutive source cells.
type tap struct {
	first  int
	weight []float64
}

// Resample returns the scan on a grid of another spacing (metres, both axes).
// The edges at left and top stay where they are; the number of cells is the one
// that covers the scan best. A coarser axis takes the mean over the area of each
// new cell, so that the mean of the scan is kept; a finer one interpolates
// between the two nearest points. Missing points take no part, and a new point
// is missing where less than half of its weight has a height.
func Resample(s *x3p.Scan, spacing float64) (*x3p.Scan, error) {
	if !(spacing > 0) || math.IsInf(spacing, 0) {
		return nil, fmt.Errorf("resample: the spacing %g m is not above zero", spacing)
	}
	return ResampleTo(s, spacing, spacing)
}

// ResampleTo is [Resample] with a spacing for each axis.
func ResampleTo(s *x3p.Scan, incX, incY float64) (*x3p.Scan, error) {
	sizeX, sizeY := cells(max(1, math.Round(float64(s.SizeX)*s.IncX/incX))), cells(max(1, math.Round(float64(s.SizeY)*s.IncY/incY)))
	out, err := empty(s, sizeX, sizeY, incX, incY)
	if err != nil {
		return nil, fmt.Errorf("resample: %w", err)
	}
	across, wantX := taps(s.SizeX, sizeX, incX/s.IncX)
	down, wantY := taps(s.SizeY, sizeY, incY/s.IncY)
	// The weights are products of one for each axis, so rows come first, then
	// columns; sum holds weighted heights, have the weight that had one.
	sum, have := make([]float64, sizeX*s.SizeY), make([]float64, sizeX*s.SizeY)
	for y := range s.SizeY {
		row := s.Z[y*s.SizeX : (y+1)*s.SizeX]
		for x, t := range across {
			var z, w float64
			for k, weight := range t.weight {
				if v := row[t.first+k]; !math.IsNaN(v) {
					z += weight * v
					w += weight
				}
			}
			sum[y*sizeX+x], have[y*sizeX+x] = z, w
		}
	}
	zs, ws := make([]float64, sizeX), make([]float64, sizeX)
	need := minWeight * wantX * wantY * (1 - 1e-9)
	left := false
	for y, t := range down {
		clear(zs)
		clear(ws)
		for k, weight := range t.weight {
			at := (t.first + k) * sizeX
			for x := range zs {
				zs[x] += weight * sum[at+x]
				ws[x] += weight * have[at+x]
			}
		}
		for x, w := range ws {
			if w > 0 && w >= need {
				out.Z[y*sizeX+x] = zs[x] / w
				left = true
			}
		}
	}
	if !left {
		return nil, fmt.Errorf("resample: %w at a spacing of %.4g µm", ErrNothingLeft, 1e6*max(incX, incY))
	}
	return out, nil
}

// taps returns the weights of m target cells over n source cells, each target
// ratio source cells wide, and the full weight of a target.
func taps(n, m int, ratio float64) ([]tap, float64) {
	t := make([]tap, m)
	if math.Abs(ratio-1) < 1e-9 && n == m {
		for i := range t {
			t[i] = tap{i, []float64{1}}
		}
		return t, 1
	}
	if ratio < 1 {
		for i := range t {
			at := max(0, min(float64(n-1), (float64(i)+0.5)*ratio-0.5))
			first := min(int(at), max(0, n-2))
			f := at - float64(first)
			if t[i] = (tap{first, []float64{1 - f, f}}); n == 1 {
				t[i] = tap{0, []float64{1}}
			}
		}
		return t, 1
	}
	for i := range t {
		lo, hi := float64(i)*ratio, float64(i+1)*ratio
		first := min(int(lo+1e-9), n-1)
		t[i].first = first
		for k := first; k < n && float64(k) < hi-1e-9; k++ {
			t[i].weight = append(t[i].weight, max(0, min(hi, float64(k+1))-max(lo, float64(k))))
		}
	}
	return t, ratio
}
