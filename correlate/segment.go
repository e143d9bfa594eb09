package correlate

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"proofmark/correlate/exact"
)

// The constants of the segmentation come from three raw 9 mm primers of the
// development set and were not tuned beyond working on them.
const (
	planeTriples   = 600  // sampling consensus draws
	planeSlope     = 0.19 // steepest plane considered, µm per µm
	planeBand      = 8.0  // µm, points within it vote for a plane
	faceBand       = 14.0 // µm, points within it belong to the face
	planeVoters    = 2048 // points that vote
	processedShare = 0.99 // a scan with this share inside faceBand was cropped before
	minFaceArea    = 0.15 // mm², below it nothing can be compared
	// A wave of 150 µm and 1 µm RMS keeps a slope of 0.005 under flankSigma.
	flankSigma  = 40.0 // µm
	flankSlope  = 0.08
	surrounds   = 0.6  // of the square of the face's largest radius: where its surroundings begin
	leastAround = 0.05 // mm² of them
	flankBand   = 40.0 // µm from the face's plane, of what is smoothed
)

const cellArea = workPitch * workPitch * 1e-6 // mm² per point of the working grid

// plane is z = a + b·x + c·y with x, y in points of the working grid, z in µm.
type plane struct{ a, b, c float64 }

func (p plane) at(x, y int) float64 {
	return p.a + float64(p.b*float64(x)) + float64(p.c*float64(y))
}

// segmentFace finds the breech-face impression: the largest level region, or the
// next one where that has no aperture and the next one has, or lies within it: of a
// scan with the case head in view the primer is the smaller part. It subtracts the region's plane from
// the heights and narrows ok to the region. A scan that was cropped before (nearly
// everything lies in one plane) keeps all its points. The plane is the face's.
func segmentFace(s *surface) (plane, error) {
	points := make([]int32, 0, len(s.z))
	for i, ok := range s.ok {
		if ok {
			points = append(points, int32(i))
		}
	}
	if float64(len(points))*cellArea < minFaceArea {
		return plane{}, fmt.Errorf("%w: only %.2f mm² of valid points", ErrNoMark, float64(len(points))*cellArea)
	}
	raw := s.clone()
	p, err := s.levelRegion(points)
	if err != nil || s.rim == nil {
		return p, err
	}
	c := findCentre(s)
	if !c.kind.enclosed() {
		points = slices.DeleteFunc(points, func(i int32) bool {
			d := raw.z[i] - p.at(int(i)%s.nx, int(i)/s.nx)
			return d < 2*faceBand && d > -2*faceBand
		})
		if q, err := raw.levelRegion(points); err == nil {
			next := findCentre(raw)
			if next.kind.enclosed() || (s.sides() == 4 && raw.sides() == 0) {
				*s, p, c = *raw, q, next
			}
		}
	}
	s.middle = &c
	return p, nil
}

// sides of the field that a face reaches.
func (s *surface) sides() int {
	b, n := boundsOf(s.ok, s.nx)
	if n == 0 {
		return 0
	}
	return b2i(b.x0 == 0) + b2i(b.y0 == 0) + b2i(b.x1 == s.nx) + b2i(b.y1 == s.ny)
}

// enclosed tells whether the centre is that of an aperture with face all around.
func (k centreKind) enclosed() bool { return k == centreAperture || k == centreHole }

// levelRegion narrows s to the largest level region among some of its points.
func (s *surface) levelRegion(points []int32) (plane, error) {
	if float64(len(points))*cellArea < minFaceArea {
		return plane{}, ErrNoMark
	}
	p, found := dominantPlane(s, points)
	if !found {
		return plane{}, fmt.Errorf("%w: no level region", ErrNoMark)
	}
	inside := 0
	face := make([]bool, len(s.ok))
	for i, ok := range s.ok {
		if ok {
			s.z[i] -= p.at(i%s.nx, i/s.nx)
		}
	}
	for _, i := range points {
		if s.z[i] < faceBand && s.z[i] > -faceBand {
			face[i] = true
			inside++
		}
	}
	if float64(inside) < processedShare*float64(len(points)) {
		s.rim = slices.Clone(face)
		s.connect(s.rim)
		s.takeOffFlanks(face)
		s.connect(face)
	}
	count := 0
	for i := range face {
		if face[i] {
			count++
		} else {
			s.z[i] = 0
		}
	}
	s.ok = face
	if float64(count)*cellArea < minFaceArea {
		return plane{}, fmt.Errorf("%w: the largest level region has %.2f mm²", ErrNoMark, float64(count)*cellArea)
	}
	return p, nil
}

