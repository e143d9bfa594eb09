//go:build !race

package synth

import (
	"math"
	"testing"
)

// An instrument does what its fields say, one at a time.
func TestInstrument(t *testing.T) {
	t.Parallel()
	f := NewMaker(1).Firearm(1)
	fire := func(o Instrument, whole bool) surface {
		o.Pitch, o.Spikes, o.Tilt = 12.5e-6, -1, -1
		return newSurface(f.Fire(1, Shot{Rotation: 360, Contact: 1, Noise: -1, Dropout: -1, CaseTilt: -1, Whole: whole, Instrument: o}))
	}
	plain := fire(Instrument{}, false)
	roughness := func(s surface) float64 { bands, _ := s.bands(); return bands[0] }
	if got, was := roughness(fire(Instrument{Blur: 20e-6}, false)), roughness(plain); got > 0.7*was {
		t.Errorf("a response of 20 µm leaves %.3f of %.3f µm of the shortest waves", got, was)
	}
	difference := func(o Instrument) (rms float64, at func(x, y int) float64) {
		s := fire(o, false)
		n := 0.0
		for i, m := range s.mask {
			if m*plain.mask[i] > 0 {
				d := s.z[i] - plain.z[i]
				rms, n = rms+d*d, n+1
			}
		}
		return math.Sqrt(rms / n), func(x, y int) float64 { return s.z[y*s.w+x] - plain.z[y*s.w+x] }
	}
	for what, c := range map[string]struct {
		o        Instrument
		from, to float64
	}{
		"rows":          {Instrument{Lines: 0.5e-6}, 0.4, 0.6},
		"long waves":    {Instrument{LongWave: 2e-6}, 1, 3},
		"stitching":     {Instrument{Tile: 1e-3, Seam: 1e-6}, 0.3, 2},
		"16-bit steps":  {Instrument{Increment: 1e-6}, 0.2, 0.4},
		"nothing added": {Instrument{}, 0, 0},
	} {
		if rms, _ := difference(c.o); rms < c.from || rms > c.to {
			t.Errorf("%s change the heights by %.3f µm, want %.1f to %.1f", what, rms, c.from, c.to)
		}
	}
	if gel := fire(Elastomer(), true); gel.valid < float64(len(gel.z)) {
		t.Errorf("an elastomer misses %.0f points", float64(len(gel.z))-gel.valid)
	}
	if steep, flat := fire(Confocal(0.8), true), fire(Confocal(0.3), true); steep.valid < 1.1*flat.valid {
		t.Errorf("NA 0.8 measures %.0f points, NA 0.3 %.0f", steep.valid, flat.valid)
	}
}

// Orientation moves points and changes nothing else.
func TestOrientation(t *testing.T) {
	t.Parallel()
	z := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, c := range []struct {
		o    Instrument
		want []float64
	}{
		{Instrument{}, z},
		{Instrument{Quarters: 1}, []float64{7, 4, 1, 8, 5, 2, 9, 6, 3}},
		{Instrument{Quarters: -1}, []float64{3, 6, 9, 2, 5, 8, 1, 4, 7}},
		{Instrument{Mirrored: true}, []float64{3, 2, 1, 6, 5, 4, 9, 8, 7}},
	} {
		got := c.o.oriented(z, 3)
		for i := range z {
			if got[i] != c.want[i] {
				t.Errorf("%d quarters, mirrored %t: %v, want %v", c.o.Quarters, c.o.Mirrored, got, c.want)
				break
			}
		}
	}
}

func TestWhatSixteenBitsHold(t *testing.T) {
	t.Parallel()
	z := []float64{1.4e-9, -1.6e-9, 32767e-9, 32769e-9, math.NaN()}
	quantise(z, 1e-9)
	for i, want := range []float64{1e-9, -2e-9, 32767e-9} {
		if math.Abs(z[i]-want) > 1e-15 {
			t.Errorf("%g, want %g", z[i], want)
		}
	}
	if !math.IsNaN(z[3]) || !math.IsNaN(z[4]) {
		t.Errorf("beyond 16 bits: %g; missing: %g", z[3], z[4])
	}
}

// The case head leans: contact becomes a crescent.
func TestCaseTilt(t *testing.T) {
	t.Parallel()
	f := NewMaker(1).Firearm(1)
	p := newImpression(f, stream("test", 1), Shot{Rotation: 360, Contact: 0.5, CaseTilt: 0.3, Instrument: Instrument{}.usual(stream("test"), false)}.typical(stream("test"), f.maker.class))
	var inside, towards float64
	for k := range 360 {
		sin, cos := math.Sincos(float64(k) * math.Pi / 180)
		x, y := 1.5e-3*cos, 1.5e-3*sin
		if p.pressure.at(x, y)+x*p.lean[0]+y*p.lean[1] > p.touch {
			inside++
			if x*p.lean[0]+y*p.lean[1] > 0 {
				towards++
			}
		}
	}
	if inside < 100 || towards < 0.8*inside {
		t.Errorf("%.0f of 360 directions touched, %.0f of them on the side that the case leans to", inside, towards)
	}
}

// A step overshoots on both sides, a plane nowhere.
func TestBatwings(t *testing.T) {
	t.Parallel()
	const n = 12
	step, plane := make([]float64, n*n), make([]float64, n*n)
	for i := range step {
		plane[i] = 0.5 * float64(i%n)
		if i%n >= n/2 {
			step[i] = 20
		}
	}
	o := Instrument{Pitch: 6.25e-6, Batwing: 1e-6}
	o.overshoot(step, n)
	o.overshoot(plane, n)
	for y := 1; y < n-1; y++ {
		if lo, hi := step[y*n+n/2-1], step[y*n+n/2]; lo > -0.8 || hi < 20.8 {
			t.Errorf("row %d: %.2f beside %.2f µm, want batwings of 1 µm on 0 and 20", y, lo, hi)
		}
		if v := plane[y*n+5]; v != 2.5 {
			t.Errorf("row %d: a plane became %.3f, was 2.5", y, v)
		}
	}
}
