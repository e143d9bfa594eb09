package synth

import (
	"fmt"
	"math"
	"math/rand/v2"

	"proofmark/correlate/x3p"
)

// Shot says how one cartridge was fired and scanned. A zero field is drawn from
// the shot's seed as it is typical; a negative Noise, Dropout, Wear, CaseTilt,
// FlowBack or Drag means none.
//
// A mark at u in the slide's frame (origin at the aperture's centre) is found in
// the scan at R(Rotation)·u + (ShiftX, ShiftY) from the centre of the scan, x
// along rows and y along columns, apart from a warp of a few micrometres and
// before the instrument mirrors or turns the scan.
type Shot struct {
	Rotation       float64 // degrees from x towards y; 360 for none
	ShiftX, ShiftY float64 // aperture's centre from the scan's centre, metres; drawn if both are zero
	Contact        float64 // share of the face that touched, 0 to 1
	Noise          float64 // of the instrument, metres RMS; 0: as Instrument says
	Dropout        float64 // share of points lost apart from steep slopes, 0 to 1
	Wear           float64 // share of height that the slide's peaks have lost, 0 to 1

	// Whole shows the primer as the instrument sees it: tilted, with its edge, the
	// corners of the case head, flow-back into the aperture, the firing-pin
	// impression and, where the class has one, the aperture shear. Otherwise the
	// scan is the ring of the breech face alone, cropped and levelled.
	Whole bool

	Pressure float64 // against the usual; drawn from 0.85 to 1.15
	CaseTilt float64 // of the case head against the breech face, degrees; the contact becomes a crescent
	Patch    float64 // size of patches of contact, metres; 0.7 mm
	FlowBack float64 // of the primer into the aperture, metres; drawn
	Drag     float64 // RMS of the striae of the case sliding at unlocking, metres; drawn

	Ammunition Ammunition
	Instrument Instrument
}

// typical fills what the caller left to chance. Every field is drawn whether it
// is used or not, so that setting one does not change the others.
func (s Shot) typical(r *rand.Rand, c Class) Shot {
	rotation, far, towards := between(r, -35, 35), 0.34e-3*math.Sqrt(r.Float64()), 2*math.Pi*r.Float64()
	contact, dropout, wear := between(r, 0.9, 1), between(r, 0.001, 0.004), between(r, 0, 0.15)
	pressure, tilt, flow, drag := between(r, 0.85, 1.15), 0.02*math.Abs(r.NormFloat64()), between(r, 20e-6, 50e-6), between(r, 0.2e-6, 0.9e-6)
	if s.Pressure > 0 { // harder pressed touches more
		contact = min(contact*math.Sqrt(s.Pressure), 1)
	}
	if c.Shear > 0 {
		flow *= 2 // only what stands in the aperture can be sheared
	}
	s.Instrument = s.Instrument.usual(r, s.Whole)
	s.Ammunition = s.Ammunition.usual()
	if s.Rotation == 0 {
		s.Rotation = rotation
	}
	if s.ShiftX == 0 && s.ShiftY == 0 {
		s.ShiftX, s.ShiftY = far*math.Cos(towards), far*math.Sin(towards)
	}
	for _, f := range []struct {
		given *float64
		drawn float64
	}{
		{&s.Contact, contact}, {&s.Noise, s.Instrument.Noise}, {&s.Dropout, dropout}, {&s.Wear, wear},
		{&s.Pressure, pressure}, {&s.CaseTilt, tilt}, {&s.Patch, 0.7e-3}, {&s.FlowBack, flow}, {&s.Drag, drag},
	} {
		if *f.given == 0 {
			*f.given = f.drawn
		}
		*f.given = max(*f.given, 0)
	}
	return s
}

// Fire returns the scan of one shot, heights in metres: the ring around the
// firing-pin aperture, about 3.4 mm across, at 6.25 µm with mean zero; or the
// [Shot.Whole] primer, 3.85 mm across, at 3.125 µm. Equal seeds and shots give
// equal bits on one architecture.
func (f *Firearm) Fire(seed uint64, s Shot) *x3p.Scan {
	r := stream("shot", f.maker.seed, f.seed, seed)
	s = s.typical(r, f.maker.class)
	p := newImpression(f, r, s)
	z := make([]float64, p.n*p.n)
	p.rows(z)
	what := "simulated breech face"
	if s.Whole {
		what = "simulated primer"
	}
	scan := &x3p.Scan{
		SizeX: p.n, SizeY: p.n, IncX: p.step, IncY: p.step,
		Meta: x3p.Meta{
			// The schema wants dates; a simulation has none worth telling.
			Date: "2000-01-01T00:00:00Z", CalibrationDate: "2000-01-01T00:00:00Z",
			Creator: "Proofmark", Manufacturer: "Proofmark", Model: "synth", Serial: "simulated", Version: "2",
			ProbingType: "Software", ProbingID: what,
			Comment: fmt.Sprintf("simulated, not measured: maker %d (%s), firearm %d after %d rounds, shot %d", f.maker.seed, f.maker.class.Name, f.seed, f.rounds, seed),
		},
	}
	s.Instrument.measure(r, z, p.n, s)
	scan.Z = s.Instrument.oriented(z, p.n)
	return scan
}
