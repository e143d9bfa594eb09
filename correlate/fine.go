package correlate

import "math"

// turnTable holds sine and cosine of each turn unit, in 1/2^14.
var turnTable = func() (t [turnUnits][2]int32) {
	for i := range t {
		sin, cos := sinCosDeg(float64(i) * 360 / turnUnits)
		t[i] = [2]int32{roundInt(sin * (1 << 14)), roundInt(cos * (1 << 14))}
	}
	return t
}()

// agreement holds the sums of a correlation over the overlap of two pictures.
type agreement struct {
	n          int
	aa, bb, ab int64
}

func (g agreement) r() float64 {
	if g.aa == 0 || g.bb == 0 {
		return 0
	}
	return float64(g.ab) / math.Sqrt(float64(float64(g.aa)*float64(g.bb)))
}

// evidence is r·√n, what the fine stage climbs.
func (g agreement) evidence() float64 { return float64(g.r() * math.Sqrt(float64(g.n))) }

// correlateAt compares marks of the reference with the query's raster at a pose.
func correlateAt(query *[rasterSide * rasterSide]int8, marks []mark, p pose) agreement {
	var g agreement
	sin, cos := turnTable[p.turn][0], turnTable[p.turn][1]
	// Half a unit more, so that the shift below rounds to the nearest point.
	tx := (p.shift.x+8*rasterSide)<<10 + 1<<13
	ty := (p.shift.y+8*rasterSide)<<10 + 1<<13
	for _, m := range marks {
		mx, my := int32(m.x), int32(m.y)
		x := (cos*mx - sin*my + tx) >> 14
		y := (sin*mx + cos*my + ty) >> 14
		if uint32(x) >= rasterSide || uint32(y) >= rasterSide {
			continue
		}
		q := query[y*rasterSide+x]
		if q == missingRaster {
			continue
		}
		a, b := int64(m.v), int64(q)
		g.n++
		g.aa += a * a
		g.bb += b * b
		g.ab += a * b
	}
	return g
}

// climb improves a pose by coordinate descent in turn and shift, halving the
// steps once.
func climb(query *Template, marks []mark, p pose, turnStep, shift int32) (pose, float64) {
	best := correlateAt(&query.raster, marks, p).evidence()
	try := func(c pose) bool {
		c.turn = (c.turn + turnUnits) % turnUnits
		if e := correlateAt(&query.raster, marks, c).evidence(); e > best {
			best, p = e, c
			return true
		}
		return false
	}
	for range 2 {
		for range 6 {
			moved := false
			for _, d := range [6]pose{
				{turnStep, offset{}}, {-turnStep, offset{}},
				{0, offset{shift, 0}}, {0, offset{-shift, 0}},
				{0, offset{0, shift}}, {0, offset{0, -shift}},
			} {
				if try(pose{p.turn + d.turn, offset{p.shift.x + d.shift.x, p.shift.y + d.shift.y}}) {
					moved = true
				}
			}
			if !moved {
				break
			}
		}
		turnStep, shift = (turnStep+1)/2, (shift+1)/2
	}
	return p, best
}

// refine finds the best pose of the reference over the query from coarse ones.
func refine(query, ref *Template, start []scoredPose) (pose, agreement) {
	few := ref.marks[:min(len(ref.marks), 256)]
	more := ref.marks[:min(len(ref.marks), 1024)]
	var best pose
	top := math.Inf(-1)
	for _, c := range start {
		p, _ := climb(query, few, c.pose, 20, 26)
		if e := correlateAt(&query.raster, more, p).evidence(); e > top {
			best, top = p, e
		}
	}
	best, _ = climb(query, more, best, 8, 12)
	return best, correlateAt(&query.raster, ref.marks, best)
}
