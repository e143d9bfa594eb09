package correlate

import (
	"bytes"
	"cmp"
	"math"
)

// halfArea is the overlap at which a correlation counts √½: it keeps chance
// agreement on a sliver of overlap from ranking high.
const halfArea = 0.8 // mm²

// Pose maps the second mark of a comparison onto the first: turn by Rotation
// about the frame's origin (the aperture's centre), then shift.
type Pose struct {
	Rotation float64 `json:"rotation"` // degrees, −180 to 180; positive turns X towards Y (clockwise on a screen)
	ShiftX   float64 `json:"shift_x"`  // µm
	ShiftY   float64 `json:"shift_y"`  // µm
}

// Comparison is what a comparison of two marks found at the best pose.
type Comparison struct {
	// S = R·√(A/(A+0.8 mm²)), 0.128 mm² for a firing-pin impression; less where a
	// partial mark was looked for far from where its origin says.
	Score          float64 `json:"score"`
	R              float64 `json:"r"` // correlation coefficient
	OverlapMM2     float64 `json:"overlap_mm2"`
	Cells          int     `json:"cells"` // cells with enough overlap
	CongruentCells int     `json:"congruent_cells"`
	Pose           Pose    `json:"pose"`
	CellMap        []Cell  `json:"cell_map,omitempty"`
	Algorithm      string  `json:"algorithm"`
}

// Compare finds the pose in 360° at which two marks agree best. It is symmetric
// to the bit: the roles in the computation follow from the pair alone, so that
// two countries that compare the same pair find the same score; only Pose and
// CellMap are told from a's point of view. Marks of different regions are never
// compared: the result is the zero Comparison.
func Compare(a, b *Template) Comparison {
	if a.sig.region != b.sig.region {
		return Comparison{}
	}
	query, ref, swapped := roles(a, b)
	how := effortFor(ref)
	p := refine(query, ref, coarse(query, ref, how.poses), how)
	cells, g := cellsAt(query, ref, p)
	area := float64(float64(g.n) * pixelArea)
	c := Comparison{R: g.r(), OverlapMM2: area, Cells: len(cells), Algorithm: a.sig.Algorithm()}
	c.Score = score(c.R, area, searched(query, ref, p))
	c.Pose = p.toPose(swapped)
	c.CellMap = make([]Cell, len(cells))
	for i, e := range cells {
		c.CellMap[i] = e.toCell(p, swapped)
		if e.congruent() {
			c.CongruentCells++
		}
	}
	c.inFrameOf(a.sig.kind())
	return c
}

// searched is ln N of the poses that p was chosen from, N beside those of whole
// marks with known origins.
func searched(query, ref *Template, p pose) float64 {
	if !ref.partial() {
		return 0
	}
	return windowFor(query, ref).chosen(p)
}

// score is S = r·√(A/(A+0.8 mm²)), with r lowered by what more poses to choose
// from raise it.
func score(r, area, choice float64) float64 {
	if choice > 0 && r > 0 {
		r = math.Sqrt(max(float64(r*r)-float64(2*choice)/float64(freedom*area), 0))
	}
	return float64(r * math.Sqrt(area/(area+halfArea)))
}

// roles makes the smaller mark the reference, whose points are sampled: on a
// partial mark's partner most points would fall beside the overlap. The
// signatures' hashes decide between equals.
func roles(a, b *Template) (query, ref *Template, swapped bool) {
	if c := cmp.Compare(b.sig.valid, a.sig.valid); c > 0 || (c == 0 && bytes.Compare(a.digest[:], b.digest[:]) > 0) {
		return b, a, true
	}
	return a, b, false
}

const (
	shiftUnit  = rasterPitch / 16 // µm
	turnDegree = 360.0 / turnUnits
)

// toPose tells the pose, which maps the reference into the query, in µm and
// degrees; inverted where the caller's first mark was the reference.
func (p pose) toPose(inverted bool) Pose {
	turn := p.turn
	x, y := float64(p.shift.x)*shiftUnit, float64(p.shift.y)*shiftUnit
	if inverted {
		turn = (turnUnits - turn) % turnUnits
		x, y = rotate(-x, -y, turn)
	}
	if turn > turnUnits/2 {
		turn -= turnUnits
	}
	return Pose{Rotation: float64(turn) * turnDegree, ShiftX: x, ShiftY: y}
}

func rotate(x, y float64, turn int32) (float64, float64) {
	turn = (turn%turnUnits + turnUnits) % turnUnits
	sin := float64(turnTable[turn][0]) / (1 << 14)
	cos := float64(turnTable[turn][1]) / (1 << 14)
	return float64(cos*x) - float64(sin*y), float64(sin*x) + float64(cos*y)
}
