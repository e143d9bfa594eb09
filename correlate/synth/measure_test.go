package synth

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"proofmark/correlate/x3p"
)

// surface is a scan in µm with its mask, weights 0 and 1.
type surface struct {
	w, h    int
	z, mask []float64
	valid   float64
}

func newSurface(s *x3p.Scan) surface {
	f := surface{w: s.SizeX, h: s.SizeY, z: make([]float64, len(s.Z)), mask: make([]float64, len(s.Z))}
	sum := 0.0
	for i, z := range s.Z {
		if !math.IsNaN(z) {
			f.z[i], f.mask[i] = z*1e6, 1
			sum += z * 1e6
			f.valid++
		}
	}
	for i := range f.z {
		f.z[i] -= f.mask[i] * sum / f.valid
	}
	return f
}

// blur convolves with a Gaussian of sigma points.
func (f surface) blur(a []float64, sigma float64) []float64 {
	reach := int(3*sigma) + 1
	k := make([]float64, 2*reach+1)
	sum := 0.0
	for i := range k {
		d := float64(i - reach)
		k[i] = math.Exp(-d * d / (2 * sigma * sigma))
		sum += k[i]
	}
	for i := range k {
		k[i] /= sum
	}
	rows, out := make([]float64, len(a)), make([]float64, len(a))
	padded := make([]float64, f.w+2*reach)
	for y := range f.h {
		copy(padded[reach:], a[y*f.w:][:f.w])
		dst := rows[y*f.w:][:f.w]
		for j, weight := range k {
			for x, v := range padded[j:][:len(dst)] {
				dst[x] += weight * v
			}
		}
	}
	for y := range f.h {
		dst := out[y*f.w:][:f.w]
		for j := max(0, y-reach); j <= min(f.h-1, y+reach); j++ {
			weight := k[j-y+reach]
			for x, v := range rows[j*f.w:][:len(dst)] {
				dst[x] += weight * v
			}
		}
	}
	return out
}

// lowPasses returns the masked Gaussian low-pass at each cut-off (µm, rising).
func (f surface) lowPasses(cutoffs ...float64) [][]float64 {
	const alpha = 0.1874 // σ/λ of a Gaussian filter with 50 % transmission (ISO 16610-21)
	z, m, done := f.z, f.mask, 0.0
	var out [][]float64
	for _, c := range cutoffs {
		sigma := alpha * c / 6.25
		step := math.Sqrt(sigma*sigma - done*done)
		z, m, done = f.blur(z, step), f.blur(m, step), sigma
		low := make([]float64, len(z))
		for i := range low {
			if f.mask[i] > 0 {
				low[i] = z[i] / m[i]
			}
		}
		out = append(out, low)
	}
	return out
}

var cutoffs = []float64{25, 40, 80, 140, 250, 500}

// bands returns the RMS in µm between neighbouring cut-offs, from 0 to infinity,
// and that of the whole surface.
func (f surface) bands() (rms []float64, all float64) {
	low := append(append([][]float64{f.z}, f.lowPasses(cutoffs...)...), make([]float64, len(f.z)))
	for k := 1; k < len(low); k++ {
		sum := 0.0
		for i := range f.z {
			if f.mask[i] > 0 {
				d := low[k-1][i] - low[k][i]
				sum += d * d
			}
		}
		rms = append(rms, math.Sqrt(sum/f.valid))
	}
	for _, z := range f.z {
		all += z * z
	}
	return rms, math.Sqrt(all / f.valid)
}

// marks is the 80–250 µm band of a scan.
type marks struct {
	surface
	v []float64
}

func newMarks(s *x3p.Scan) marks {
	f := newSurface(s)
	low := f.lowPasses(80, 250)
	v := make([]float64, len(f.z))
	for i := range v {
		// Flow-back and outliers would outweigh the marks otherwise.
		v[i] = min(max(low[0][i]-low[1][i], -1.5), 1.5)
	}
	return marks{f, v}
}

// pose turns a into b: angle in degrees from x to y, then the shift in points,
// both about the given centres (in points from the scans' centres).
type pose struct{ angle, dx, dy float64 }

type point struct{ x, y, v float64 }

// points samples the marks every step points, relative to centre (cx, cy).
func (m marks) points(step int, cx, cy float64) (p []point) {
	for y := 0; y < m.h; y += step {
		for x := 0; x < m.w; x += step {
			if i := y*m.w + x; m.mask[i] > 0 {
				p = append(p, point{float64(x) - float64(m.w-1)/2 - cx, float64(y) - float64(m.h-1)/2 - cy, m.v[i]})
			}
		}
	}
	return p
}

// correlate is the normalised correlation of points of one scan with the other
// at a pose, where at least a third of the points overlap.
func (m marks) correlate(pts []point, cx, cy float64, at pose) float64 {
	sin, cos := math.Sincos(at.angle * math.Pi / 180)
	var n, sa, sb, saa, sbb, sab float64
	for _, p := range pts {
		x := int(math.Round(p.x*cos - p.y*sin + at.dx + cx + float64(m.w-1)/2))
		y := int(math.Round(p.x*sin + p.y*cos + at.dy + cy + float64(m.h-1)/2))
		if x < 0 || y < 0 || x >= m.w || y >= m.h || m.mask[y*m.w+x] == 0 {
			continue
		}
		v := m.v[y*m.w+x]
		n++
		sa, sb, saa, sbb, sab = sa+p.v, sb+v, saa+p.v*p.v, sbb+v*v, sab+p.v*v
	}
	if n < float64(len(pts))/3 {
		return 0
	}
	return (sab - sa*sb/n) / math.Sqrt((saa-sa*sa/n)*(sbb-sb*sb/n))
}

// search returns the best correlation over angles and shifts about the start.
func (m marks) search(pts []point, cx, cy float64, start pose, turn, turnStep, shift, shiftStep float64) (best float64, at pose) {
	best = -1
	for a := -turn; a <= turn; a += turnStep {
		for dx := -shift; dx <= shift; dx += shiftStep {
			for dy := -shift; dy <= shift; dy += shiftStep {
				p := pose{start.angle + a, start.dx + dx, start.dy + dy}
				if r := m.correlate(pts, cx, cy, p); r > best {
					best, at = r, p
				}
			}
		}
	}
	return best, at
}

// hole is the centroid of the aperture, in points from the scan's centre.
func (m marks) hole() (x, y float64) {
	n := 0.0
	for i, ok := range m.mask {
		px, py := float64(i%m.w)-float64(m.w-1)/2, float64(i/m.w)-float64(m.h-1)/2
		if radius := float64(min(m.w, m.h))/2 - 3; ok == 0 && px*px+py*py < radius*radius {
			x, y, n = x+px, y+py, n+1
		}
	}
	return x / n, y / n
}

// realScans returns the breech-face scans beside the repository, if there are any.
func realScans(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join("..", "..", "..", "shared", "scans", "fadul")
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	return dir
}

func readScan(t *testing.T, path string) *x3p.Scan {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := x3p.Decode(b, x3p.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
