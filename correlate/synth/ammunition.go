package synth

import (
	"math"
	"math/rand/v2"
)

// Ammunition is what a brand's primers do to marks, and what marks they bring
// along. A zero field is as the plain brass primer that the Fadul set was fitted
// with has it; a negative one means none.
type Ammunition struct {
	// Brand is the seed of what all cartridges of a brand share: the letters.
	Brand uint64
	// Hardness of the cup against the plain primer's; 0: 1. A harder one takes
	// shallower marks (as 1/√Hardness) and loses the finest ones.
	Hardness float64
	// Coat is the thickness of lacquer or sealant in metres; none. It fills marks
	// where it lies and has a surface of its own.
	Coat float64
	// Texture is the RMS in metres of the lines that rolling left on the sheet;
	// none. They are the cartridge's, and half of them survive the breech face.
	Texture float64
	// Letters is how many letters are stamped on the primer; none.
	Letters int
	// Spread is the standard deviation of the logarithm of the hardness within a
	// batch; 0.05.
	Spread float64
}

// NewAmmunition draws a brand from a seed.
func NewAmmunition(seed uint64) Ammunition {
	r := stream("ammunition", seed)
	a := Ammunition{Brand: seed, Hardness: math.Exp(0.35 * r.NormFloat64()), Spread: between(r, 0.03, 0.12)}
	if coated, thick := r.IntN(3) == 0, between(r, 0.5e-6, 3e-6); coated {
		a.Coat = thick
	}
	if rolled, rms := r.IntN(2) == 0, between(r, 0.15e-6, 0.6e-6); rolled {
		a.Texture = rms
	}
	if stamped, letters := r.IntN(4) == 0, 1+r.IntN(3); stamped {
		a.Letters = letters
	}
	return a
}

func (a Ammunition) usual() Ammunition {
	if a.Hardness == 0 {
		a.Hardness = 1
	}
	if a.Spread == 0 {
		a.Spread = 0.05
	}
	a.Coat, a.Texture, a.Spread = max(a.Coat, 0), max(a.Texture, 0), max(a.Spread, 0)
	return a
}

// cartridge is one primer of a brand; metres.
type cartridge struct {
	gain     float64 // on the height of the face's marks
	finest   float64 // σ of what the cup's metal does not follow
	coat     float64
	film     *field // where the coat lies, and its own surface
	texture  float64
	lines    *field
	sin, cos float64 // how the cartridge lay in the chamber
	bars     []bar
}

func newCartridge(r *rand.Rand, a Ammunition) cartridge {
	hardness := max(a.Hardness, 0.1) * math.Exp(a.Spread*r.NormFloat64())
	c := cartridge{gain: 1 / math.Sqrt(hardness), finest: 10e-6 * max(hardness-1.1, 0), coat: a.Coat, texture: a.Texture}
	own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64())) // so that no kind of primer changes the rest of the shot
	if a.Coat > 0 {
		c.film = newField(own, 90e-6, 90e-6)
	}
	if a.Texture > 0 {
		c.lines = newField(own, 14e-6, 0.5e-3)
	}
	c.sin, c.cos = math.Sincos(2 * math.Pi * r.Float64())
	letters := stream("letters", a.Brand)
	for k := range a.Letters {
		// Beside each other on the ring that the firing pin leaves alone.
		c.bars = append(c.bars, letter(letters, 1.5e-3, 0.28*float64(k), 0.15e-3)...)
	}
	return c
}

// cover lays on z (µm) what the cartridge itself brings at (x, y) metres from the
// primer's centre, where the face touched with this contact, 0 to 1.
func (c *cartridge) cover(z, x, y, contact float64) float64 {
	if c.texture == 0 && c.coat == 0 && c.bars == nil {
		return z
	}
	x, y = x*c.cos+y*c.sin, y*c.cos-x*c.sin
	if c.texture > 0 {
		z += 1e6 * c.texture * (1 - 0.5*contact) * c.lines.at(x, y)
	}
	if c.bars != nil {
		const deep, wide = 6, 0.03e-3 // what pressing leaves of a stamp
		near := math.Inf(1)
		for _, b := range c.bars {
			near = min(near, b.distance(x, y))
		}
		z -= deep * smoothStep((wide-near)/0.02e-3+0.5)
	}
	if c.coat > 0 {
		film := c.film.at(x, y)
		lies := smoothStep(film + 0.5)
		filled := c.coat / (c.coat + 1.5e-6)
		z += lies * (0.5e6*c.coat*film - filled*z)
	}
	return z
}

// letter draws two to four strokes on a grid of 2 by 2 cells around a point at
// this radius and angle.
func letter(r *rand.Rand, radius, angle, cell float64) (bars []bar) {
	sin, cos := math.Sincos(angle)
	corner := func() (x, y float64) {
		a, o := cell*float64(r.IntN(3)-1), radius+cell*float64(r.IntN(3)-1)
		return o*cos - a*sin, o*sin + a*cos
	}
	for range 2 + r.IntN(3) {
		x1, y1 := corner()
		x2, y2 := corner()
		bars = append(bars, bar{x1, y1, x2, y2})
	}
	return bars
}

// softened returns a square raster of n rows after a Gaussian of sigma points; the
// raster itself where that changes nothing.
func softened(z []float32, n int, sigma float64) []float32 {
	if sigma < 0.2 {
		return z
	}
	k := gaussian(sigma)
	rows, out := make([]float32, len(z)), make([]float32, len(z))
	reach := len(k) / 2
	for y := range n {
		src, dst := z[y*n:][:n], rows[y*n:][:n]
		for j, w := range k {
			d := j - reach
			for x := max(0, -d); x < min(n, n-d); x++ {
				dst[x] += w * src[x+d]
			}
		}
	}
	for y := range n {
		dst := out[y*n:][:n]
		for j, w := range k {
			if s := y + j - reach; s >= 0 && s < n {
				for x, v := range rows[s*n:][:n] {
					dst[x] += w * v
				}
			}
		}
	}
	return out
}

// gaussian returns a kernel of sum 1.
func gaussian(sigma float64) []float32 {
	reach := int(3*sigma) + 1
	k := make([]float32, 2*reach+1)
	sum := 0.0
	for i := range k {
		d := float64(i - reach)
		v := math.Exp(-d * d / (2 * sigma * sigma))
		k[i], sum = float32(v), sum+v
	}
	for i := range k {
		k[i] = float32(float64(k[i]) / sum)
	}
	return k
}
