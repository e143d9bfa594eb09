package correlate

import (
	"math"
	"slices"
)

// The form of a firing-pin impression is that of the pin: a ball, a cone's blunt
// end, a flat. Nine terms hold a ball's cap up to half its radius, tilted by any
// angle, to within a micrometre; what they leave is longer than any mark.
const (
	formTerms  = 9
	formRounds = 10
	formPoints = 8192 // that the fit looks at
	formTukey  = 4.685
	formNoise  = 0.5 // µm, that the limit never falls below times formTukey
	madToSigma = 1.4826
)

// form is a height over the plane: coefficients of 1, x, y, x², xy, y², xr², yr²,
// r⁴ with x and y in halves of the region's extent from its middle.
type form struct {
	c          [formTerms]float64
	midX, midY float64 // points
	half       float64
}

func (f *form) basis(x, y float64, b *[formTerms]float64) {
	u, v := (x-f.midX)/f.half, (y-f.midY)/f.half
	uu, vv := float64(u*u), float64(v*v)
	rr := uu + vv
	*b = [formTerms]float64{1, u, v, uu, float64(u * v), vv, float64(u * rr), float64(v * rr), float64(rr * rr)}
}

// at a place in points of the working grid.
func (f *form) at(x, y float64) float64 {
	var b [formTerms]float64
	f.basis(x, y, &b)
	z := 0.0
	for i, c := range f.c {
		z += float64(c * b[i])
	}
	return z
}

// fitForm fits the form of the set points by Tukey's biweight, iteratively
// re-weighted (Holland and Welsch 1977) from a start on the core: nil for the inner
// half of them, where a pin's end has no walls. False where they do not determine it.
func fitForm(s *surface, set, core []bool) (form, bool) {
	b, n := boundsOf(set, s.nx)
	if n < 16*formTerms {
		return form{}, false
	}
	f := form{midX: float64(b.x0+b.x1-1) / 2, midY: float64(b.y0+b.y1-1) / 2, half: float64(max(b.x1-b.x0, b.y1-b.y0)) / 2}
	step := max(1, n/formPoints)
	type sample struct {
		b    [formTerms]float64
		z, w float64
	}
	points := make([]sample, 0, n/step+1)
	seen := 0
	for i, ok := range set {
		if !ok {
			continue
		}
		if seen%step == 0 {
			p := sample{z: s.z[i], w: 1}
			if core != nil && !core[i] {
				p.w = 0
			}
			f.basis(float64(i%s.nx), float64(i/s.nx), &p.b)
			points = append(points, p)
		}
		seen++
	}
	reach := make([]float64, len(points))
	for k := range points {
		reach[k] = points[k].b[3] + points[k].b[5] // r²
	}
	inner := median(slices.Clone(reach))
	for k := range points {
		if core == nil && reach[k] > inner {
			points[k].w = 0
		}
	}
	residual, size := make([]float64, len(points)), make([]float64, len(points))
	for range formRounds {
		var m [formTerms][formTerms + 1]float64
		for k := range points {
			p := &points[k]
			if p.w == 0 {
				continue
			}
			for i := range formTerms {
				wb := float64(p.w * p.b[i])
				for j := range i + 1 {
					m[i][j] += float64(wb * p.b[j])
				}
				m[i][formTerms] += float64(wb * p.z)
			}
		}
		if !f.solve(&m) {
			return form{}, false
		}
		for k := range points {
			p := &points[k]
			r := p.z
			for i, c := range f.c {
				r -= float64(c * p.b[i])
			}
			residual[k], size[k] = r, abs(r)
		}
		limit := float64(formTukey * max(float64(madToSigma*median(size)), formNoise))
		for k, r := range residual {
			points[k].w = 0
			if u := r / limit; u > -1 && u < 1 {
				w := 1 - float64(u*u)
				points[k].w = float64(w * w)
			}
		}
	}
	return f, true
}

// solve sets the coefficients from the lower half of the normal equations
// (Cholesky).
func (f *form) solve(m *[formTerms][formTerms + 1]float64) bool {
	scale := m[0][0]
	for i := range formTerms {
		for j := range i + 1 {
			v := m[i][j]
			for k := range j {
				v -= float64(m[i][k] * m[j][k])
			}
			if i > j {
				m[i][j] = v / m[j][j]
				continue
			}
			if !(v > 1e-10*scale) {
				return false
			}
			m[i][i] = math.Sqrt(v)
		}
	}
	var y [formTerms]float64
	for i := range formTerms {
		v := m[i][formTerms]
		for k := range i {
			v -= float64(m[i][k] * y[k])
		}
		y[i] = v / m[i][i]
	}
	for i := formTerms - 1; i >= 0; i-- {
		v := y[i]
		for k := i + 1; k < formTerms; k++ {
			v -= float64(m[k][i] * f.c[k])
		}
		f.c[i] = v / m[i][i]
	}
	return true
}

// boundsOf the set points, and their number.
func boundsOf(set []bool, nx int) (box, int) {
	b, n := box{x0: nx, y0: len(set)}, 0
	for i, ok := range set {
		if ok {
			x, y := i%nx, i/nx
			b = box{min(b.x0, x), min(b.y0, y), max(b.x1, x+1), max(b.y1, y+1)}
			n++
		}
	}
	return b, n
}