// connect keeps the largest region of a face, whatever narrow bridges it has.
func (s *surface) connect(face []bool) {
	core := erode(bridged(face, s.ok, s.nx, s.ny), s.nx, s.ny, 2)
	largestComponent(core, s.nx, s.ny)
	for i, in := range dilate(core, s.nx, s.ny, 3) {
		face[i] = face[i] && in
	}
}

// upsideDown tells whether the surroundings of a face lie above it. A primer's
// edge is rounded off and the case head's groove around it lower still; only in a
// cast, or where heights are counted downwards, do they rise. What lies inside of
// the face tells nothing: primers bulge into the aperture.
func upsideDown(face, scan *surface, level plane, c centre) bool {
	far := 0.0
	distance := func(i int) float64 {
		x, y := float64((float64(i%face.nx)+0.5)*workPitch)-c.x, float64((float64(i/face.nx)+0.5)*workPitch)-c.y
		return float64(x*x) + float64(y*y)
	}
	for i, in := range face.ok {
		if in {
			far = max(far, distance(i))
		}
	}
	above, below := 0, 0
	for i, ok := range scan.ok {
		if !ok || face.ok[i] || distance(i) < float64(surrounds*far) {
			continue
		}
		switch d := scan.z[i] - level.at(i%scan.nx, i/scan.nx); {
		case d > faceBand:
			above++
		case d < -faceBand:
			below++
		}
	}
	return float64(float64(above)*cellArea) > leastAround && above > 4*below
}

// takeOffFlanks clears the points of a levelled face where it falls or rises away
// from its level: the primer's rounded edge, ridges of flow-back, facets that the
// aperture's edge sheared. What is left of a flank within faceBand would show the
// class of the firearm and the primer, and outweigh the marks.
func (s *surface) takeOffFlanks(face []bool) {
	z, weight := make([]float64, len(s.z)), make([]float64, len(s.z))
	for i, ok := range s.ok {
		if ok && s.z[i] < flankBand && s.z[i] > -flankBand {
			z[i], weight[i] = s.z[i], 1
		}
	}
	smooth := maskedGauss(z, weight, s.nx, s.ny, flankSigma/workPitch)
	slope := func(i, step, at, n int) float64 {
		lo, hi, span := i, i, 0
		if at > 0 && weight[i-step] > 0 {
			lo, span = i-step, span+1
		}
		if at < n-1 && weight[i+step] > 0 {
			hi, span = i+step, span+1
		}
		return (smooth[hi] - smooth[lo]) / (float64(max(span, 1)) * workPitch)
	}
	for i, in := range face {
		if !in {
			continue
		}
		x, y := slope(i, 1, i%s.nx, s.nx), slope(i, s.nx, i/s.nx, s.ny)
		face[i] = float64(x*x)+float64(y*y) < flankSlope*flankSlope
	}
}

// dominantPlane is the plane most points lie on (sampling consensus), refined
// by least squares over the points near it.
func dominantPlane(s *surface, points []int32) (plane, bool) {
	step := max(1, len(points)/planeVoters)
	voters := make([]spot, 0, planeVoters*2)
	for i := 0; i < len(points); i += step {
		p := int(points[i])
		voters = append(voters, spot{float64(p % s.nx), float64(p / s.nx), s.z[p]})
	}
	rng := exact.Sequence(1)
	best, bestVotes := plane{}, 0
	for range planeTriples {
		c, ok := planeThrough(voters[rng.Below(len(voters))], voters[rng.Below(len(voters))], voters[rng.Below(len(voters))])
		const steepest = planeSlope * workPitch
		if !ok || float64(c.b*c.b)+float64(c.c*c.c) > steepest*steepest {
			continue
		}
		votes := 0
		for _, v := range voters {
			if d := v.z - c.a - float64(c.b*v.x) - float64(c.c*v.y); d < planeBand && d > -planeBand {
				votes++
			}
		}
		if votes > bestVotes {
			best, bestVotes = c, votes
		}
	}
	if bestVotes < 16 {
		return plane{}, false
	}
	for range 3 {
		best = refinePlane(s, points, best)
	}
	return best, true
}

// refinePlane fits least squares over the points within planeBand of p.
func refinePlane(s *surface, points []int32, p plane) plane {
	return fitPlane(s, points, p, planeBand)
}

// leastSquares is the plane through all points.
func leastSquares(s *surface, points []int32) plane {
	return fitPlane(s, points, plane{}, math.Inf(1))
}

