package synth

import (
	"math"
	"math/rand/v2"
)

// pin is the tip of one firing pin: its form and its own marks. Lengths in metres.
type pin struct {
	class Class
	offU  float64 // of its axis from the aperture's centre
	offV  float64
	z     []float32 // pinSide × pinSide heights in µm
}

const (
	pinSide  = 352 // points of pitch: 2.2 mm
	pinRings = 55e-6
)

// pinSpectrum is the roughness of a turned tip that was not polished.
var pinSpectrum = []octave{{12.5e-6, 0.25e-6, 0.3}, {25e-6, 0.45e-6, 0.4}, {45e-6, 0.60e-6, 0.4}, {80e-6, 0.60e-6, 0.2}}

func newPin(r *rand.Rand, c Class) *pin {
	p := &pin{class: c, offU: 0.05e-3 * r.NormFloat64(), offV: 0.05e-3 * r.NormFloat64(), z: make([]float32, pinSide*pinSide)}
	const first = -pinSide / 2 * pitch
	grain := newRoughness(r, pinSpectrum, first, pitch, pinSide)
	// Rings of the lathe: their depth is the pin's own.
	rings := newWave(r, octave{spacing: pinRings / 4, rms: between(r, 0.2e-6, 0.7e-6)})
	type scratch struct{ x, y, sin, cos, width, depth float64 }
	var scratches []scratch
	for range 3 + r.IntN(6) {
		s := scratch{x: between(r, -0.4e-3, 0.4e-3), y: between(r, -0.4e-3, 0.4e-3), width: between(r, 8e-6, 30e-6), depth: between(r, -3e-6, 4e-6)}
		s.sin, s.cos = math.Sincos(math.Pi * r.Float64())
		scratches = append(scratches, s)
	}
	row := make([]float64, pinSide)
	for y := range pinSide {
		v := first + float64(y)*pitch
		grain.row(row, v)
		for x := range pinSide {
			u := first + float64(x)*pitch
			h := row[x] + rings.at(math.Hypot(u, v)-1e-3)
			for _, s := range scratches {
				across, along := (v-s.y)*s.cos-(u-s.x)*s.sin, (u-s.x)*s.cos+(v-s.y)*s.sin
				if across *= across; across < 9*s.width*s.width {
					h += s.depth * math.Exp(-across/(2*s.width*s.width)-along*along/(2*0.3e-3*0.3e-3))
				}
			}
			p.z[y*pinSide+x] = float32(1e6 * h)
		}
	}
	return p
}

// form is the height of the tip's surface above its lowest point at (u, v) from
// the axis, before any marks.
func (p *pin) form(u, v float64) float64 {
	const steep = 4 // of a flank that no instrument measures
	half := p.class.PinWidth / 2
	r := math.Hypot(u, v)
	switch p.class.Pin {
	case Conical:
		const slope, round = 0.55, 0.06e-3
		return math.Hypot(slope*r, round) - round + steep*max(r-half, 0)
	case Box:
		du, dv := max(math.Abs(u)-half, 0), max(math.Abs(v)-1.5*half, 0)
		return r*r/(2*4e-3) + steep*math.Hypot(du, dv)
	case Chisel:
		const slope, round = 0.8, 0.05e-3
		return math.Hypot(slope*u, round) - round + steep*max(math.Abs(v)-half, 0)
	}
	if limit := 0.97 * half; r > limit {
		return half - math.Sqrt(half*half-limit*limit) + steep*(r-limit)
	}
	return half - math.Sqrt(half*half-r*r)
}

// rise is the slope at which the pin leaves the primer while the barrel drops.
const rise = 0.7

// heel is how far from its axis the tip first has the slope of rise: there the
// drag begins. Metres.
func (p *pin) heel() float64 {
	half := p.class.PinWidth / 2
	switch p.class.Pin {
	case Hemispherical:
		return half * rise / math.Sqrt(1+rise*rise)
	case Box:
		return 1.5 * half
	}
	return half
}

// marks is the height of the pin's own marks in µm.
func (p *pin) marks(u, v float64) float64 {
	return interpolate(p.z, pinSide, u/pitch+pinSide/2, v/pitch+pinSide/2)
}
