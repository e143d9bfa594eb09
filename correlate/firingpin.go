package correlate

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"proofmark/correlate/x3p"
)

// A firing-pin impression is looked for on the working grid in µm of the exhibit,
// then read again at 5 µm in the frame of its region. None of these limits was
// proved on real impressions: none were at hand.
const (
	leastPinDepth = 20.0   // µm below the face, of what can be an impression
	pinLevel      = 0.3    // of the depth: below it lies the impression
	outlineLevel  = 0.5    // of the depth: where its outline is taken
	pinBand       = 12.0   // µm from the form: what lies farther is flank, rim or dirt
	leastBow      = 4.0    // µm, of a bowl's middle below its margin
	largestFlat   = 2200.0 // µm, width of a region without a bowl that may be a pin's flat end
	leastPinArea  = 0.03   // mm²
	floorRadius   = 0.5    // of the outline's: the middle that must have been measured
	floorShare    = 0.5    // of it
	minOutline    = 120.0  // µm radius
	maxOutline    = 1100.0
	wholeOutline  = 135  // of 180 sectors
	outlineSpread = 40.0 // µm, median distance of edge points from the circle
	coarsestPin   = 10.0 // µm: the shortest wavelength kept is 32 µm
	pinMargin     = 100.0
)

// ErrUpsideDown: the heights stand the wrong way round.
var ErrUpsideDown = errors.New("the heights look mirrored: what should be a hollow stands out; turn the scan's heights over, or scan the cartridge case instead of a cast")

// pinSite is where an impression lies on the working grid.
type pinSite struct {
	set    []bool
	centre centre // µm of the exhibit
}

// pin finds what is to be encoded of a firing-pin impression.
func (o Options) pin(scan *x3p.Scan) (found, error) {
	if px, py := scan.IncX*1e6, scan.IncY*1e6; px > coarsestPin || py > coarsestPin {
		return found{}, fmt.Errorf("spacing %.2f × %.2f µm, at most %.0f for a firing-pin impression: scan at higher magnification", px, py, coarsestPin)
	}
	s, err := resample(scan)
	if err != nil {
		return found{}, err
	}
	site, err := locatePin(s)
	if err != nil {
		site.centre.kind = centreMask
	}
	if o.Mask != nil {
		if scan, err = o.Mask.Apply(scan); err != nil {
			return found{}, err
		}
		if s, err = resample(scan); err != nil {
			return found{}, err
		}
		site.set = s.ok
		if !site.centre.kind.round() {
			site.centre = outline(s.ok, s.nx, s.ny)
		}
	}
	if err != nil {
		return found{}, err
	}
	f, err := site.closeUp(scan, s)
	if err != nil {
		return found{}, err
	}
	return f, o.sector(f)
}

// locatePin finds the impression: below the face inside of the aperture, or the
// bowl that the scan consists of.
func locatePin(s *surface) (pinSite, error) {
	face := s.clone()
	if p, err := segmentFace(face); err == nil {
		switch c := findCentre(face); c.kind {
		case centreAperture, centreArc:
			in := make([]bool, len(s.ok))
			s.within(c, c.radius-workPitch, func(i, _, _ int) { in[i] = true })
			return pinInAperture(s, p, in, c, c.radius)
		case centreHole:
			in := erode(holeOf(face), s.nx, s.ny, 1)
			_, n := boundsOf(in, s.nx)
			return pinInAperture(s, p, in, c, math.Sqrt(float64(float64(n)*cellArea)*1e6/math.Pi))
		}
	}
	return pinAlone(s)
}

// pinInAperture takes what lies below the face inside of the aperture, whose points
// are in and whose radius is that of a circle of its area.
func pinInAperture(s *surface, face plane, in []bool, aperture centre, apertureRadius float64) (pinSite, error) {
	below := make([]float64, len(s.z))
	inside := make([]float64, 0, len(s.z))
	middle, measured := 0, 0
	s.within(aperture, float64(floorRadius*apertureRadius), func(i, _, _ int) {
		middle++
		if s.ok[i] {
			measured++
		}
	})
	for i, ok := range s.ok {
		if ok && in[i] {
			below[i] = face.at(i%s.nx, i/s.nx) - s.z[i]
			inside = append(inside, below[i])
		}
	}
	if 2*measured < middle || measured == 0 {
		return pinSite{}, noFloor(measured, middle)
	}
	slices.Sort(inside)
	depth := inside[len(inside)*95/100]
	if depth < leastPinDepth {
		if inside[len(inside)/2] < -leastPinDepth {
			return pinSite{}, fmt.Errorf("%w: %w", ErrNoMark, ErrUpsideDown)
		}
		return pinSite{}, fmt.Errorf("%w: no firing-pin impression: nothing inside of the aperture lies %.0f µm below the face", ErrNoMark, leastPinDepth)
	}
	deep, edge := make([]bool, len(s.ok)), make([]bool, len(s.ok))
	for i, ok := range s.ok {
		deep[i] = ok && in[i] && below[i] > float64(pinLevel*depth)
		edge[i] = ok && in[i] && below[i] > float64(outlineLevel*depth)
	}
	c := outline(edge, s.nx, s.ny)
	radius := c.radius
	if !c.kind.round() {
		_, n := boundsOf(edge, s.nx)
		radius = math.Sqrt(float64(float64(n)*cellArea) * 1e6 / math.Pi)
	}
	middle, measured = 0, 0
	s.within(c, float64(floorRadius*radius), func(i, _, _ int) {
		middle++
		if deep[i] {
			measured++
		}
	})
	if float64(measured) < float64(floorShare*float64(middle)) {
		return pinSite{}, noFloor(measured, middle)
	}
	return pinSite{deep, c}, nil
}

