package shear

import (
	"math"

	"proofmark/correlate"
	"proofmark/correlate/exact"
	"proofmark/correlate/x3p"
)

// Directions are told in steps of half a degree.
const (
	angleSteps   = 360  // of a half turn
	gradientBase = 6.25 // µm on each side of a point
	facetBand    = 8.0  // µm from the form, of what is still the facet
)

// relief is a facet with its form taken off, on the smallest rectangle around it.
type relief struct {
	nx, ny int
	px, py float64   // µm
	h      []float64 // µm; NaN beyond the facet
	mx, my float64   // µm, its centroid from the rectangle's corner
	// cornerX and cornerY are the rectangle's corner, µm from the scan's.
	cornerX, cornerY float64
}

func newRelief(scan *x3p.Scan, f correlate.Facet) *relief {
	x0, y0, x1, y1 := scan.SizeX, scan.SizeY, 0, 0
	for i, keep := range f.Keep.Keep {
		if keep {
			x, y := i%scan.SizeX, i/scan.SizeX
			x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1)
		}
	}
	r := &relief{nx: x1 - x0, ny: y1 - y0, px: float64(scan.IncX * 1e6), py: float64(scan.IncY * 1e6)}
	r.cornerX, r.cornerY = float64(float64(x0)*r.px), float64(float64(y0)*r.py)
	r.h = make([]float64, r.nx*r.ny)
	sumX, sumY, n := 0, 0, 0
	for i := range r.h {
		x, y := i%r.nx, i/r.nx
		at := (y0+y)*scan.SizeX + x0 + x
		r.h[i] = math.NaN()
		if !f.Keep.Keep[at] {
			continue
		}
		h := float64(scan.Z[at]*1e6) - f.At(float64((float64(x0+x)+0.5)*r.px), float64((float64(y0+y)+0.5)*r.py))
		if !(h <= facetBand && h >= -facetBand) { // not measured, beyond an edge of the facet, or dirt
			continue
		}
		r.h[i] = h
		sumX += x
		sumY += y
		n++
	}
	if n > 0 {
		r.mx = float64((float64(sumX)/float64(n) + 0.5) * r.px)
		r.my = float64((float64(sumY)/float64(n) + 0.5) * r.py)
	}
	return r
}

// direction tells across which direction the slopes of a tensor run, in steps of
// half a degree from x towards y, and how uniform it is: 1 for striae alone, 0 for
// none (structure tensor, Bigün and Granlund 1987).
func (t tensor) direction() (across int, coherence float64) {
	if !(t.xx+t.yy > 0) {
		return 0, 0
	}
	a, b := t.xx-t.yy, 2*t.xy
	best := math.Inf(-1)
	for k := range angleSteps {
		sin, cos := exact.SinCosDeg(float64(k)) // of twice the angle
		if v := float64(a*cos) + float64(b*sin); v > best {
			across, best = k, v
		}
	}
	return across, math.Sqrt(float64(a*a)+float64(b*b)) / (t.xx + t.yy)
}

func steps(pitch float64) int { return max(1, int(gradientBase/pitch+0.5)) }
