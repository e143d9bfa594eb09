package correlate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"proofmark/correlate/exact"
	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

// Options of an encoding. The zero value leaves everything to the scan.
//
// Mask and Sector both limit which marks are encoded, and neither moves the
// origin: that is taken from the whole scan where it shows an aperture, so that
// marks cut out of a scan lie in the frame of the whole one.
type Options struct {
	// Mask is a region that a person drew, one point for each of the scan's. It
	// wins over the segmentation: what it keeps is the region, nothing else is.
	Mask *edit.Mask
	// Sector limits the region to a sector around the origin, as if the rest of
	// the face had not touched: a partial mark.
	Sector *Sector
}

// Sector of a region around the origin: from a direction on as far as it takes to
// hold a share of the region's points.
type Sector struct {
	From  float64 // degrees from x towards y
	Share float64 // of the points within the signature's frame, above 0 to 1
}

// valid tells what is wrong with a sector.
func (c *Sector) valid() error {
	if !(c.Share > 0 && c.Share <= 1) || !(abs(c.From) <= 1e6) {
		return fmt.Errorf("sector from %g° that holds %g of the face: the direction must be finite, the share above 0 and at most 1", c.From, c.Share)
	}
	return nil
}

// region finds what is to be encoded of a breech face: the levelled face, or what
// a person drew, and the origin.
func (o Options) region(scan *x3p.Scan) (found, error) {
	s, err := resample(scan)
	if err != nil {
		return found{}, err
	}
	heights := slices.Clone(s.z)
	measured := slices.Clone(s.ok)
	level, err := segmentFace(s)
	if err != nil && o.Mask == nil {
		return found{}, err
	}
	c := centre{kind: centreMask}
	var remarks []string
	if err == nil {
		c = findCentre(s)
		if upsideDown(s, &surface{nx: s.nx, ny: s.ny, z: heights, ok: measured}, level, c) {
			remarks = append(remarks, "upside down? the primer's edge rises above the face: marks of a cast or of mirrored heights find no mates")
		}
	}
	if o.Mask != nil {
		if s, err = drawn(scan, o.Mask); err != nil {
			return found{}, err
		}
		// A region drawn around the aperture shows it where the scan itself does not.
		if !c.kind.round() {
			c = findCentre(s)
		}
	}
	f := found{surface: s, centre: c, remarks: remarks}
	return f, o.sector(f)
}

// sector cuts what was found to the sector that is asked for.
func (o Options) sector(f found) error {
	if o.Sector == nil {
		return nil
	}
	if err := o.Sector.valid(); err != nil {
		return err
	}
	o.Sector.cut(f.surface, f.centre)
	return nil
}

// drawn is the surface of a region that a person drew, levelled by the plane most
// of its own points lie on.
func drawn(scan *x3p.Scan, m *edit.Mask) (*surface, error) {
	kept, err := m.Apply(scan)
	if err != nil {
		return nil, err
	}
	s, err := resample(kept)
	if err != nil {
		return nil, err
	}
	var points []int32
	for i, ok := range s.ok {
		if ok {
			points = append(points, int32(i))
		}
	}
	if float64(len(points))*cellArea < minFaceArea {
		return nil, fmt.Errorf("%w: the mask keeps %.2f mm² of valid points", ErrNoMark, float64(len(points))*cellArea)
	}
	p, found := dominantPlane(s, points)
	if !found {
		return nil, fmt.Errorf("%w: no level region under the mask", ErrNoMark)
	}
	for _, i := range points {
		s.z[i] -= p.at(int(i)%s.nx, int(i)/s.nx)
	}
	return s, nil
}

// cut takes away the points of a surface that lie outside of the sector or of the
// frame around c.
func (c *Sector) cut(s *surface, at centre) {
	sin, cos := exact.SinCosDeg(math.Mod(c.From, 360))
	type spoke struct {
		towards float64
		i       int
	}
	var spokes []spoke
	for i, ok := range s.ok {
		if !ok {
			continue
		}
		x := float64((float64(i%s.nx)+0.5)*workPitch) - at.x
		y := float64((float64(i/s.nx)+0.5)*workPitch) - at.y
		if float64(x*x)+float64(y*y) > halfFrame*halfFrame {
			s.ok[i], s.z[i] = false, 0
			continue
		}
		spokes = append(spokes, spoke{diamond(float64(cos*x)+float64(sin*y), float64(cos*y)-float64(sin*x)), i})
	}
	slices.SortStableFunc(spokes, func(a, b spoke) int { return cmp.Compare(a.towards, b.towards) })
	for _, p := range spokes[int(float64(c.Share*float64(len(spokes)))+0.5):] {
		s.ok[p.i], s.z[p.i] = false, 0
	}
}

// diamond grows from 0 to 4 with the angle of a direction from x towards y, as the
// length along the diamond |x| + |y| = 1 does: an order of angles without their
// functions.
func diamond(x, y float64) float64 {
	sum := abs(x) + abs(y)
	switch {
	case sum == 0:
		return 0
	case y >= 0 && x >= 0:
		return y / sum
	case y >= 0:
		return 1 - x/sum
	case x < 0:
		return 2 - y/sum
	}
	return 3 + x/sum
}