// fitPlane fits least squares over the points within band of p.
func fitPlane(s *surface, points []int32, p plane, band float64) plane {
	var n, sx, sy, sz, sxx, sxy, syy, sxz, syz float64
	for _, i := range points {
		xi, yi := int(i)%s.nx, int(i)/s.nx
		d := s.z[i] - p.at(xi, yi)
		if d > band || d < -band {
			continue
		}
		x, y := float64(xi), float64(yi)
		n++
		sx += x
		sy += y
		sz += d
		sxx += float64(x * x)
		sxy += float64(x * y)
		syy += float64(y * y)
		sxz += float64(x * d)
		syz += float64(y * d)
	}
	m := [3][4]float64{{n, sx, sy, sz}, {sx, sxx, sxy, sxz}, {sy, sxy, syy, syz}}
	d, ok := solve3(m)
	if !ok {
		return p
	}
	return plane{p.a + d[0], p.b + d[1], p.c + d[2]}
}

// solve3 solves three linear equations given as rows of an augmented matrix.
func solve3(m [3][4]float64) (x [3]float64, ok bool) {
	for i := range 3 {
		pivot := i
		for r := i + 1; r < 3; r++ {
			if abs(m[r][i]) > abs(m[pivot][i]) {
				pivot = r
			}
		}
		m[i], m[pivot] = m[pivot], m[i]
		if abs(m[i][i]) < 1e-12 {
			return x, false
		}
		for r := range 3 {
			if r == i {
				continue
			}
			f := m[r][i] / m[i][i]
			for c := i; c < 4; c++ {
				m[r][c] -= float64(f * m[i][c])
			}
		}
	}
	for i := range 3 {
		x[i] = m[i][3] / m[i][i]
	}
	return x, true
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}

// erode keeps the points whose whole (2r+1)² neighbourhood is set; outside the
// grid counts as unset.
func erode(m []bool, nx, ny, r int) []bool {
	return windowCount(m, nx, ny, r, (2*r+1)*(2*r+1))
}

// dilate sets every point with a set point in its (2r+1)² neighbourhood.
func dilate(m []bool, nx, ny, r int) []bool {
	return windowCount(m, nx, ny, r, 1)
}

// windowCount sets the points with at least need set points within r.
func windowCount(m []bool, nx, ny, r, need int) []bool {
	rows := make([]int, nx*ny)
	for y := range ny {
		sum := 0
		row := m[y*nx : (y+1)*nx]
		for x := -r; x < nx; x++ {
			if x+r < nx && row[x+r] {
				sum++
			}
			if x-r-1 >= 0 && row[x-r-1] {
				sum--
			}
			if x >= 0 {
				rows[y*nx+x] = sum
			}
		}
	}
	out := make([]bool, nx*ny)
	sums := make([]int, nx)
	for y := -r; y < ny; y++ {
		for x := range nx {
			if y+r < ny {
				sums[x] += rows[(y+r)*nx+x]
			}
			if y-r-1 >= 0 {
				sums[x] -= rows[(y-r-1)*nx+x]
			}
			if y >= 0 {
				out[y*nx+x] = sums[x] >= need
			}
		}
	}
	return out
}

// bridged adds to the set points those that were not measured and have most of
// their neighbours in the set, so that scattered dropout does not tear a region.
func bridged(set, measured []bool, nx, ny int) []bool {
	most := windowCount(set, nx, ny, 1, 5)
	out := make([]bool, len(set))
	for i, in := range set {
		out[i] = in || (most[i] && !measured[i])
	}
	return out
}

// components labels the 4-connected regions of m; it returns the label of each
// point (−1 where unset) and the size of each region.
func components(m []bool, nx, ny int) (label []int32, sizes []int) {
	label = make([]int32, len(m))
	for i := range label {
		label[i] = -1
	}
	var stack []int32
	for start := range m {
		if !m[start] || label[start] >= 0 {
			continue
		}
		id, size := int32(len(sizes)), 0
		label[start] = id
		stack = append(stack[:0], int32(start))
		for len(stack) > 0 {
			i := int(stack[len(stack)-1])
			stack = stack[:len(stack)-1]
			size++
			x, y := i%nx, i/nx
			visit := func(j int) {
				if m[j] && label[j] < 0 {
					label[j] = id
					stack = append(stack, int32(j))
				}
			}
			if x > 0 {
				visit(i - 1)
			}
			if x < nx-1 {
				visit(i + 1)
			}
			if y > 0 {
				visit(i - nx)
			}
			if y < ny-1 {
				visit(i + nx)
			}
		}
		sizes = append(sizes, size)
	}
	return label, sizes
}

// largestComponent clears all but the largest region of m.
func largestComponent(m []bool, nx, ny int) {
	label, sizes := components(m, nx, ny)
	if len(sizes) == 0 {
		return
	}
	best := 0
	for i, n := range sizes {
		if n > sizes[best] {
			best = i
		}
	}
	for i := range m {
		m[i] = label[i] == int32(best)
	}
}

// median of v, which it reorders.
func median(v []float64) float64 {
	sort.Float64s(v)
	return v[len(v)/2]
}
