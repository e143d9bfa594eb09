package correlate

import (
	"math"
	"slices"

	"proofmark/correlate/exact"
)

// centreKind tells what the origin of a signature's frame is.
type centreKind uint8

const (
	centreAperture centreKind = iota // circle through the whole edge of the firing-pin aperture
	centreArc                        // circle through an arc of it: a partial mark
	centreHole                       // centroid of the enclosed hole: no good circle
	centreMask                       // centroid of the face: no aperture seen
)

// round tells whether the centre comes from a fitted circle.
func (k centreKind) round() bool { return k == centreAperture || k == centreArc }

// centre is the origin of the comparison frame in µm from the scan's corner.
type centre struct {
	kind   centreKind
	x, y   float64
	radius float64 // µm, of the aperture; 0 unless kind is round
}

const (
	sectorDeg     = 2     // one edge point per sector
	edgeScale     = 18.75 // µm, soft-L1 scale of the circle fit
	minAperture   = 300.0 // µm radius
	maxAperture   = 1600.0
	minHoleArea   = 0.15 // mm², smaller holes are dropout
	maxHoleArea   = 8.0  // mm², a larger one holds a whole primer
	minEdgePoints = 45   // a quarter of the sectors
	maxEdgeSpread = 80.0 // µm, median distance of edge points from the circle
	arcTriples    = 3000 // sampling consensus for an aperture that is not enclosed
	arcTolerance  = 20.0 // µm
	minArcPoints  = 30
)

// findCentre finds the firing-pin aperture. Same-source scans centred on it lie
// within about 90 µm of each other, against 375 µm with the crop's centre.
func findCentre(s *surface) centre {
	if s.middle != nil {
		return *s.middle
	}
	c := centreOf(s)
	if c.kind == centreAperture || s.rim == nil {
		return c
	}
	// The flanks of a ridge around the aperture may be all that closes its edge.
	if wider := centreOf(&surface{nx: s.nx, ny: s.ny, ok: s.rim}); wider.kind < c.kind {
		return wider
	}
	return c
}

// centreOf a face as it stands.
func centreOf(s *surface) centre {
	opened := dilate(erode(s.ok, s.nx, s.ny, 1), s.nx, s.ny, 1)
	hx, hy, enclosed := largestHole(s)
	if !enclosed {
		if c, ok := arcCentre(s, opened); ok {
			return c
		}
		mx, my := centroid(s.ok, s.nx)
		return centre{kind: centreMask, x: mx, y: my}
	}
	c := centre{kind: centreHole, x: hx, y: hy}
	x, y := hx, hy
	for range 3 {
		fit, ok := fitEdge(opened, s.nx, s.ny, x, y)
		if !ok {
			return c
		}
		x, y = fit.x, fit.y
		c = fit
	}
	return c
}

// largestHole returns the centroid (µm) of the largest invalid region that the
// face encloses.
func largestHole(s *surface) (x, y float64, ok bool) {
	hole := holeOf(s)
	if hole == nil {
		return 0, 0, false
	}
	x, y = centroid(hole, s.nx)
	return x, y, true
}

// holeOf is the largest invalid region that the face encloses; nil where there is
// none that could be an aperture.
func holeOf(s *surface) []bool {
	inv := make([]bool, len(s.ok))
	for i, v := range s.ok {
		inv[i] = !v
	}
	label, sizes := components(inv, s.nx, s.ny)
	open := make([]bool, len(sizes))
	for x := range s.nx {
		for _, i := range [2]int{x, (s.ny-1)*s.nx + x} {
			if label[i] >= 0 {
				open[label[i]] = true
			}
		}
	}
	for y := range s.ny {
		for _, i := range [2]int{y * s.nx, y*s.nx + s.nx - 1} {
			if label[i] >= 0 {
				open[label[i]] = true
			}
		}
	}
	best := -1
	for i, n := range sizes {
		if !open[i] && (best < 0 || n > sizes[best]) {
			best = i
		}
	}
	if best < 0 || float64(sizes[best])*cellArea < minHoleArea || float64(sizes[best])*cellArea > maxHoleArea {
		return nil
	}
	for i := range inv {
		inv[i] = label[i] == int32(best)
	}
	return inv
}

