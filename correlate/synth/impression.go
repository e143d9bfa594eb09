package synth

import (
	"math"
	"math/rand/v2"
)

// What a shot adds of its own. The imprint's residue is what plastic flow, the
// lacquer and the primer's alloy put on top of the face's marks; the primer's
// own surface shows where nothing touched it; the form is what levelling leaves.
var (
	residue = []octave{{20e-6, 0.2e-6, 0.3}, {45e-6, 0.17e-6, 0.3}, {80e-6, 0.18e-6, 0.3}, {140e-6, 0.20e-6, 0}}
	primer  = []octave{{20e-6, 0.2e-6, 0}, {60e-6, 0.4e-6, 0}, {150e-6, 0.4e-6, 0}}
	form    = []octave{{220e-6, 0.32e-6, 0}, {500e-6, 0.1e-6, 0}}
)

// impression is the deformed primer of one shot; heights in µm, lengths in metres.
type impression struct {
	firearm   *Firearm
	shot      Shot
	n         int     // points along a side of the scan
	step      float64 // from point to point
	x0        float64 // of the first column and row, from the scan's centre
	sin, cos  float64 // of the rotation
	stretchX  float64 // lateral scale of the instrument
	stretchY  float64
	radius    float64 // of what is shown of the primer
	flat      float64 // radius of the primer's flat
	seatX     float64 // the primer's centre from the scan's
	seatY     float64
	cropU     float64 // centre of the laboratory's crop of the aperture, in the slide's frame
	cropV     float64
	crop      float64    // its radius
	warp      [2]*raster // lateral flow
	pressure  *field
	lean      [2]float64 // pressure per metre that the tilted case head adds
	touch     float64    // pressure above which the face left its mark
	residue   *roughness
	primer    *roughness
	form      *roughness
	edge      *field // of the aperture's edge, around the circle
	lip       *field // flow-back, around the circle
	lipRMS    float64
	drag      *field // striae of the case sliding at unlocking
	dragSin   float64
	dragCos   float64
	bowl      bowl
	cartridge cartridge
	faces     []float32 // the firearm's raster as this primer takes it
	head      *caseHead
}

func newImpression(f *Firearm, r *rand.Rand, s Shot) *impression {
	const flow = 3e-6 // RMS, metres
	p := &impression{firearm: f, shot: s, step: s.Instrument.Pitch}
	p.radius = between(r, 1.63e-3, 1.80e-3)
	p.n = 2 * int(math.Round(p.radius/p.step))
	// Most laboratories crop within the flat; some show where it begins to round off.
	p.flat = p.radius + between(r, 0.03e-3, 0.11e-3)
	p.seatX, p.seatY = 25e-6*r.NormFloat64(), 25e-6*r.NormFloat64()
	if s.Whole {
		p.radius = between(r, 1.74e-3, 1.80e-3)
		p.n = int(math.Round(s.Instrument.Field / p.step))
		p.flat = p.radius
		p.head = newCaseHead(r)
	}
	p.x0 = -float64(p.n-1) / 2 * p.step
	columns := func(f *field, scale float64) *raster { return f.columns(scale, p.x0, p.step, p.n) }
	p.stretchX, p.stretchY = 1+s.Instrument.Scale*r.NormFloat64(), 1+s.Instrument.Scale*r.NormFloat64()
	p.warp = [2]*raster{columns(newField(r, 0.8e-3, 0.8e-3), flow), columns(newField(r, 0.8e-3, 0.8e-3), flow)}
	p.pressure = newField(r, s.Patch, s.Patch)
	p.residue = newRoughness(r, residue, p.x0, p.step, p.n)
	p.primer = newRoughness(r, primer, p.x0, p.step, p.n)
	p.form = newRoughness(r, form, p.x0, p.step, p.n)
	p.edge = newField(r, 0.12e-3, 0.12e-3)
	p.lip = newField(r, 0.2e-3, 0.2e-3)
	p.lipRMS = between(r, 1, 5)
	p.drag = newField(r, 15e-6, 0.4e-3)
	p.sin, p.cos = math.Sincos(s.Rotation * math.Pi / 180)
	p.dragSin, p.dragCos = math.Sincos(f.maker.drag + 0.1*r.NormFloat64())
	p.cropU, p.cropV = 15e-6*r.NormFloat64(), 15e-6*r.NormFloat64()
	p.crop = max(f.maker.edge, f.maker.halfV) + 0.10e-3
	if s.Whole {
		p.bowl = newBowl(f, r, s)
	}
	p.cartridge = newCartridge(r, s.Ammunition)
	p.faces = softened(f.z, side, p.cartridge.finest/pitch)
	// A gap of 3 µm is a standard deviation of pressure: the marks are that high.
	sin, cos := math.Sincos(2 * math.Pi * r.Float64())
	gap := math.Tan(s.CaseTilt*math.Pi/180) / 3e-6
	p.lean = [2]float64{gap * cos, gap * sin}
	p.touch = p.touchPressure()
	return p
}

// toSlide turns a point of the scan into the slide's frame, lateral flow apart.
func (p *impression) toSlide(x, y float64) (u, v float64) {
	x, y = x-p.shot.ShiftX, y-p.shot.ShiftY
	return (x*p.cos + y*p.sin) * p.stretchX, (y*p.cos - x*p.sin) * p.stretchY
}

// bowl is what stands in the aperture: the primer flowed back into it and the
// firing pin's impression.
type bowl struct {
	pin        *pin
	shear      comb
	pinU, pinV float64 // the pin's axis in the slide's frame
	depth      float64 // of the impression below the face
	tail       float64 // length of the pin's drag
	flow       float64 // height of the flow-back above the face
	leanU      float64 // of the flow-back, per metre
	leanV      float64
	slip       float64 // of the shear's striae from shot to shot
	skew       float64
	facet      float64 // slope of the shear's facet
}

func newBowl(f *Firearm, r *rand.Rand, s Shot) bowl {
	tip := f.pin()
	b := bowl{
		pin:  tip,
		pinU: tip.offU + 15e-6*r.NormFloat64(), pinV: tip.offV + 15e-6*r.NormFloat64(),
		depth: tip.class.PinDepth * (1 + 0.06*r.NormFloat64()),
		tail:  between(r, 0, 0.04e-3),
		flow:  s.FlowBack,
		leanU: 0.012 * r.NormFloat64(), leanV: 0.012 * r.NormFloat64(),
		slip: 10e-6 * r.NormFloat64(), skew: 0.01 * r.NormFloat64(),
		facet: between(r, 0.08, 0.14),
	}
	if shear := tip.class.Shear; shear > 0 {
		b.shear = f.shear()
		b.flow = max(b.flow, b.facet*shear+between(r, 20e-6, 40e-6)) // what did not stand so high was not sheared all the way
		b.tail = shear * between(r, 0.1, 0.3)
	}
	return b
}

// smoothStep rises from 0 at 0 to 1 at 1.
func smoothStep(t float64) float64 {
	t = min(max(t, 0), 1)
	return t * t * (3 - 2*t)
}

// smoothMin is the lesser of a and b, rounded where they are within k.
func smoothMin(a, b, k float64) float64 {
	h := min(max(0.5+0.5*(b-a)/k, 0), 1)
	return b + (a-b)*h - k*h*(1-h)
}
