//go:build !race

package synth_test

import (
	"math"
	"testing"

	"proofmark/correlate"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// coarse is a whole primer at 6.25 µm, so that tests are quick.
func coarse(o synth.Instrument) synth.Shot {
	o.Pitch = 6.25e-6
	return synth.Shot{Whole: true, Instrument: o, Dropout: -1, Contact: 0.95, Rotation: 20, ShiftX: 0.1e-3, ShiftY: -0.08e-3}
}

// heights returns the mean height in µm and the share of measured points of the
// scan within radius of a point in the slide's frame; metres.
func heights(s *x3p.Scan, shot synth.Shot, u, v, radius float64) (mean, valid float64) {
	sin, cos := math.Sincos(shot.Rotation * math.Pi / 180)
	cx, cy := u*cos-v*sin+shot.ShiftX, u*sin+v*cos+shot.ShiftY
	points, n := 0.0, 0.0
	for i, z := range s.Z {
		x, y := (float64(i%s.SizeX)-float64(s.SizeX-1)/2)*s.IncX, (float64(i/s.SizeX)-float64(s.SizeY-1)/2)*s.IncY
		if math.Hypot(x-cx, y-cy) > radius {
			continue
		}
		points++
		if !math.IsNaN(z) {
			mean, n = mean+z*1e6, n+1
		}
	}
	return mean / n, n / points
}

// Every class makes whole primers in which the face's level, the flow-back and
// the firing pin's impression lie where they should.
func TestWholePrimers(t *testing.T) {
	t.Parallel()
	for i, c := range synth.Classes() {
		shot := coarse(synth.FocusVariation())
		shot.Instrument.Pitch = 12.5e-6
		shot.Instrument.Tilt = -1
		shot.CaseTilt = -1
		f := c.Maker(1).Firearm(uint64(i))
		s := f.Fire(1, shot)
		face, _ := heights(s, shot, 1.45e-3, 0, 60e-6)
		floor, valid := heights(s, shot, 0, 0, 60e-6)
		if depth := face - floor; depth < 200 || depth > 420 || valid < 0.8 {
			t.Errorf("%s: the pin's floor lies %.0f µm below the face, %.0f %% measured", c.Name, depth, 100*valid)
		}
		shallow := coarse(synth.Instrument{})
		shallow.Instrument.Pitch = 12.5e-6
		if _, valid := heights(f.Fire(1, shallow), shallow, 0, 0, 60e-6); valid > 0.1 {
			t.Errorf("%s: the confocal instrument measured %.0f %% of the pin's floor", c.Name, 100*valid)
		}
	}
}

// A whole primer enrols by itself, and finds the ring of the same firearm.
func TestWholePrimersEnrol(t *testing.T) {
	t.Parallel()
	f := synth.NewMaker(2).Firearm(1)
	encode := func(s *x3p.Scan) *correlate.Template {
		sig, q, err := correlate.Encode(s, correlate.BreechFace)
		if err != nil || !q.Accept {
			t.Fatalf("%+v, %v", q, err)
		}
		return correlate.NewTemplate(sig)
	}
	whole, ring, other := encode(f.Fire(1, coarse(synth.Instrument{}))), encode(f.Fire(2, synth.Shot{})), encode(synth.NewMaker(2).Firearm(2).Fire(1, coarse(synth.Instrument{})))
	same, different := correlate.Compare(whole, ring).Score, correlate.Compare(whole, other).Score
	if same < 0.35 || different > 0.2 {
		t.Errorf("whole primer and ring of one firearm %.3f, two firearms %.3f", same, different)
	}
	t.Logf("one firearm %.3f, two %.3f", same, different)
}
