package synth

import (
	"math"
	"math/rand/v2"
)

// Land engraved areas, the other half of this package, imitate 20 real scans
// (Hamby set 44: ten consecutively rifled 9 mm barrels of six lands; confocal,
// 1.5625 µm, unprocessed). The figures of both, and what is less real, stand in
// docs/accuracy-bullets.md; package bullet's tests hold this package to them.

// Rifling says how a barrel is made. A zero field is as usual.
type Rifling struct {
	Lands    int     // 1 to 8; 6
	Width    float64 // of a land, metres; 2.0 mm
	Strength float64 // of the striae, a factor on their height; drawn from 0.6 to 1.4
	// Tool and Carry make barrels of one tool alike (subclass marks): Carry, 0 to
	// 1, is the share of the striae's power that all barrels of a Tool have in
	// common, land by land. Striae of real barrels of this set carry none over.
	Tool  uint64
	Carry float64
}

// Barrel is what all bullets fired through one barrel have in common: the
// striae of its lands. It is immutable.
type Barrel struct {
	seed  uint64
	lands []barrelLand
}

type barrelLand struct {
	width  float64 // metres
	height float64 // of the striae against a usual land's
	striae []comb  // the tool's, the barrel's own
}

// at returns metres of height at x metres from the land's middle.
func (l *barrelLand) at(x float64) float64 {
	sum := 0.0
	for _, c := range l.striae {
		sum += c.at(x)
	}
	return sum
}

// striaeSpectrum is the height of a usual land's striae by octave: spacing of
// the lattice and RMS in metres. Most power of an octave lies at wavelengths of
// two and a half to six spacings.
var striaeSpectrum = []octave{{3e-6, 0.14e-6, 0}, {6e-6, 0.20e-6, 0}, {12e-6, 0.34e-6, 0}, {24e-6, 0.37e-6, 0}, {48e-6, 0.48e-6, 0}, {96e-6, 0.55e-6, 0}}

// NewBarrel draws a barrel from a seed.
func NewBarrel(seed uint64, r Rifling) *Barrel {
	if r.Lands == 0 {
		r.Lands = 6
	}
	if r.Width == 0 {
		r.Width = 2.0e-3
	}
	draw := stream("barrel", seed)
	if strength := between(draw, 0.6, 1.4); r.Strength == 0 {
		r.Strength = strength
	}
	b := &Barrel{seed: seed}
	for i := range r.Lands {
		own := stream("land", seed, uint64(i))
		// Striae of one barrel differ in strength from land to land.
		height := r.Strength * math.Exp(0.35*own.NormFloat64())
		l := barrelLand{height: height, width: r.Width + 15e-6*own.NormFloat64()}
		l.striae = append(l.striae, newComb(own, height*math.Sqrt(1-r.Carry)))
		if r.Carry > 0 {
			l.striae = append(l.striae, newComb(stream("tool", r.Tool, uint64(i)), r.Strength*math.Sqrt(r.Carry)))
		}
		b.lands = append(b.lands, l)
	}
	return b
}

// Lands is the number of the barrel's lands.
func (b *Barrel) Lands() int { return len(b.lands) }

// comb is a height that varies in one direction alone, in metres at steps of
// combStep from −combHalf to combHalf: octaves of noise of uneven strength, and
// single scratches.
type comb []float64

const (
	combStep    = 0.5e-6
	combHalf    = 1.1e-3
	combScratch = 9    // on a land, in the mean
	landUneven  = 0.55 // of the logarithm of the strength, at each of two scales
)