// centroid of the set points in µm.
func centroid(m []bool, nx int) (x, y float64) {
	sx, sy, n := 0, 0, 0
	for i, v := range m {
		if v {
			sx += i % nx
			sy += i / nx
			n++
		}
	}
	if n == 0 {
		return 0, 0
	}
	return float64((float64(sx)/float64(n) + 0.5) * workPitch), float64((float64(sy)/float64(n) + 0.5) * workPitch)
}

type point struct{ x, y float64 }

// fitEdge takes the innermost valid point of each sector around (cx, cy) and
// fits a circle through them.
func fitEdge(m []bool, nx, ny int, cx, cy float64) (centre, bool) {
	var inner [360 / sectorDeg]struct {
		p  point
		d2 float64
	}
	for i := range inner {
		inner[i].d2 = math.Inf(1)
	}
	const reach = maxAperture + 300
	for y := range ny {
		dy := float64((float64(y)+0.5)*workPitch) - cy
		if dy > reach || dy < -reach {
			continue
		}
		for x := range nx {
			if !m[y*nx+x] {
				continue
			}
			dx := float64((float64(x)+0.5)*workPitch) - cx
			d2 := float64(dx*dx) + float64(dy*dy)
			if d2 > reach*reach {
				continue
			}
			k := sectorOf(dx, dy)
			if d2 < inner[k].d2 {
				inner[k].d2, inner[k].p = d2, point{dx, dy}
			}
		}
	}
	pts := make([]point, 0, len(inner))
	for _, e := range inner {
		if e.d2 < reach*reach {
			pts = append(pts, e.p)
		}
	}
	if len(pts) < minEdgePoints {
		return centre{}, false
	}
	c, spread, ok := fitCircle(pts, 0, 0, 0)
	if !ok || c.radius < minAperture || c.radius > maxAperture || spread > maxEdgeSpread {
		return centre{}, false
	}
	c.x += cx
	c.y += cy
	return c, true
}

// sectorBounds holds tan of the sectors' edges within one quadrant.
var sectorBounds = func() (t [90/sectorDeg - 1]float64) {
	for i := range t {
		sin, cos := exact.SinCosDeg(float64((i + 1) * sectorDeg))
		t[i] = sin / cos
	}
	return t
}()

