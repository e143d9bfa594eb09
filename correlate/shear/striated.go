package shear

import (
	"cmp"
	"math"
	"slices"

	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

// The scan is cut into squares, each asked whether it is striated and across which
// direction; squares that agree with their neighbours make up a facet.
const (
	squareSide   = 50.0  // µm
	squarePoint  = 3.0   // µm between the points it looks at, or the scan's spacing
	squareFill   = 0.3   // of its points
	leastSlope   = 0.012 // RMS of the slope across the striae: 0.1 µm of height at 50 µm of wavelength
	leastUniform = 0.45  // coherence over a square and its neighbours
	sameWay      = 0.8   // cosine of twice the angle between neighbours: 18°
	leastSquares = 12    // 0.03 mm²
	gap          = 2     // squares on from one, where another may belong to it
	facets       = 3     // that are looked at closely
	tornSlope    = 1.0   // steeper is no surface
)

// square holds the second moments of the slopes in it, its own mean taken off.
type square struct {
	n          int
	x, y       float64
	xx, yy, xy float64
}

func (q *square) add(gx, gy float64) {
	q.n++
	q.x += gx
	q.y += gy
	q.xx += float64(gx * gx)
	q.yy += float64(gy * gy)
	q.xy += float64(gx * gy)
}

// tensor sums the moments about the means of some squares.
type tensor struct{ n, xx, yy, xy float64 }

func (t *tensor) add(q *square) {
	if q.n == 0 {
		return
	}
	n := float64(q.n)
	t.n += n
	t.xx += q.xx - float64(q.x*q.x)/n
	t.yy += q.yy - float64(q.y*q.y)/n
	t.xy += q.xy - float64(q.x*q.y)/n
}

// way is a direction by twice its angle, of unit length where coherent.
type way struct{ cos, sin float64 }

// verdict tells whether slopes run one way, and which.
func (t tensor) verdict() (way, bool) {
	if t.n == 0 || !(t.xx+t.yy > 0) {
		return way{}, false
	}
	a, b := t.xx-t.yy, 2*t.xy
	long := math.Sqrt(float64(a*a) + float64(b*b))
	across := (t.xx + t.yy + long) / float64(2*t.n)
	if long < float64(leastUniform*(t.xx+t.yy)) || across < leastSlope*leastSlope {
		return way{}, false
	}
	return way{a / long, b / long}, true
}

// squares of a scan, nx to a row.
type squares struct {
	all    []square
	looked []int // points of the lattice in each, kept or not
	nx, ny int
}

// squaresOf the points that a mask keeps.
func squaresOf(scan *x3p.Scan, open *edit.Mask) squares {
	px, py := float64(scan.IncX*1e6), float64(scan.IncY*1e6)
	q := squares{nx: int(float64(float64(scan.SizeX)*px)/squareSide) + 1, ny: int(float64(float64(scan.SizeY)*py)/squareSide) + 1}
	q.all, q.looked = make([]square, q.nx*q.ny), make([]int, q.nx*q.ny)
	dx, dy := steps(px), steps(py)
	sx, sy := max(1, int(squarePoint/px+0.5)), max(1, int(squarePoint/py+0.5))
	for y := dy; y < scan.SizeY-dy; y += sy {
		row := int(float64((float64(y)+0.5)*py)/squareSide) * q.nx
		for x := dx; x < scan.SizeX-dx; x += sx {
			i := y*scan.SizeX + x
			k := row + int(float64((float64(x)+0.5)*px)/squareSide)
			q.looked[k]++
			if !open.Keep[i] {
				continue
			}
			gx := float64((scan.Z[i+dx]-scan.Z[i-dx])*1e6) / float64(2*float64(dx)*px)
			gy := float64((scan.Z[i+dy*scan.SizeX]-scan.Z[i-dy*scan.SizeX])*1e6) / float64(2*float64(dy)*py)
			if !(gx > -tornSlope && gx < tornSlope && gy > -tornSlope && gy < tornSlope) {
				continue
			}
			q.all[k].add(gx, gy)
		}
	}
	return q
}

// region is a mask and the slopes under it, the form's own apart.
type region struct {
	keep *edit.Mask
	tensor
}

// drawnRegion is what a person drew.
func drawnRegion(scan *x3p.Scan, keep *edit.Mask) region {
	r := region{keep: keep}
	for _, q := range squaresOf(scan, keep).all {
		r.add(&q)
	}
	return r
}

// striated finds the regions among the open points whose striae run one way, the
// largest first, at most facets of them.
func striated(scan *x3p.Scan, open *edit.Mask) []region {
	px, py := float64(scan.IncX*1e6), float64(scan.IncY*1e6)
	q := squaresOf(scan, open)
	nx, ny := q.nx, q.ny
	ways, in := make([]way, nx*ny), make([]bool, nx*ny)
	for y := range ny {
		for x := range nx {
			k := y*nx + x
			if float64(q.all[k].n) < float64(squareFill*float64(q.looked[k])) || q.all[k].n == 0 {
				continue
			}
			var own, t tensor
			own.add(&q.all[k])
			if own.xx+own.yy < float64(leastSlope*leastSlope*own.n) {
				continue // smooth beside something striated
			}
			for v := max(y-1, 0); v <= min(y+1, ny-1); v++ {
				for u := max(x-1, 0); u <= min(x+1, nx-1); u++ {
					t.add(&q.all[v*nx+u])
				}
			}
			ways[k], in[k] = t.verdict()
		}
	}
	var out []region
	for _, set := range connected(ways, in, nx, ny) {
		if len(set) < leastSquares || len(out) == facets {
			break
		}
		var r region
		member := make([]bool, nx*ny)
		for _, k := range set {
			member[k] = true
			r.add(&q.all[k])
		}
		m := &edit.Mask{SizeX: scan.SizeX, SizeY: scan.SizeY, Keep: make([]bool, len(scan.Z))}
		for i := range m.Keep {
			x, y := float64((float64(i%scan.SizeX)+0.5)*px), float64((float64(i/scan.SizeX)+0.5)*py)
			m.Keep[i] = open.Keep[i] && member[int(y/squareSide)*nx+int(x/squareSide)]
		}
		r.keep = m
		out = append(out, r)
	}
	return out
}

// connected are the sets of squares near each other whose ways agree from one to
// the next, the largest first.
func connected(ways []way, in []bool, nx, ny int) [][]int {
	seen := make([]bool, len(in))
	var out [][]int
	for first := range in {
		if !in[first] || seen[first] {
			continue
		}
		seen[first] = true
		region := []int{first}
		for at := 0; at < len(region); at++ {
			k := region[at]
			x, y := k%nx, k/nx
			for v := max(y-gap, 0); v <= min(y+gap, ny-1); v++ {
				for u := max(x-gap, 0); u <= min(x+gap, nx-1); u++ {
					j := v*nx + u
					if in[j] && !seen[j] && float64(ways[k].cos*ways[j].cos)+float64(ways[k].sin*ways[j].sin) >= sameWay {
						seen[j] = true
						region = append(region, j)
					}
				}
			}
		}
		out = append(out, region)
	}
	slices.SortStableFunc(out, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
	return out
}
