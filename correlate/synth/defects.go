package synth

import (
	"math"
	"math/rand/v2"
)

// blur convolves n × n heights with a Gaussian of sigma points, over what is there.
func blur(z []float64, n int, sigma float64) {
	v, m := make([]float32, len(z)), make([]float32, len(z))
	for i, h := range z {
		if !math.IsNaN(h) {
			v[i], m[i] = float32(h), 1
		}
	}
	v, m = softened(v, n, sigma), softened(m, n, sigma)
	for i, h := range z {
		if !math.IsNaN(h) {
			z[i] = float64(v[i] / m[i])
		}
	}
}

// overshoot raises the upper side of a steep edge and lowers the lower one, the
// batwings of confocal and interference microscopes.
func (o Instrument) overshoot(z []float64, n int) {
	edge := 0.5 * o.Pitch * 1e6 // µm per point
	most := o.Batwing * 1e6
	above := append([]float64(nil), z[:n]...) // the row above as it was
	for y := 1; y < n-1; y++ {
		row := append([]float64(nil), z[y*n:][:n]...)
		below := z[(y+1)*n:][:n]
		for x := 1; x < n-1; x++ {
			around := (above[x] + below[x] + row[x-1] + row[x+1]) / 4
			if d := row[x] - around; !math.IsNaN(d) {
				z[y*n+x] += most * math.Tanh(d/most) * smoothStep(math.Abs(d)/edge-0.5)
			}
		}
		above = row
	}
}

// reference returns what the instrument adds to the height at (x, y) in points,
// in µm: tilt, offsets of rows, long waves, steps between stitched fields.
func (o Instrument) reference(r *rand.Rand, n int, whole bool) func(x, y int) float64 {
	sin, cos := math.Sincos(2 * math.Pi * r.Float64())
	tilt := 0.0 // µm per point; a cropped scan was levelled
	if whole {
		tilt = math.Tan(o.Tilt*math.Pi/180) * o.Pitch * 1e6
	}
	lines := make([]float64, n)
	for i := range lines {
		lines[i] = 1e6 * o.Lines * r.NormFloat64()
	}
	long := newField(r, 0.6e-3, 0.6e-3)
	tile := n
	if o.Tile > 0 {
		tile = max(int(o.Tile/o.Pitch), 8)
	}
	across := (n + tile - 1) / tile
	steps := make([]float64, across*across)
	for i := 1; i < len(steps); i++ {
		steps[i] = 1e6 * o.Seam * r.NormFloat64()
	}
	return func(x, y int) float64 {
		h := tilt*(cos*float64(x)+sin*float64(y)) + lines[y] + steps[y/tile*across+x/tile]
		if o.LongWave > 0 {
			h += 1e6 * o.LongWave * long.at(float64(x)*o.Pitch, float64(y)*o.Pitch)
		}
		return h
	}
}

// quantise rounds heights (metres) to an increment, from the middle of what 16-bit
// integers hold; what they do not hold is lost.
func quantise(z []float64, increment float64) {
	for i, h := range z {
		k := math.Round(h / increment)
		if math.Abs(k) > math.MaxInt16 {
			k = math.NaN()
		}
		z[i] = k * increment
	}
}

// oriented turns and mirrors n × n heights as the instrument stores them.
func (o Instrument) oriented(z []float64, n int) []float64 {
	turns := (o.Quarters%4 + 4) % 4
	if turns == 0 && !o.Mirrored {
		return z
	}
	out := make([]float64, len(z))
	for y := range n {
		for x := range n {
			i, j := x, y
			for range turns { // a quarter turn carries (x, y) to (−y, x)
				i, j = n-1-j, i
			}
			if o.Mirrored {
				i = n - 1 - i
			}
			out[j*n+i] = z[y*n+x]
		}
	}
	return out
}