// sectorOf numbers the sector of sectorDeg degrees that a direction lies in.
func sectorOf(dx, dy float64) int {
	quadrant := 0
	switch {
	case dx > 0 && dy >= 0:
	case dx <= 0 && dy > 0:
		quadrant, dx, dy = 1, dy, -dx
	case dx < 0 && dy <= 0:
		quadrant, dx, dy = 2, -dx, -dy
	case dy < 0:
		quadrant, dx, dy = 3, -dy, dx
	default:
		return 0
	}
	lo, hi := 0, len(sectorBounds)
	for lo < hi {
		mid := (lo + hi) / 2
		if dy >= float64(sectorBounds[mid]*dx) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return quadrant*(90/sectorDeg) + lo
}

// fitCircle fits centre and radius with a soft-L1 loss by reweighted
// Gauss–Newton steps. A radius of 0 starts at the median distance. spread is the
// median distance from the circle in µm.
func fitCircle(pts []point, x, y, radius float64) (c centre, spread float64, ok bool) {
	dist := make([]float64, len(pts))
	if radius == 0 {
		for i, p := range pts {
			dist[i] = math.Sqrt(float64((p.x-x)*(p.x-x)) + float64((p.y-y)*(p.y-y)))
		}
		radius = median(slices.Clone(dist))
	}
	for range 25 {
		var m [3][4]float64
		for _, p := range pts {
			dx, dy := x-p.x, y-p.y
			d := math.Sqrt(float64(dx*dx) + float64(dy*dy))
			if d < 1 {
				continue
			}
			r := d - radius
			q := r / edgeScale
			w := 1 / math.Sqrt(1+float64(q*q))
			g := [3]float64{dx / d, dy / d, -1}
			for i := range 3 {
				wg := float64(w * g[i])
				for j := range 3 {
					m[i][j] += float64(wg * g[j])
				}
				m[i][3] -= float64(wg * r)
			}
		}
		step, solved := solve3(m)
		if !solved {
			return centre{}, 0, false
		}
		x, y, radius = x+step[0], y+step[1], radius+step[2]
		if float64(step[0]*step[0])+float64(step[1]*step[1]) < 1e-4 {
			break
		}
	}
	if !(abs(x) < 1e5 && abs(y) < 1e5) {
		return centre{}, 0, false
	}
	for i, p := range pts {
		dist[i] = abs(math.Sqrt(float64((p.x-x)*(p.x-x))+float64((p.y-y)*(p.y-y))) - radius)
	}
	return centre{kind: centreAperture, x: x, y: y, radius: radius}, median(dist), true
}

// arcCentre looks for the aperture in a partial mark, where the face does not
// enclose it: the circle that most edge points lie on whose inside is empty.
func arcCentre(s *surface, opened []bool) (centre, bool) {
	var edge []point
	for y := 1; y < s.ny-1; y++ {
		for x := 1; x < s.nx-1; x++ {
			i := y*s.nx + x
			if opened[i] && !(opened[i-1] && opened[i+1] && opened[i-s.nx] && opened[i+s.nx]) {
				edge = append(edge, point{float64((float64(x) + 0.5) * workPitch), float64((float64(y) + 0.5) * workPitch)})
			}
		}
	}
	if len(edge) < minArcPoints {
		return centre{}, false
	}
	rng := exact.Sequence(2)
	var best centre
	bestVotes := minArcPoints - 1
	for range arcTriples {
		c, ok := circleThrough(edge[rng.Below(len(edge))], edge[rng.Below(len(edge))], edge[rng.Below(len(edge))])
		if !ok || c.radius < minAperture || c.radius > maxAperture {
			continue
		}
		votes := 0
		for _, p := range edge {
			d2 := float64((p.x-c.x)*(p.x-c.x)) + float64((p.y-c.y)*(p.y-c.y))
			lo, hi := c.radius-arcTolerance, c.radius+arcTolerance
			switch {
			case d2 < float64(lo*lo):
				votes-- // something inside the aperture
			case d2 <= float64(hi*hi):
				votes++
			}
		}
		if votes > bestVotes && emptyInside(s, c) {
			best, bestVotes = c, votes
		}
	}
	if bestVotes < minArcPoints {
		return centre{}, false
	}
	var near []point
	for _, p := range edge {
		d := math.Sqrt(float64((p.x-best.x)*(p.x-best.x)) + float64((p.y-best.y)*(p.y-best.y)))
		if abs(d-best.radius) < 2*arcTolerance {
			near = append(near, point{p.x - best.x, p.y - best.y})
		}
	}
	c, _, ok := fitCircle(near, 0, 0, best.radius)
	if !ok || c.radius < minAperture || c.radius > maxAperture {
		c = centre{radius: best.radius}
	}
	return centre{centreArc, c.x + best.x, c.y + best.y, c.radius}, true
}

// emptyInside tells whether the aperture's inside holds next to no face.
func emptyInside(s *surface, c centre) bool {
	in := c.radius - 2*arcTolerance
	x0, x1 := int((c.x-in)/workPitch), int((c.x+in)/workPitch)
	y0, y1 := int((c.y-in)/workPitch), int((c.y+in)/workPitch)
	face := 0
	for y := max(y0, 0); y <= min(y1, s.ny-1); y++ {
		dy := float64((float64(y)+0.5)*workPitch) - c.y
		for x := max(x0, 0); x <= min(x1, s.nx-1); x++ {
			dx := float64((float64(x)+0.5)*workPitch) - c.x
			if s.ok[y*s.nx+x] && float64(dx*dx)+float64(dy*dy) < float64(in*in) {
				face++
			}
		}
	}
	return float64(face)*cellArea < 0.02*float64(math.Pi*float64(in*in))*1e-6
}

// circleThrough returns the circle through three points.
func circleThrough(p, q, r point) (centre, bool) {
	ax, ay := q.x-p.x, q.y-p.y
	bx, by := r.x-p.x, r.y-p.y
	det := 2 * (float64(ax*by) - float64(ay*bx))
	if abs(det) < 1e4 {
		return centre{}, false
	}
	a2 := float64(ax*ax) + float64(ay*ay)
	b2 := float64(bx*bx) + float64(by*by)
	ux := (float64(by*a2) - float64(ay*b2)) / det
	uy := (float64(ax*b2) - float64(bx*a2)) / det
	return centre{
		kind: centreAperture, x: p.x + ux, y: p.y + uy,
		radius: math.Sqrt(float64(ux*ux) + float64(uy*uy)),
	}, true
}
