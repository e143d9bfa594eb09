package synth

import (
	"fmt"
	"math"
	"math/rand/v2"

	"proofmark/correlate/x3p"
)

// What a shot adds of its own. The imprint's residue is what plastic flow, the
// lacquer and the primer's alloy put on top of the face's marks; the primer's
// own surface shows where nothing touched it; the form is what levelling leaves.
var (
	residue = []octave{{20e-6, 0.2e-6}, {45e-6, 0.28e-6}, {80e-6, 0.28e-6}, {140e-6, 0.25e-6}}
	primer  = []octave{{20e-6, 0.2e-6}, {60e-6, 0.4e-6}, {150e-6, 0.4e-6}}
	form    = []octave{{220e-6, 0.32e-6}, {500e-6, 0.1e-6}}
)

// Fire returns the scan of one shot: a processed-like ring around the
// firing-pin aperture, 6.25 µm pitch, about 3.4 mm across, heights in metres
// with mean zero. Equal seeds and shots give equal bits on one platform.
func (f *Firearm) Fire(seed uint64, s Shot) *x3p.Scan {
	r := stream("shot", f.maker.seed, f.seed, seed)
	p := newImpression(f, r, s.typical(r))
	n := p.n
	scan := &x3p.Scan{
		SizeX: n, SizeY: n, IncX: pitch, IncY: pitch,
		Z: make([]float64, n*n),
		Meta: x3p.Meta{
			// The schema wants dates; a simulation has none worth telling.
			Date: "2000-01-01T00:00:00Z", CalibrationDate: "2000-01-01T00:00:00Z",
			Creator: "Proofmark", Manufacturer: "Proofmark", Model: "synth", Serial: "simulated", Version: "1",
			ProbingType: "Software", ProbingID: "simulated breech face",
			Comment: fmt.Sprintf("simulated, not measured: maker %d, firearm %d, shot %d", f.maker.seed, f.seed, seed),
		},
	}
	p.rows(scan.Z)
	measure(r, scan.Z, n, p.shot)
	return scan
}

// impression is the deformed primer of one shot; heights in µm, lengths in metres.
type impression struct {
	firearm  *Firearm
	shot     Shot
	radius   float64 // of the primer's flat
	n        int     // points along a side of the scan
	x0       float64 // of the first column and row, from the scan's centre
	sin, cos float64 // of the rotation
	stretchX float64 // lateral scale of the instrument
	stretchY float64
	warp     [2]*raster // lateral flow
	pressure *field
	touch    float64 // pressure above which the face left its mark
	residue  roughness
	primer   roughness
	form     roughness
	edge     *field // of the aperture's edge, around the circle
	lip      *field // flow-back, around the circle
	lipRMS   float64
	drag     *field // striae of the case sliding at unlocking
	dragRMS  float64
	dragSin  float64
	dragCos  float64
}

func newImpression(f *Firearm, r *rand.Rand, s Shot) *impression {
	const flow = 3e-6 // RMS, metres
	radius := between(r, 1.60e-3, 1.80e-3)
	n := 2 * int(math.Round(radius/pitch))
	x0 := -float64(n-1) / 2 * pitch
	p := &impression{
		firearm: f, shot: s, radius: radius, n: n, x0: x0,
		stretchX: 1 + 0.002*r.NormFloat64(), stretchY: 1 + 0.002*r.NormFloat64(),
		warp:     [2]*raster{newField(r, 0.8e-3, 0.8e-3).columns(flow, x0, n), newField(r, 0.8e-3, 0.8e-3).columns(flow, x0, n)},
		pressure: newField(r, 0.7e-3, 0.7e-3),
		residue:  newRoughness(r, residue, x0, n),
		primer:   newRoughness(r, primer, x0, n),
		form:     newRoughness(r, form, x0, n),
		edge:     newField(r, 0.12e-3, 0.12e-3),
		lip:      newField(r, 0.2e-3, 0.2e-3),
		lipRMS:   between(r, 1, 5),
		drag:     newField(r, 15e-6, 0.4e-3),
		dragRMS:  between(r, 0.2, 0.9),
	}
	p.sin, p.cos = math.Sincos(s.Rotation * math.Pi / 180)
	p.dragSin, p.dragCos = math.Sincos(f.maker.drag + 0.1*r.NormFloat64())
	p.touch = p.touchPressure()
	return p
}

// toSlide turns a point of the scan into the slide's frame, lateral flow apart.
func (p *impression) toSlide(x, y float64) (u, v float64) {
	x, y = x-p.shot.ShiftX, y-p.shot.ShiftY
	return (x*p.cos + y*p.sin) * p.stretchX, (y*p.cos - x*p.sin) * p.stretchY
}
