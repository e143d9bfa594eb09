package correlate

// Congruent cells: the reference is cut into squares, and each is asked whether
// it agrees with the query at the common pose, or one small step beside it.
const (
	cellPixels    = 13 // signature pixels per side, 406 µm
	cellFill      = 35 // % of the square's pixels that must be in the overlap
	cellThreshold = 0.55
	cellShift     = 26 // 1/16 raster pixels, 25 µm
	cellTurn      = 64 // turn units, 3°
	cellsPerSide  = (side + cellPixels - 1) / cellPixels
)

// Cell is one square of the common area, told in the frame of the comparison's
// first mark: µm from the aperture's centre.
type Cell struct {
	X         float64 `json:"x"`        // µm, the cell's centre in a
	Y         float64 `json:"y"`        // µm
	ShiftX    float64 `json:"shift_x"`  // µm, the cell's own shift beside the common pose
	ShiftY    float64 `json:"shift_y"`  // µm
	Rotation  float64 `json:"rotation"` // degrees, the cell's own turn beside the common pose
	R         float64 `json:"r"`        // correlation at its own pose
	Congruent bool    `json:"congruent"`
}

type cell struct {
	cx, cy int32 // centre in raster pixels from the reference's origin
	own    pose  // beside the common pose
	r      float64
}

func (c cell) congruent() bool { return c.r > cellThreshold }

// cellsAt examines each cell of the reference with enough overlap at pose p. With them
// it tells the agreement of all marks there.
func cellsAt(query, ref *Template, p pose) (out []cell, all agreement) {
	const need = cellPixels * cellPixels * cellFill / 100
	for i, marks := range ref.cells() {
		if len(marks) == 0 {
			continue
		}
		c := cell{
			cx: int32((i%cellsPerSide)*2*cellPixels + cellPixels - side),
			cy: int32((i/cellsPerSide)*2*cellPixels + cellPixels - side),
		}
		g := correlateAt(query.raster(), marks, p)
		all.add(g)
		if g.n < need {
			continue
		}
		c.r = g.r()
		// One small step on each axis, the better way of the two.
		for _, axis := range [3]pose{{shift: offset{cellShift, 0}}, {shift: offset{0, cellShift}}, {turn: cellTurn}} {
			if !c.try(query, marks, p, axis, need) {
				c.try(query, marks, p, pose{-axis.turn, offset{-axis.shift.x, -axis.shift.y}}, need)
			}
		}
		out = append(out, c)
	}
	return out, all
}

// try moves the cell by d beside its own pose so far, turning about its own
// centre, and keeps the move where it agrees better.
func (c *cell) try(query *Template, marks []mark, p, d pose, need int) bool {
	d = pose{c.own.turn + d.turn, offset{c.own.shift.x + d.shift.x, c.own.shift.y + d.shift.y}}
	at := pose{(p.turn + d.turn + turnUnits) % turnUnits, p.shift}
	at.shift.x += d.shift.x
	at.shift.y += d.shift.y
	if d.turn != 0 {
		bx, by := turned(c.cx, c.cy, p.turn)
		ax, ay := turned(c.cx, c.cy, at.turn)
		at.shift.x += bx - ax
		at.shift.y += by - ay
	}
	if g := correlateAt(query.raster(), marks, at); g.n >= need {
		if r := g.r(); r > c.r {
			c.r, c.own = r, d
			return true
		}
	}
	return false
}

// turned returns a point (raster pixels) after a turn, in 1/16 raster pixels.
func turned(x, y, turn int32) (int32, int32) {
	sin, cos := turnTable[turn][0], turnTable[turn][1]
	return (cos*x - sin*y) >> 10, (sin*x + cos*y) >> 10
}

// toCell tells the cell from the first mark's point of view, which is the
// query's unless swapped.
func (c cell) toCell(p pose, swapped bool) Cell {
	out := Cell{
		ShiftX: float64(c.own.shift.x) * shiftUnit, ShiftY: float64(c.own.shift.y) * shiftUnit,
		Rotation: float64(c.own.turn) * turnDegree, R: c.r, Congruent: c.congruent(),
	}
	if swapped {
		out.X, out.Y = float64(c.cx)*rasterPitch, float64(c.cy)*rasterPitch
		out.ShiftX, out.ShiftY = rotate(-out.ShiftX, -out.ShiftY, -p.turn)
		out.Rotation = -out.Rotation
		return out
	}
	x, y := turned(c.cx, c.cy, p.turn)
	out.X = float64(x+p.shift.x) * shiftUnit
	out.Y = float64(y+p.shift.y) * shiftUnit
	return out
}
