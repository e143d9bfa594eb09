package synth

import (
	"math"
	"math/rand/v2"
)

// caseHead is the brass around the primer: turned, stamped, with a gap between.
type caseHead struct {
	gap    float64 // from the primer's flat to the head, metres
	level  float64 // of the head against the primer's flat, µm
	rings  wave    // about the middle of 1 to 5 mm from the centre
	bars   []bar
	tiltU  float64
	tiltV  float64
	radius float64 // of the ring of letters, metres
}

// bar is one stroke of a letter of the headstamp, by its ends; metres.
type bar struct{ x1, y1, x2, y2 float64 }

func newCaseHead(r *rand.Rand) *caseHead {
	h := &caseHead{
		gap: between(r, 0.44e-3, 0.58e-3), level: between(r, -90, -20),
		rings:  newWave(r, octave{spacing: 12e-6, rms: 0.8e-6}),
		radius: 3.3e-3, tiltU: 0.004 * r.NormFloat64(), tiltV: 0.004 * r.NormFloat64(),
	}
	letters := 5 + r.IntN(6)
	start := 2 * math.Pi * r.Float64()
	for k := range letters {
		h.bars = append(h.bars, letter(r, h.radius, start+0.26*float64(k), 0.3e-3)...)
	}
	return h
}

// height in µm at (x, y) metres from the primer's centre, out metres beyond the
// primer's flat.
func (h *caseHead) height(x, y, out float64) float64 {
	// The cup's shoulder falls away at 45° and more; Boxer primers for small
	// pistols are 4.45 mm across, the flat of them about 3.55 mm.
	const shoulder, floor, bevel = 0.4e-3, -900, 0.04e-3
	if out < h.gap {
		fall := min(out, shoulder)
		return max(-50-1e6*(1.1*fall+fall*fall/(2*0.3e-3)), floor)
	}
	r := math.Hypot(x, y)
	z := h.level + 1e6*(h.rings.at(r-3e-3)+h.tiltU*x+h.tiltV*y)
	z += (floor - h.level) * smoothStep(1-(out-h.gap)/bevel)
	if math.Abs(r-h.radius) < 0.5e-3 {
		const deep, wide = 70, 0.055e-3
		near := math.Inf(1)
		for _, b := range h.bars {
			near = min(near, b.distance(x, y))
		}
		z -= deep * smoothStep((wide-near)/0.025e-3+0.5)
	}
	return z
}

func (b bar) distance(x, y float64) float64 {
	dx, dy := b.x2-b.x1, b.y2-b.y1
	t := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		t = min(max(((x-b.x1)*dx+(y-b.y1)*dy)/l, 0), 1)
	}
	return math.Hypot(x-b.x1-t*dx, y-b.y1-t*dy)
}