// newComb is a usual land's striae, times height.
func newComb(r *rand.Rand, height float64) comb {
	var waves []wave
	for _, o := range striaeSpectrum {
		waves = append(waves, newWave(r, octave{spacing: o.spacing, rms: o.rms * height}))
	}
	// A land is smooth here and torn there; without this the heights have no tails.
	fine, broad := newWave(r, octave{spacing: 50e-6, rms: landUneven}), newWave(r, octave{spacing: 120e-6, rms: landUneven})
	c := make(comb, int(2*combHalf/combStep)+1)
	for i := range c {
		x := float64(i)*combStep - combHalf
		for k := range waves {
			c[i] += waves[k].at(x)
		}
		// Divided by the root of its mean square, so that heights stay what they are.
		c[i] *= math.Exp(fine.at(x) + broad.at(x) - 2*landUneven*landUneven)
	}
	for range combScratch/2 + r.IntN(combScratch+1) {
		depth := between(r, 0.5e-6, 4e-6) * height
		if r.IntN(3) == 0 {
			depth = -depth // a ridge
		}
		at, width := between(r, -1e-3, 1e-3), between(r, 4e-6, 14e-6)
		first := int((at - 4*width + combHalf) / combStep)
		for i := max(first, 0); i < min(first+int(8*width/combStep), len(c)); i++ {
			t := (float64(i)*combStep - combHalf - at) / width
			c[i] -= depth * math.Exp(-t*t/2)
		}
	}
	return c
}

// at returns metres of height at x metres from the land's middle.
func (c comb) at(x float64) float64 {
	u := min(max((x+combHalf)/combStep, 0), float64(len(c)-2))
	i := int(u)
	t := u - float64(i)
	return (1-t)*c[i] + t*c[i+1]
}

// wave is smooth noise along a line of waveExtent about the origin.
type wave struct {
	nodes   []float64
	perNode float64 // nodes per metre
}

const waveExtent = 4e-3

// waveScale gives unit variance: with w the cubic B-spline's weights and the
// mean of five nodes taken off, the variance per unit is ⟨Σw²⟩ − 2⟨Σwm⟩ + ⟨Σm²⟩.
const waveScale = 1.9735

// newWave is smooth noise along a line of waveExtent about the origin.
func newWave(r *rand.Rand, o octave) wave {
	n := int(waveExtent/o.spacing) + 8
	white := make([]float64, n)
	for i := range white {
		white[i] = r.NormFloat64()
	}
	w := wave{make([]float64, n), 1 / o.spacing}
	for i := range white {
		mean := 0.0
		for d := -2; d <= 2; d++ {
			mean += white[(i+d+n)%n] / 5
		}
		w.nodes[i] = waveScale * o.rms * (white[i] - mean)
	}
	return w
}

func (w *wave) at(x float64) float64 {
	u := (x + waveExtent/2) * w.perNode
	f := math.Floor(u)
	i := int(f)
	if i < 0 || i+3 >= len(w.nodes) {
		return 0
	}
	s := spline(u - f)
	return s[0]*w.nodes[i] + s[1]*w.nodes[i+1] + s[2]*w.nodes[i+2] + s[3]*w.nodes[i+3]
}

// sheet is smooth noise over the plane: combs' waves at steps along, blended.
type sheet struct {
	rows  []wave
	step  float64 // metres
	blend wave
}

func newSheet(r *rand.Rand, o octave, step, length float64) *sheet {
	s := &sheet{step: step}
	for range int(length/step) + 3 {
		s.rows = append(s.rows, newWave(r, o))
	}
	s.blend = wave{make([]float64, len(s.rows[0].nodes)), s.rows[0].perNode}
	return s
}

// along returns the noise across at y metres, until the next call.
func (s *sheet) along(y float64) *wave {
	f := math.Floor(y / s.step)
	i := min(max(int(f), 0), len(s.rows)-2)
	t := y/s.step - f
	// Independent rows: the root keeps the variance while one gives way to the next.
	norm := 1 / math.Sqrt(t*t+(1-t)*(1-t))
	for k := range s.blend.nodes {
		s.blend.nodes[k] = norm * ((1-t)*s.rows[i].nodes[k] + t*s.rows[i+1].nodes[k])
	}
	return &s.blend
}
