package bullet

import (
	"fmt"
	"math"

	"proofmark/correlate/x3p"
)

// Bounds of a scan in µm. A land is 1 to 3 mm wide in the calibres there are.
const (
	slabHeight    = 12.5
	coarsestX     = 3.5  // the shortest wavelength kept is 20 µm
	coarsestY     = 50.0 // along the striae
	leastAcross   = 800.0
	largestAcross = 6400.0
	largestAlong  = 12800.0
)

// view is a scan as an encoder wants it: columns across the striae.
type view struct {
	scan       *x3p.Scan
	transposed bool
	nx, ny     int
	px, py     float64 // µm
}

// lay finds the orientation: a land is longer across the striae than it is high.
func lay(scan *x3p.Scan) (view, error) {
	v := view{scan: scan, nx: scan.SizeX, ny: scan.SizeY, px: float64(scan.IncX * 1e6), py: float64(scan.IncY * 1e6)}
	if v.nx < 1 || v.ny < 1 || len(scan.Z) != v.nx*v.ny {
		return v, fmt.Errorf("%w: %d heights for %d × %d points", ErrNotALand, len(scan.Z), v.nx, v.ny)
	}
	if float64(float64(v.ny)*v.py) > float64(float64(v.nx)*v.px) {
		v.transposed = true
		v.nx, v.ny, v.px, v.py = v.ny, v.nx, v.py, v.px
	}
	across, along := float64(float64(v.nx)*v.px), float64(float64(v.ny)*v.py)
	switch {
	case !(v.px <= coarsestX) || !(v.py <= coarsestY):
		return v, fmt.Errorf("%w: spacing %.2f × %.2f µm, at most %.1f across and %.0f along the striae; scan at higher magnification", ErrNotALand, v.px, v.py, coarsestX, coarsestY)
	case !(across >= leastAcross):
		return v, fmt.Errorf("%w: %.0f µm across, at least %.0f are needed", ErrNotALand, across, leastAcross)
	case across > largestAcross || along > largestAlong:
		return v, fmt.Errorf("%w: %.1f × %.1f mm; crop it to one land (at most %.1f × %.1f mm)", ErrNotALand, across/1000, along/1000, largestAcross/1000, largestAlong/1000)
	}
	return v, nil
}

// at returns metres at column x and row y of the view.
func (v view) at(x, y int) float64 {
	if v.transposed {
		x, y = y, x
	}
	return v.scan.Z[y*v.scan.SizeX+x]
}

// slabs are medians over 12.5 µm of rows at workPitch, first row first.
func (v view) slabs() []line {
	var out []line
	column := make([]float64, 0, 64)
	native := newLine(v.nx)
	for y := 0; y < v.ny; {
		end := y + 1
		slab := slabOf(y, v.py)
		for end < v.ny && slabOf(end, v.py) == slab {
			end++
		}
		for x := range v.nx {
			column = column[:0]
			for r := y; r < end; r++ {
				if z := v.at(x, r); z-z == 0 { // neither NaN nor infinite
					column = append(column, z)
				}
			}
			native.ok[x] = 2*len(column) > end-y
			native.z[x] = 0
			if native.ok[x] {
				native.z[x] = float64(median(column) * 1e6)
			}
		}
		out = append(out, native.resample(v.px))
		y = end
	}
	return out
}

// slabOf a row; the small term keeps a spacing that divides the slab exactly
// from falling to either side.
func slabOf(row int, py float64) int {
	return int(math.Floor(float64((float64(row)+0.5)*py)/slabHeight + 1e-9))
}

// resample brings a line of spacing px to workPitch: area means where it is
// finer, linear interpolation where it is coarser.
func (l line) resample(px float64) line {
	n := int(float64(float64(len(l.z))*px)/workPitch + 1e-6)
	out := newLine(n)
	same := float64(px/workPitch) - 1
	for i := range n {
		switch {
		case same < 1e-6 && same > -1e-6:
			out.z[i], out.ok[i] = l.z[i], l.ok[i]
		case same < 0:
			out.z[i], out.ok[i] = l.mean(float64(float64(i)*workPitch)/px, float64(float64(i+1)*workPitch)/px)
		default:
			out.z[i], out.ok[i] = l.between(float64((float64(i)+0.5)*workPitch)/px - 0.5)
		}
	}
	return out
}

// mean of the line from a to b points; at least half of it must be there.
func (l line) mean(a, b float64) (float64, bool) {
	sum, weight := 0.0, 0.0
	for j := int(a); j < len(l.z) && float64(j) < b; j++ {
		w := min(b, float64(j+1)) - max(a, float64(j))
		if l.ok[j] && w > 0 {
			sum += float64(w * l.z[j])
			weight += w
		}
	}
	if float64(2*weight) < b-a {
		return 0, false
	}
	return sum / weight, true
}

func (l line) between(at float64) (float64, bool) {
	at = min(max(at, 0), float64(len(l.z)-1))
	j := int(at)
	k := min(j+1, len(l.z)-1)
	t := at - float64(j)
	return l.z[j] + float64(t*(l.z[k]-l.z[j])), l.ok[j] && l.ok[k]
}
