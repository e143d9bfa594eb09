package synth

import (
	"math"
	"testing"
)

func TestSameBarrelSameBits(t *testing.T) {
	t.Parallel()
	small := LandShot{Along: 12.5e-6, Pitch: 3.125e-6}
	first := NewBarrel(3, Rifling{}).FireLand(4, 2, small)
	if !sameBits(first, NewBarrel(3, Rifling{}).FireLand(4, 2, small)) {
		t.Error("equal seeds give different scans")
	}
	for what, other := range map[string]*Barrel{"barrel": NewBarrel(4, Rifling{}), "strength": NewBarrel(3, Rifling{Strength: 0.3})} {
		if sameBits(first, other.FireLand(4, 2, small)) {
			t.Errorf("another %s gives the same scan", what)
		}
	}
	if sameBits(first, NewBarrel(3, Rifling{}).FireLand(5, 2, small)) {
		t.Error("another shot gives the same scan")
	}
	if sameBits(first, NewBarrel(3, Rifling{}).FireLand(4, 3, small)) {
		t.Error("another land gives the same scan")
	}
}

// A bullet begins at any land, and holds all of them in the barrel's order.
func TestBulletBeginsAnywhere(t *testing.T) {
	t.Parallel()
	small := LandShot{Along: 50e-6, Pitch: 3.125e-6}
	b := NewBarrel(7, Rifling{Lands: 5})
	seen := map[int]bool{}
	for shot := range uint64(12) {
		scans, first := b.FireBullet(shot, small)
		if len(scans) != 5 || b.Lands() != 5 {
			t.Fatalf("%d scans of %d lands", len(scans), b.Lands())
		}
		seen[first] = true
		if !sameBits(scans[1], b.FireLand(shot, (first+1)%5, small)) {
			t.Errorf("shot %d: the second scan is not the barrel's land %d", shot, (first+1)%5)
		}
	}
	if len(seen) < 3 {
		t.Errorf("bullets begin at %d of 5 lands only", len(seen))
	}
}

func TestLandShotGeometry(t *testing.T) {
	t.Parallel()
	b := NewBarrel(1, Rifling{})
	s := b.FireLand(1, 0, LandShot{Pitch: 3.125e-6})
	if s.SizeX != 756 || s.SizeY != 211 || s.IncX != 3.125e-6 || s.IncY != 3.125e-6 {
		t.Fatalf("%d × %d points of %g × %g m", s.SizeX, s.SizeY, s.IncX, s.IncY)
	}
	if err := s.CheckUnits(); err != nil {
		t.Error(err)
	}
	if share := float64(s.Missing()) / float64(len(s.Z)); share < 0.002 || share > 0.15 {
		t.Errorf("%.1f %% missing", 100*share)
	}
	clean := LandShot{Pitch: 3.125e-6, Noise: -1, Dropout: -1, Change: -1, Slip: -1}
	plain := b.FireLand(1, 0, clean)
	clean.Mirrored = true
	mirror := b.FireLand(1, 0, clean)
	for y := range plain.SizeY / 2 {
		for x := range plain.SizeX {
			p, m := plain.At(x, y), mirror.At(plain.SizeX-1-x, y)
			if math.Abs(p-m) > 1e-12 { // false for what is missing beside the land
				t.Fatalf("row %d column %d: %g, mirrored %g", y, x, p, m)
			}
		}
	}
}

// sharedPower is the correlation of two barrels' striae, land by land.
func sharedPower(a, b *Barrel) float64 {
	var ab, aa, bb float64
	for i := range a.lands {
		for x := -0.9e-3; x < 0.9e-3; x += 2e-6 {
			p, q := a.lands[i].at(x), b.lands[i].at(x)
			ab, aa, bb = ab+p*q, aa+p*p, bb+q*q
		}
	}
	return ab / math.Sqrt(aa*bb)
}

func TestSubclassCarriesOver(t *testing.T) {
	t.Parallel()
	one, two := Rifling{Tool: 1, Carry: 0.5, Strength: 1}, Rifling{Tool: 2, Carry: 0.5, Strength: 1}
	same := sharedPower(NewBarrel(1, one), NewBarrel(2, one))
	other := sharedPower(NewBarrel(1, one), NewBarrel(2, two))
	none := sharedPower(NewBarrel(1, Rifling{}), NewBarrel(2, Rifling{}))
	if same < 0.25 || same > 0.75 {
		t.Errorf("barrels of one tool share %.2f of their power, want about a half", same)
	}
	for what, v := range map[string]float64{"different tools": other, "no carry-over": none} {
		if math.Abs(v) > 0.2 {
			t.Errorf("%s: %.2f shared", what, v)
		}
	}
}

// The spectrum is told in RMS heights: a wave must have the height it is asked for.
func TestWaveHasItsHeight(t *testing.T) {
	t.Parallel()
	r := stream("test", 1)
	square, n := 0.0, 0
	for range 20 {
		w := newWave(r, octave{spacing: 12e-6, rms: 0.3e-6})
		for x := -1.9e-3; x < 1.9e-3; x += 3.1e-6 {
			square += w.at(x) * w.at(x)
			n++
		}
	}
	if rms := math.Sqrt(square / float64(n)); math.Abs(rms-0.3e-6) > 0.01e-6 {
		t.Errorf("RMS %.3g m, asked for 0.3e-6", rms)
	}
}

func BenchmarkFireLand(b *testing.B) {
	barrel := NewBarrel(1, Rifling{})
	b.ReportAllocs()
	for b.Loop() {
		barrel.FireLand(1, 0, LandShot{})
	}
}