func noFloor(measured, middle int) error {
	return fmt.Errorf("%w: no firing-pin impression: its floor was not measured (%d %% of its middle is there)", ErrNoMark, 100*measured/max(middle, 1))
}

// pinAlone takes a scan that shows little more than the impression.
func pinAlone(s *surface) (pinSite, error) {
	gentle := s.gentle(workPitch)
	f, ok := fitForm(s, gentle, nil)
	if !ok {
		return pinSite{}, fmt.Errorf("%w: no firing-pin impression: too few valid points", ErrNoMark)
	}
	set := f.near(s, gentle)
	b, n := boundsOf(set, s.nx)
	if float64(float64(n)*cellArea) < leastPinArea {
		return pinSite{}, fmt.Errorf("%w: no firing-pin impression: no smooth hollow in the scan; crop the scan to the impression or draw a mask around it", ErrNoMark)
	}
	switch bow := bowOf(s, set); {
	case bow < -leastBow:
		return pinSite{}, fmt.Errorf("%w: %w", ErrNoMark, ErrUpsideDown)
	case bow < leastBow && float64(float64(max(b.x1-b.x0, b.y1-b.y0))*workPitch) > largestFlat:
		return pinSite{}, fmt.Errorf("%w: no firing-pin impression: the scan shows a level face and no hollow", ErrNoMark)
	}
	return pinSite{set, outline(set, s.nx, s.ny)}, nil
}

// near keeps the set points within pinBand of the form, their largest region. The
// foot of a wall is left out: it would show the pin's class and not its marks.
func (f *form) near(s *surface, set []bool) []bool {
	out, wall := make([]bool, len(set)), make([]bool, len(set))
	for i, ok := range set {
		if ok {
			d := s.z[i] - f.at(float64(i%s.nx), float64(i/s.nx))
			out[i] = d < pinBand && d > -pinBand
			wall[i] = !out[i]
		}
	}
	for i, w := range dilate(wall, s.nx, s.ny, 2) {
		out[i] = out[i] && !w
	}
	core := erode(bridged(out, s.ok, s.nx, s.ny), s.nx, s.ny, 1)
	largestComponent(core, s.nx, s.ny)
	grown := dilate(core, s.nx, s.ny, 2)
	for i := range out {
		out[i] = out[i] && grown[i]
	}
	return out
}

// gentle are the valid points that no valid neighbour lies more than 45° above or
// below: of steeper flanks instruments see little and show that badly.
func (s *surface) gentle(pitch float64) []bool {
	out := slices.Clone(s.ok)
	for i, ok := range s.ok {
		if !ok {
			continue
		}
		for _, j := range [2]int{i + 1, i + s.nx} {
			if j >= len(s.ok) || !s.ok[j] || (j == i+1 && j%s.nx == 0) {
				continue
			}
			if d := s.z[i] - s.z[j]; d > pitch || d < -pitch {
				out[i], out[j] = false, false
			}
		}
	}
	return out
}

// bowOf is how far the middle of a region lies below its margin, in µm, tilt apart.
func bowOf(s *surface, set []bool) float64 {
	var points []int32
	for i, ok := range set {
		if ok {
			points = append(points, int32(i))
		}
	}
	p := leastSquares(s, points)
	cx, cy := centroid(set, s.nx)
	radii := make([]float64, len(points))
	for k, i := range points {
		x, y := float64((float64(int(i)%s.nx)+0.5)*workPitch)-cx, float64((float64(int(i)/s.nx)+0.5)*workPitch)-cy
		radii[k] = float64(x*x) + float64(y*y)
	}
	split := median(slices.Clone(radii))
	var inner, outer float64
	var n, m int
	for k, i := range points {
		z := s.z[i] - p.at(int(i)%s.nx, int(i)/s.nx)
		if radii[k] < split {
			inner += z
			n++
		} else {
			outer += z
			m++
		}
	}
	return outer/float64(max(m, 1)) - inner/float64(max(n, 1))
}

