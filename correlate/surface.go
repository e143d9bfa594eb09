package correlate

import (
	"fmt"
	"math"
	"slices"

	"proofmark/correlate/x3p"
)

// workPitch is the lateral spacing of the working grid in µm. The shortest
// wavelength kept is 80 µm, so 12.5 µm leaves more than six points per wave.
const workPitch = 12.5

// maxField is the largest side of a field of view in µm that is taken for a
// breech face. The largest rifle primers are 5.4 mm wide; a whole case head of
// 12 mm still fits.
const maxField = 16000.0

// surface is a height map on the working grid: z in µm, row-major y*nx+x, ok
// tells which points are valid. Point (x, y) has its centre at
// ((x+0.5)·workPitch, (y+0.5)·workPitch) from the scan's corner.
type surface struct {
	nx, ny int
	z      []float64
	ok     []bool
	rim    []bool  // a face with the flanks that were taken off it; nil where none were
	middle *centre // of a face, where it is known already
}

func newSurface(nx, ny int) *surface {
	return &surface{nx: nx, ny: ny, z: make([]float64, nx*ny), ok: make([]bool, nx*ny)}
}

func (s *surface) clone() *surface {
	return &surface{nx: s.nx, ny: s.ny, z: slices.Clone(s.z), ok: slices.Clone(s.ok)}
}

// within visits the points whose centres lie within a radius in µm of c.
func (s *surface) within(c centre, radius float64, visit func(i, x, y int)) {
	for y := max(int((c.y-radius)/workPitch), 0); y < min(int((c.y+radius)/workPitch)+1, s.ny); y++ {
		dy := float64((float64(y)+0.5)*workPitch) - c.y
		for x := max(int((c.x-radius)/workPitch), 0); x < min(int((c.x+radius)/workPitch)+1, s.nx); x++ {
			dx := float64((float64(x)+0.5)*workPitch) - c.x
			if float64(dx*dx)+float64(dy*dy) <= float64(radius*radius) {
				visit(y*s.nx+x, x, y)
			}
		}
	}
}

// resample brings a scan of any spacing onto the working grid: area means where
// the scan is finer, bilinear interpolation where it is coarser.
func resample(scan *x3p.Scan) (*surface, error) {
	px, py := scan.IncX*1e6, scan.IncY*1e6
	if !(px >= 0.1 && px <= 50 && py >= 0.1 && py <= 50) {
		return nil, fmt.Errorf("lateral spacing %g × %g µm is outside 0.1–50 µm: check the scan's units", px, py)
	}
	if scan.SizeX <= 0 || scan.SizeY <= 0 || len(scan.Z) != scan.SizeX*scan.SizeY {
		return nil, fmt.Errorf("scan of %d × %d points holds %d heights", scan.SizeX, scan.SizeY, len(scan.Z))
	}
	w, h := float64(scan.SizeX)*px, float64(scan.SizeY)*py
	if w > maxField || h > maxField {
		return nil, fmt.Errorf("field of %.1f × %.1f mm is larger than %.0f mm: crop the scan to the primer", w/1000, h/1000, maxField/1000)
	}
	nx, ny := int(math.Ceil(w/workPitch-1e-9)), int(math.Ceil(h/workPitch-1e-9))
	s := newSurface(nx, ny)
	if px > workPitch || py > workPitch {
		bilinear(s, scan, px, py)
	} else {
		areaMeans(s, scan, px, py)
	}
	return s, nil
}

// share is the part of a fine cell that falls into one coarse cell.
type share struct {
	cell   int
	weight float64
}

// shares splits each of n cells of width fine over coarse cells of width
// coarse; offset is where the fine cells begin on the coarse axis. A fine cell
// no wider than a coarse one touches at most two.
func shares(n int, fine, coarse, offset float64) [][2]share {
	out := make([][2]share, n)
	for i := range out {
		lo := (offset + float64(float64(i)*fine)) / coarse
		hi := (offset + float64(float64(i+1)*fine)) / coarse
		c := math.Floor(lo + 1e-9)
		edge := c + 1
		first := 1.0
		if hi > edge+1e-9 {
			first = (edge - lo) / (hi - lo)
		}
		out[i] = [2]share{{int(c), first}, {int(c) + 1, 1 - first}}
	}
	return out
}

func areaMeans(s *surface, scan *x3p.Scan, px, py float64) {
	xs := shares(scan.SizeX, px, workPitch, 0)
	ys := shares(scan.SizeY, py, workPitch, 0)
	weight := make([]float64, len(s.z))
	rowW := make([]float64, s.nx+1)
	rowZ := make([]float64, s.nx+1)
	for y := range scan.SizeY {
		clear(rowW)
		clear(rowZ)
		for x, z := range scan.Z[y*scan.SizeX : (y+1)*scan.SizeX] {
			if z-z != 0 { // NaN or infinite
				continue
			}
			sx := &xs[x]
			c := sx[0].cell
			rowW[c] += sx[0].weight
			rowZ[c] += float64(sx[0].weight * z)
			if sx[1].weight > 0 {
				rowW[c+1] += sx[1].weight
				rowZ[c+1] += float64(sx[1].weight * z)
			}
		}
		for _, sy := range ys[y] {
			if sy.weight <= 0 || sy.cell >= s.ny {
				continue
			}
			base := sy.cell * s.nx
			for x := range s.nx {
				weight[base+x] += float64(sy.weight * rowW[x])
				s.z[base+x] += float64(sy.weight * rowZ[x])
			}
		}
	}
	// A cell counts when at least half of its area was measured.
	need := float64(0.5 * float64((workPitch/px)*(workPitch/py)))
	for i, w := range weight {
		if w >= need-1e-6 {
			s.z[i] = float64(s.z[i]*1e6) / w
			s.ok[i] = true
		} else {
			s.z[i] = 0
		}
	}
}

func bilinear(s *surface, scan *x3p.Scan, px, py float64) {
	for y := range s.ny {
		fy := float64((float64(y)+0.5)*workPitch)/py - 0.5
		y0 := min(max(int(math.Floor(fy)), 0), scan.SizeY-1)
		y1 := min(y0+1, scan.SizeY-1)
		ty := min(max(fy-float64(y0), 0), 1)
		for x := range s.nx {
			fx := float64((float64(x)+0.5)*workPitch)/px - 0.5
			x0 := min(max(int(math.Floor(fx)), 0), scan.SizeX-1)
			x1 := min(x0+1, scan.SizeX-1)
			tx := min(max(fx-float64(x0), 0), 1)
			a, b := scan.Z[y0*scan.SizeX+x0], scan.Z[y0*scan.SizeX+x1]
			c, d := scan.Z[y1*scan.SizeX+x0], scan.Z[y1*scan.SizeX+x1]
			top := a + float64(tx*(b-a))
			bottom := c + float64(tx*(d-c))
			z := top + float64(ty*(bottom-top))
			if z-z != 0 {
				continue
			}
			s.z[y*s.nx+x] = float64(z * 1e6)
			s.ok[y*s.nx+x] = true
		}
	}
}
