package synth

import (
	"math"
	"math/rand/v2"
)

// field is smooth Gaussian noise of unit variance over the plane: independent
// normal values on a lattice, less the mean of the 5 × 5 nodes around each, joined
// by cubic B-splines. Most of its power lies at wavelengths of two and a half to
// six lattice spacings. It repeats itself every nx by ny nodes.
type field struct {
	v      []float32 // ny rows of nx
	nx, ny int       // powers of two
	x, y   float64   // nodes per metre
}

// newField covers a square of the raster's extent about the origin with lattice
// spacings sx and sy (metres).
func newField(r *rand.Rand, sx, sy float64) *field {
	f := &field{nx: nodes(sx), ny: nodes(sy), x: 1 / sx, y: 1 / sy}
	f.v = make([]float32, f.nx*f.ny)
	for i := range f.v {
		f.v[i] = float32(fieldScale * r.NormFloat64())
	}
	f.takeOffMeans()
	return f
}

// fieldScale gives unit variance. With w the weights of the spline and m their
// running mean over five, the variance per unit is ⟨Σw²⟩² − 2⟨Σwm⟩² + ⟨Σm²⟩²,
// averaged over a cell of the lattice.
const fieldScale = 2.34877

// takeOffMeans subtracts the mean of the 5 × 5 nodes around each node, without
// which every field would be full of long waves.
func (f *field) takeOffMeans() {
	means := make([]float32, len(f.v))
	for y := range f.ny {
		row := f.v[y*f.nx:][:f.nx]
		for x := range f.nx {
			var sum float32
			for d := -2; d <= 2; d++ {
				sum += row[(x+d)&(f.nx-1)]
			}
			means[y*f.nx+x] = sum
		}
	}
	for x := range f.nx {
		for y := range f.ny {
			var sum float32
			for d := -2; d <= 2; d++ {
				sum += means[((y+d)&(f.ny-1))*f.nx+x]
			}
			f.v[y*f.nx+x] -= sum / 25
		}
	}
}

func nodes(spacing float64) int {
	n := 8
	for float64(n)*spacing < extent {
		n *= 2
	}
	return n
}

// at returns the field at a point in metres.
func (f *field) at(x, y float64) float64 {
	x, y = x*f.x, y*f.y
	fx, fy := math.Floor(x), math.Floor(y)
	wx, wy := spline(x-fx), spline(y-fy)
	ix, iy := int(fx), int(fy)
	var x4 [4]int
	for k := range x4 {
		x4[k] = (ix + k) & (f.nx - 1)
	}
	sum := 0.0
	for k, w := range wy {
		row := f.v[((iy+k)&(f.ny-1))*f.nx:][:f.nx]
		sum += w * (wx[0]*float64(row[x4[0]]) + wx[1]*float64(row[x4[1]]) + wx[2]*float64(row[x4[2]]) + wx[3]*float64(row[x4[3]]))
	}
	return sum
}

// raster evaluates a field along the rows of a regular grid, many times faster
// than at and equal to it up to rounding.
type raster struct {
	f      *field
	scale  float64
	w      [][4]float64 // weights of each column
	ix     []int        // first lattice node of each column
	across []float64    // the lattice at the height of a row, three nodes repeated
}

// columns prepares scale times the field at x, x+step, x+2·step, … (n of them).
func (f *field) columns(scale, x, step float64, n int) *raster {
	g := &raster{f: f, scale: scale, w: make([][4]float64, n), ix: make([]int, n), across: make([]float64, f.nx+3)}
	for i := range n {
		at := (x + float64(i)*step) * f.x
		fx := math.Floor(at)
		g.w[i], g.ix[i] = spline(at-fx), int(fx)&(f.nx-1)
	}
	return g
}

// addRow adds the row at height y to dst.
func (g *raster) addRow(dst []float64, y float64) {
	f := g.f
	y *= f.y
	fy := math.Floor(y)
	across := g.across[:f.nx]
	clear(across)
	for k, w := range spline(y - fy) {
		w *= g.scale
		for i, v := range f.v[((int(fy)+k)&(f.ny-1))*f.nx:][:len(across)] {
			across[i] += w * float64(v)
		}
	}
	copy(g.across[f.nx:], across[:3])
	for i := range dst {
		w, a := &g.w[i], g.across[g.ix[i]:][:4]
		dst[i] += w[0]*a[0] + w[1]*a[1] + w[2]*a[2] + w[3]*a[3]
	}
}

// spline returns the weights of a uniform cubic B-spline at t in [0, 1).
func spline(t float64) [4]float64 {
	u := 1 - t
	return [4]float64{
		u * u * u / 6,
		(3*t*t*t - 6*t*t + 4) / 6,
		(3*u*u*u - 6*u*u + 4) / 6,
		t * t * t / 6,
	}
}

// mix replaces the field by wa of it and wb of another of the same lattice: with
// wa² + wb² = 1 and independent fields the variance stays what it is.
func (f *field) mix(wa float64, other *field, wb float64) {
	for i, v := range other.v {
		f.v[i] = float32(wa*float64(f.v[i]) + wb*float64(v))
	}
}

// octave is one component of a roughness: noise of a lattice spacing with an
// RMS height, both in metres. Crease is the share of it, −1 to 1, that is folded
// into sharp crests (positive) or clefts, as metal that was pressed or torn shows
// them; the RMS stays.
type octave struct{ spacing, rms, crease float64 }

// Of |v|, v being unit Gaussian noise: the mean √(2/π) and the root of the
// variance 1−2/π.
const foldMean, foldRMS = 0.797885, 0.602810

// fold mixes unit Gaussian noise with its folded form, which is not correlated
// with it.
func (o octave) fold(v float64) float64 {
	if o.crease == 0 {
		return v
	}
	folded, c := (foldMean-math.Abs(v))/foldRMS, o.crease
	if c < 0 {
		folded, c = -folded, -c
	}
	return ((1-c)*v + c*folded) / math.Sqrt(c*c+(1-c)*(1-c))
}

// roughness is a sum of octaves, ready for the rows of a grid.
type roughness struct {
	octaves []octave
	rows    []*raster
	folded  []float64 // one octave of a row
}

// newRoughness prepares n columns from x, step apart.
func newRoughness(r *rand.Rand, octaves []octave, x, step float64, n int) *roughness {
	var fields []*field
	for _, o := range octaves {
		fields = append(fields, newField(r, o.spacing, o.spacing))
	}
	return roughnessOf(fields, octaves, x, step, n)
}

func roughnessOf(fields []*field, octaves []octave, x, step float64, n int) *roughness {
	s := &roughness{octaves: octaves, folded: make([]float64, n)}
	for k, f := range fields {
		scale := 1.0
		if octaves[k].crease == 0 { // added as it is
			scale = octaves[k].rms
		}
		s.rows = append(s.rows, f.columns(scale, x, step, n))
	}
	return s
}

// row puts the heights in metres of the row at height y into dst.
func (s *roughness) row(dst []float64, y float64) {
	clear(dst)
	for k, g := range s.rows {
		o := s.octaves[k]
		if o.crease == 0 {
			g.addRow(dst, y)
			continue
		}
		clear(s.folded)
		g.addRow(s.folded, y)
		plain, crest := o.rms*(1-math.Abs(o.crease)), o.rms*o.crease
		norm := math.Sqrt(o.crease*o.crease + (1-math.Abs(o.crease))*(1-math.Abs(o.crease)))
		plain, crest = plain/norm, crest/norm/foldRMS
		for i, v := range s.folded[:len(dst)] {
			dst[i] += plain*v + crest*(foldMean-math.Abs(v))
		}
	}
}
