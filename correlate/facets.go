package correlate

import (
	"fmt"

	"proofmark/correlate/exact"
	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

// Facet is a smooth region of a scan, plane or slightly curved.
type Facet struct {
	Keep *edit.Mask // its points
	Area float64    // mm², of the points that are there
	form form
}

// At is the height in µm of the facet's form at a place in µm from the scan's
// first corner.
func (f Facet) At(x, y float64) float64 { return f.form.at(x/workPitch-0.5, y/workPitch-0.5) }

const (
	facetBand    = 6.0 // µm from its plane, of the points that draw it
	steepFacet   = 0.8
	facetReach   = 400.0 // µm beyond the aperture's circle
	facetInner   = 0.5   // of its radius: nearer to the middle lies the pin's impression
	facetDraws   = 400
	facetVoters  = 2048
	leastFacetOf = 16 // voters
	// leastFaceArea is what a level region needs to be a face that has an aperture,
	// and not the facet itself; whole faces have 2.3 mm² and more.
	leastFaceArea = 1.0 // mm²
)

// FacetUnder fits a form to the points that a mask keeps, beginning with the plane
// most of them lie near, of at most 39° of slope. Errors: ErrNoMark, or what is wrong with scan
// or mask.
func FacetUnder(scan *x3p.Scan, keep *edit.Mask) (Facet, error) {
	kept, err := keep.Apply(scan)
	if err != nil {
		return Facet{}, err
	}
	s, err := resample(kept)
	if err != nil {
		return Facet{}, err
	}
	p, ok := s.consensus()
	if !ok {
		return Facet{}, fmt.Errorf("%w: the points under the mask lie in no plane", ErrNoMark)
	}
	core := make([]bool, len(s.ok))
	for i, ok := range s.ok {
		d := s.z[i] - p.at(i%s.nx, i/s.nx)
		core[i] = ok && d < facetBand && d > -facetBand
	}
	f, ok := fitForm(s, s.ok, core)
	if !ok {
		return Facet{}, fmt.Errorf("%w: too few points under the mask", ErrNoMark)
	}
	return Facet{keep, s.area(), f}, nil
}

// BesideAperture keeps the points of a raw scan in which the marks of the
// aperture's edge may lie: around and inside of it, off the face, outside of the
// pin's impression. Of a scan that shows no aperture it keeps all. It does not
// look at what is engraved there.
func BesideAperture(scan *x3p.Scan) (*edit.Mask, error) {
	s, err := resample(scan)
	if err != nil {
		return nil, err
	}
	open := s.gentle(workPitch)
	face := s.clone()
	if _, err := segmentFace(face); err == nil && face.area() >= leastFaceArea {
		if c := findCentre(face); c.kind != centreMask {
			radius := max(c.radius, minAperture)
			near := make([]bool, len(open))
			s.within(c, radius+facetReach, func(i, _, _ int) { near[i] = !face.ok[i] })
			s.within(c, float64(facetInner*radius), func(i, _, _ int) { near[i] = false })
			for i := range open {
				open[i] = open[i] && near[i]
			}
		}
	}
	m := &edit.Mask{SizeX: scan.SizeX, SizeY: scan.SizeY, Keep: make([]bool, len(scan.Z))}
	px, py := float64(scan.IncX*1e6), float64(scan.IncY*1e6)
	for y := range scan.SizeY {
		row := min(int(float64((float64(y)+0.5)*py)/workPitch), s.ny-1) * s.nx
		for x := range scan.SizeX {
			m.Keep[y*scan.SizeX+x] = open[row+min(int(float64((float64(x)+0.5)*px)/workPitch), s.nx-1)]
		}
	}
	return m, nil
}

// area of the points that are there, mm².
func (s *surface) area() float64 {
	_, n := boundsOf(s.ok, s.nx)
	return float64(float64(n) * cellArea)
}

// consensus is the plane that most points lie near, fitted to these.
func (s *surface) consensus() (plane, bool) {
	var points []int32
	for i, ok := range s.ok {
		if ok {
			points = append(points, int32(i))
		}
	}
	if len(points) < leastFacetOf {
		return plane{}, false
	}
	step := max(1, len(points)/facetVoters)
	var voters []spot
	for i := 0; i < len(points); i += step {
		p := int(points[i])
		voters = append(voters, spot{float64(p % s.nx), float64(p / s.nx), s.z[p]})
	}
	rng := exact.Sequence(4)
	var best plane
	votes := leastFacetOf - 1
	for range facetDraws {
		p, ok := planeThrough(voters[rng.Below(len(voters))], voters[rng.Below(len(voters))], voters[rng.Below(len(voters))])
		const steepest = steepFacet * workPitch
		if !ok || float64(p.b*p.b)+float64(p.c*p.c) > steepest*steepest {
			continue
		}
		n := 0
		for _, v := range voters {
			if d := v.z - p.a - float64(p.b*v.x) - float64(p.c*v.y); d < facetBand && d > -facetBand {
				n++
			}
		}
		if n > votes {
			best, votes = p, n
		}
	}
	if votes < leastFacetOf {
		return plane{}, false
	}
	for range 3 {
		best = fitPlane(s, points, best, facetBand)
	}
	return best, true
}

// spot is a point of the working grid.
type spot struct{ x, y, z float64 }

// planeThrough three points; false where they are nearly in line.
func planeThrough(p, q, r spot) (plane, bool) {
	ux, uy, uz := q.x-p.x, q.y-p.y, q.z-p.z
	vx, vy, vz := r.x-p.x, r.y-p.y, r.z-p.z
	det := float64(ux*vy) - float64(uy*vx)
	if det < 100 && det > -100 {
		return plane{}, false
	}
	c := plane{b: (float64(uz*vy) - float64(uy*vz)) / det, c: (float64(ux*vz) - float64(uz*vx)) / det}
	c.a = p.z - float64(c.b*p.x) - float64(c.c*p.y)
	return c, true
}
