package x3p

import (
	"errors"
	"math"
)

var errTrailing = errors.New("longer than it declares")

// gridTolerance is how far stored coordinates may lie off the regular grid, as a
// share of its spacing.
const gridTolerance = 0.01

// grid collects the lateral coordinates of a matrix that stores them with every
// point, to find out whether they form the regular grid a Scan needs.
type grid struct {
	sizeX  int
	lo, hi []float64 // extremes per column, then per row, metres
}

// newGrid returns nil where both lateral axes are incremental, as nearly always.
func newGrid(h *header) *grid {
	if !h.x.absolute && !h.y.absolute {
		return nil
	}
	n := h.sizeX + h.sizeY
	g := &grid{sizeX: h.sizeX, lo: make([]float64, n), hi: make([]float64, n)}
	for i := range g.lo {
		g.lo[i], g.hi[i] = math.Inf(1), math.Inf(-1)
	}
	return g
}

func (g *grid) put(axis string, point int, v float64) {
	i := point % g.sizeX
	if axis == "Y" {
		i = g.sizeX + point/g.sizeX
	}
	g.lo[i], g.hi[i] = min(g.lo[i], v), max(g.hi[i], v)
}

// spacing returns the step between neighbouring columns (axis X) or rows (axis Y).
func (g *grid) spacing(axis string) (float64, error) {
	lo, hi := g.lo[:g.sizeX], g.hi[:g.sizeX]
	part := inMain("Record1/Axes/CX")
	if axis == "Y" {
		lo, hi = g.lo[g.sizeX:], g.hi[g.sizeX:]
		part = inMain("Record1/Axes/CY")
	}
	last := len(lo) - 1
	if last == 0 {
		return 0, fault(ErrNotSurface, part, "absolute coordinates on a single line have no spacing")
	}
	step := (hi[last] - lo[0]) / float64(last)
	for i := range lo {
		want := lo[0] + float64(i)*step
		// Written so that a NaN, or a line without a single point, fails.
		if !(step > 0 && math.Abs(lo[i]-want) <= gridTolerance*step && math.Abs(hi[i]-want) <= gridTolerance*step) {
			return 0, fault(ErrNotSurface, part, "absolute coordinates do not form a regular, rising grid (line %d); resample to a grid", i)
		}
	}
	return step, nil
}