// outline is the circle through the outermost set point of each sector around
// the region, or its centroid. Where the scan ends before the region does, there
// is no outline.
func outline(set []bool, nx, ny int) centre {
	mx, my := centroid(set, nx)
	c := centre{kind: centreMask, x: mx, y: my}
	x, y := mx, my
	for range 3 {
		points := outermost(set, nx, ny, x, y)
		if len(points) < minEdgePoints {
			return c
		}
		if len(points) >= wholeOutline && !c.kind.round() {
			c.kind = centreHole
		}
		fit, spread, ok := fitCircle(points, 0, 0, 0)
		if !ok || fit.radius < minOutline || fit.radius > maxOutline || spread > outlineSpread {
			return c
		}
		x, y = x+fit.x, y+fit.y
		c = centre{centreAperture, x, y, fit.radius}
		if len(points) < wholeOutline {
			c.kind = centreArc
		}
	}
	return c
}

// outermost set points around (cx, cy), one for each sector that ends before the
// grid does.
func outermost(set []bool, nx, ny int, cx, cy float64) []point {
	var far [360 / sectorDeg]struct {
		p    point
		d2   float64
		open bool
	}
	for i, ok := range set {
		if !ok {
			continue
		}
		x, y := i%nx, i/nx
		dx, dy := float64((float64(x)+0.5)*workPitch)-cx, float64((float64(y)+0.5)*workPitch)-cy
		d2 := float64(dx*dx) + float64(dy*dy)
		if f := &far[sectorOf(dx, dy)]; d2 > f.d2 {
			f.p, f.d2 = point{dx, dy}, d2
			f.open = x < 2 || y < 2 || x >= nx-2 || y >= ny-2
		}
	}
	points := make([]point, 0, len(far))
	for _, f := range far {
		if f.d2 > 0 && !f.open {
			points = append(points, f.p)
		}
	}
	return points
}

// closeUp reads the region again in its frame and takes its form off. coarse is
// the working grid that the site was found on.
func (p pinSite) closeUp(scan *x3p.Scan, coarse *surface) (found, error) {
	unit := regions[roiCodeFiringPin].unit
	const reach = halfFrame*0.4 + pinMargin
	px, py := float64(scan.IncX*1e6), float64(scan.IncY*1e6)
	x0, x1 := cut(p.centre.x, reach, px, scan.SizeX)
	y0, y1 := cut(p.centre.y, reach, py, scan.SizeY)
	near := &x3p.Scan{SizeX: x1 - x0, SizeY: y1 - y0, IncX: scan.IncX / unit, IncY: scan.IncY / unit}
	for y := y0; y < y1; y++ {
		near.Z = append(near.Z, scan.Z[y*scan.SizeX+x0:y*scan.SizeX+x1]...)
	}
	s, err := resample(near)
	if err != nil {
		return found{}, err
	}
	f := found{surface: s, cornerX: float64(float64(x0) * px), cornerY: float64(float64(y0) * py)}
	allowed := dilate(p.set, coarse.nx, coarse.ny, 2)
	for i := range s.ok {
		x := f.cornerX + float64(float64((float64(i%s.nx)+0.5)*workPitch)*unit)
		y := f.cornerY + float64(float64((float64(i/s.nx)+0.5)*workPitch)*unit)
		cx, cy := min(int(x/workPitch), coarse.nx-1), min(int(y/workPitch), coarse.ny-1)
		s.ok[i] = s.ok[i] && allowed[cy*coarse.nx+cx]
	}
	s.ok = s.gentle(float64(workPitch * unit))
	shape, ok := fitForm(s, s.ok, nil)
	if !ok {
		return found{}, fmt.Errorf("%w: no firing-pin impression: too few valid points", ErrNoMark)
	}
	s.ok = shape.near(s, s.ok)
	n := 0
	for i, ok := range s.ok {
		if !ok {
			s.z[i] = 0
			continue
		}
		s.z[i] -= shape.at(float64(i%s.nx), float64(i/s.nx))
		n++
	}
	if area := float64(float64(float64(n)*cellArea) * float64(unit*unit)); area < leastPinArea {
		return found{}, fmt.Errorf("%w: no firing-pin impression: only %.3f mm² follow one form", ErrNoMark, area)
	}
	f.centre = centre{p.centre.kind, (p.centre.x - f.cornerX) / unit, (p.centre.y - f.cornerY) / unit, p.centre.radius / unit}
	return f, nil
}

// cut is the range of points within reach of a place.
func cut(at, reach, pitch float64, n int) (from, to int) {
	from = min(max(int((at-reach)/pitch), 0), n-1)
	return from, max(min(int((at+reach)/pitch)+1, n), from+1)
}
