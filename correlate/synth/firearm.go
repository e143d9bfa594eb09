package synth

import (
	"math"
	"sync"
)

const (
	pitch  = 6.25e-6 // of the slide's raster and of processed scans, metres
	extent = 4.8e-3  // of the slide's raster, metres
	side   = 768     // extent / pitch

	shearHeight = 1.6 // of an aperture edge's striae against a land's
)

// Firearm is what a firearm presses into a primer: its breech face, its firing
// pin's tip and the edge of its aperture. It is immutable and safe for concurrent
// use; it holds 2.4 to 3 MB.
type Firearm struct {
	maker  *Maker
	seed   uint64
	base   *Firearm // as it was new, if rounds were fired since
	rounds int
	z      []float32 // side × side heights in µm, aperture's centre in the middle
	// What shots of whole primers alone need is made at the first of them.
	pin   func() *pin
	shear func() comb // of the aperture's edge, across the barrel's drop, metres; nil without shear
}

// Firearm draws a firearm of this maker from a seed.
func (m *Maker) Firearm(seed uint64) *Firearm {
	return m.assemble(seed, newToolMarks(stream("firearm", m.seed, seed), m))
}

func (m *Maker) assemble(seed uint64, marks *toolMarks) *Firearm {
	f := &Firearm{maker: m, seed: seed, z: make([]float32, side*side)}
	marks.fill(f.z)
	f.pin = sync.OnceValue(func() *pin { return newPin(stream("firing pin", m.seed, seed), m.class) })
	if m.class.Shear > 0 {
		f.shear = sync.OnceValue(func() comb { return newComb(stream("aperture edge", m.seed, seed), shearHeight) })
	}
	return f
}

// at returns the height in µm at a point of the slide's frame (metres) by
// Catmull-Rom interpolation; beyond the raster it is zero.
func (f *Firearm) at(u, v float64) float64 {
	return interpolate(f.z, side, u/pitch+side/2, v/pitch+side/2)
}

// interpolate reads a square raster of n rows at (x, y) in points.
func interpolate(z []float32, n int, x, y float64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := int(fx)-1, int(fy)-1
	if ix < 0 || iy < 0 || ix+4 > n || iy+4 > n {
		return 0
	}
	wx, wy := catmullRom(x-fx), catmullRom(y-fy)
	sum := 0.0
	for k, w := range wy {
		row := z[(iy+k)*n+ix:][:4]
		sum += w * (wx[0]*float64(row[0]) + wx[1]*float64(row[1]) + wx[2]*float64(row[2]) + wx[3]*float64(row[3]))
	}
	return sum
}

func catmullRom(t float64) [4]float64 {
	return [4]float64{
		t * (-0.5 + t*(1-0.5*t)),
		1 + t*t*(1.5*t-2.5),
		t * (0.5 + t*(2-1.5*t)),
		t * t * (0.5*t - 0.5),
	}
}
