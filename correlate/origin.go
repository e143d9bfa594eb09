package correlate

import (
	"math"

	"proofmark/correlate/exact"
)

// How far from the expected origin a partial mark is looked for, in samples of 47 µm.
const (
	windowKnown   = 4                         // the aperture was seen, whole or an arc of it
	windowUnknown = rasterSide/2/gridStep + 1 // it was not: anywhere
)

// shortArc is the distance of a mark's centroid from its origin, in root mean
// square radii, from which on the mark is a fragment beside the aperture: a sector
// of 150° has 0.74. A circle through so short an arc of the edge runs along the edge well,
// but its radius, and with it its centre, may be off by a fifth.
const shortArc = 0.74

// lean is the unit vector from a mark's origin to its centroid, and the distance
// in root mean square radii.
func (s *Signature) lean() (x, y, far float64) {
	sx, sy, squares := 0, 0, 0
	for i, v := range s.pixels {
		if v != 0 {
			px, py := 2*(i%side)+1-side, 2*(i/side)+1-side
			sx += px
			sy += py
			squares += px*px + py*py
		}
	}
	length := math.Sqrt(float64(sx*sx + sy*sy))
	if length == 0 || squares == 0 {
		return 0, 0, 0
	}
	return float64(sx) / length, float64(sy) / length, length / math.Sqrt(float64(int(s.valid)*squares))
}

// displaced is where a fragment's origin would be, had the circle through its arc
// had the aperture's radius that the other mark shows: the arc stays where it is,
// its centre moves towards it by the difference. On fragments cut from real scans
// this takes the origin's error from up to 400 µm to below 60. In 1/16 raster points.
func (t *Template) displaced(other *Template) offset {
	if t.sig.centre != centreArc || !other.sig.centre.round() {
		return offset{}
	}
	x, y, far := t.sig.lean()
	if far < shortArc {
		return offset{}
	}
	by := float64(10*(int(t.sig.aperture)-int(other.sig.aperture))) / shiftUnit
	return offset{roundInt(float64(by * x)), roundInt(float64(by * y))}
}

// window is where the reference is looked for: its point displaced by ref from its
// origin is expected within radius of the query's displaced by query, in 1/16
// raster points.
type window struct {
	query, ref offset
	radius     int    // in samples
	pivot      offset // the reference's middle, raster points
}

// windowFor is where a pair's poses are looked for. Of two fragments the larger
// one's circle is believed. Where an aperture was not seen, the reference's middle
// may lie anywhere on the query.
func windowFor(query, ref *Template) window {
	middle := ref.sig.middle()
	if !query.sig.centre.round() || !ref.sig.centre.round() {
		return window{ref: offset{16 * middle.x, 16 * middle.y}, radius: windowUnknown, pivot: middle}
	}
	w := window{ref: ref.displaced(query), radius: windowKnown, pivot: middle}
	if w.ref == (offset{}) {
		w.query = query.displaced(ref)
	}
	return w
}

// A mark found within knownReach of where it is expected was one of some thousand
// poses; the more there are to choose from, the better the best of them agrees by
// chance. Over an area A the correlation of unlike marks is nearly normal with
// variance 1/(freedom·A), so that among N times as many poses r² of the best is
// larger by 2 ln N/(freedom·A).
const (
	knownReach = 150.0 // µm
	freedom    = 400.0 // independent samples per mm², from the best of unlike partial marks
)

// mostPoses is N for a search of the whole frame: (2190/150)², a little less.
const mostPoses = 190

// chosen is ln N for a pose of the window.
func (w window) chosen(p pose) float64 {
	if w.radius == windowUnknown {
		return lnOf(mostPoses)
	}
	rx, ry := turned(w.ref.x, w.ref.y, p.turn)
	dx, dy := float64(p.shift.x-w.query.x+(rx>>4)), float64(p.shift.y-w.query.y+(ry>>4))
	far := float64(float64(dx*dx)+float64(dy*dy)) * float64(shiftUnit*shiftUnit) / (knownReach * knownReach)
	if far <= 1 {
		return 0
	}
	return lnOf(min(far, mostPoses))
}

// lnOf is the natural logarithm for 1 ≤ x ≤ mostPoses.
func lnOf(x float64) float64 { return 2 * exact.Atanh((x-1)/(x+1)) }

// middle is a mark's centroid in raster points from the origin.
func (s *Signature) middle() offset {
	sx, sy := 0, 0
	for i, v := range s.pixels {
		if v != 0 {
			sx += 2*(i%side) + 1 - side
			sy += 2*(i/side) + 1 - side
		}
	}
	return offset{int32(sx / int(s.valid)), int32(sy / int(s.valid))}
}
