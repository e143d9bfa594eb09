package shear

import (
	"math"
	"slices"

	"proofmark/correlate/bullet"
	"proofmark/correlate/exact"
)

const (
	rowStep     = 3.125 // µm along the striae
	mostRows    = 256
	searchRows  = 32 // that the direction is refined on
	searchReach = 24 // half degrees on either side of where the slopes point
	searchStep  = 3
	leastAlong  = 25.0
	stripWidth  = 25.0
	columnShare = 0.25 // of the longest column's rows
	widest      = 2400.0
)

// grid is a facet turned so that its rows run across the striae, at
// bullet.CrossSectionPitch; NaN where missing.
type grid struct {
	cols, rows int
	step       float64 // µm between rows
	h          []float64
}

// turned reads the facet in rows across a direction (in half degrees).
func (r *relief) turned(across, atMost int) grid {
	sin, cos := exact.SinCosDeg(float64(across%(2*angleSteps)) / 2)
	u0, u1, v0, v1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for i, h := range r.h {
		if h-h != 0 {
			continue
		}
		x, y := float64((float64(i%r.nx)+0.5)*r.px)-r.mx, float64((float64(i/r.nx)+0.5)*r.py)-r.my
		u, v := float64(cos*x)+float64(sin*y), float64(cos*y)-float64(sin*x)
		u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
	}
	if u0 > u1 {
		return grid{}
	}
	u0, u1 = max(u0, -widest/2), min(u1, widest/2)
	g := grid{step: max(rowStep, (v1-v0)/float64(atMost))}
	g.cols = int((u1-u0)/bullet.CrossSectionPitch) + 1
	g.rows = int((v1-v0)/g.step) + 1
	g.h = make([]float64, g.cols*g.rows)
	for j := range g.rows {
		v := v0 + float64((float64(j)+0.5)*g.step)
		for i := range g.cols {
			u := u0 + float64((float64(i)+0.5)*bullet.CrossSectionPitch)
			g.h[j*g.cols+i] = r.at(r.mx+float64(cos*u)-float64(sin*v), r.my+float64(sin*u)+float64(cos*v))
		}
	}
	return g
}

// at a place in µm, between those of four points that are there: they must have
// half of the weight.
func (r *relief) at(x, y float64) float64 {
	fx, fy := x/r.px-0.5, y/r.py-0.5
	ix, iy := int(math.Floor(fx)), int(math.Floor(fy))
	if ix < 0 || iy < 0 || ix+1 >= r.nx || iy+1 >= r.ny {
		return math.NaN()
	}
	tx, ty := fx-float64(ix), fy-float64(iy)
	i := iy*r.nx + ix
	sum, weight := 0.0, 0.0
	for k, h := range [4]float64{r.h[i], r.h[i+1], r.h[i+r.nx], r.h[i+r.nx+1]} {
		if h-h != 0 {
			continue
		}
		w := float64([2]float64{1 - tx, tx}[k&1] * [2]float64{1 - ty, ty}[k>>1])
		sum += float64(w * h)
		weight += w
	}
	if weight < 0.5 {
		return math.NaN()
	}
	return sum / weight
}

// all rows.
func all(int) bool { return true }

// alternate takes every other strip of the rows, the first or the second of two.
func (g grid) alternate(second int) func(row int) bool {
	return func(row int) bool { return int(float64(float64(row)*g.step)/stripWidth)&1 == second }
}

// section is the cross-section of some rows: medians along the striae, each row's
// offset taken off before. NaN where too few rows are there.
func (g grid) section(take func(row int) bool) []float64 {
	var rows []int
	for j := range g.rows {
		if take(j) {
			rows = append(rows, j)
		}
	}
	need := max(1, int(float64(leastAlong/g.step)*float64(len(rows))/float64(max(g.rows, 1))))
	out := make([]float64, g.cols)
	offset := make([]float64, g.rows)
	column := make([]float64, 0, g.rows)
	for pass := range 2 {
		longest := 0
		counts := make([]int, g.cols)
		for i := range g.cols {
			column = column[:0]
			for _, j := range rows {
				if h := g.h[j*g.cols+i]; h-h == 0 {
					column = append(column, h-offset[j])
				}
			}
			counts[i] = len(column)
			longest = max(longest, len(column))
			out[i] = math.NaN()
			if len(column) > 0 {
				slices.Sort(column)
				out[i] = float64((column[(len(column)-1)/2] + column[len(column)/2]) / 2)
			}
		}
		for i, n := range counts {
			if n < need || float64(n) < float64(columnShare*float64(longest)) {
				out[i] = math.NaN()
			}
		}
		if pass == 1 {
			break
		}
		differences := make([]float64, 0, g.cols)
		for _, j := range rows {
			differences = differences[:0]
			for i, v := range out {
				if d := g.h[j*g.cols+i] - v; d-d == 0 {
					differences = append(differences, d)
				}
			}
			if len(differences) > 0 {
				slices.Sort(differences)
				offset[j] = differences[len(differences)/2]
			}
		}
	}
	return trim(out)
}

// trim cuts off what is missing at the ends.
func trim(z []float64) []float64 {
	for len(z) > 0 && z[0] != z[0] {
		z = z[1:]
	}
	for len(z) > 0 && z[len(z)-1] != z[len(z)-1] {
		z = z[:len(z)-1]
	}
	return z
}

// bends is the mean square of a section's second differences over 12.5 and 25 µm,
// in which striae of 25 to 50 µm weigh most.
func bends(z []float64) float64 {
	sum, n := 0.0, 0
	for _, d := range [2]int{8, 16} {
		for i := d; i+d < len(z); i++ {
			if v := z[i-d] - 2*z[i] + z[i+d]; v-v == 0 {
				sum += float64(v * v)
				n++
			}
		}
	}
	return sum / float64(max(n, 1))
}

// refine turns the direction to where the median along it keeps most of the fine
// striae: those that it cuts at a slant cancel each other.
func (r *relief) refine(across int) int {
	best, top := across, 0.0
	try := func(k int) {
		k = (k + angleSteps) % angleSteps
		g := r.turned(k, searchRows)
		if v := bends(g.section(all)); v > top {
			best, top = k, v
		}
	}
	for d := range 2*searchReach/searchStep + 1 {
		try(across + searchStep*swing(d))
	}
	middle := best
	for d := 1; d < 2*searchStep-1; d++ {
		try(middle + swing(d))
	}
	return best
}

// swing counts 0, 1, −1, 2, −2, …
func swing(d int) int {
	if d%2 == 1 {
		return (d + 1) / 2
	}
	return -d / 2
}
