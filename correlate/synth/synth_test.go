//go:build !race

package synth

import (
	"bytes"
	"math"
	"testing"

	"proofmark/correlate/x3p"
)

func TestScanIsAFile(t *testing.T) {
	t.Parallel()
	s := NewMaker(1).Firearm(1).Fire(1, Shot{})
	var b bytes.Buffer
	if err := x3p.Write(&b, s); err != nil {
		t.Fatal(err)
	}
	got, err := x3p.Decode(b.Bytes(), x3p.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	if !sameBits(s, got) || got.Warnings != nil || got.CheckUnits() != nil {
		t.Errorf("read back: warnings %q, units %v", got.Warnings, got.CheckUnits())
	}
}

// A shot asks for what it gets, one field at a time.
func TestShotFields(t *testing.T) {
	t.Parallel()
	f := NewMaker(2).Firearm(1)
	plain := Shot{Rotation: 360, ShiftX: 0.1e-3, ShiftY: -0.2e-3, Contact: 1, Noise: -1, Dropout: -1, Wear: -1}
	with := func(edit func(*Shot)) surface {
		s := plain
		edit(&s)
		return newSurface(f.Fire(7, s))
	}
	base := with(func(*Shot) {})
	bands, all := base.bands()

	if noisy, _ := with(func(s *Shot) { s.Noise = 0.5e-6 }).bands(); noisy[0] < bands[0]+0.2 {
		t.Errorf("noise of 0.5 µm lifts the shortest waves from %.3f to %.3f µm only", bands[0], noisy[0])
	}
	if _, worn := with(func(s *Shot) { s.Wear = 0.8 }).bands(); worn > 0.9*all {
		t.Errorf("wear leaves %.2f of %.2f µm", worn, all)
	}
	if light, _ := with(func(s *Shot) { s.Contact = 0.2 }).bands(); light[2] > 0.85*bands[2] {
		t.Errorf("little contact leaves %.3f of %.3f µm between 40 and 80 µm", light[2], bands[2])
	}
	if n := with(func(s *Shot) { s.Dropout = 0.2 }).valid / base.valid; n < 0.78 || n > 0.88 {
		t.Errorf("a dropout of 0.2 leaves %.2f of the points", n)
	}
	x, y := marks{surface: base}.hole()
	if math.Abs(x*pitch-0.1e-3) > 20e-6 || math.Abs(y*pitch+0.2e-3) > 20e-6 {
		t.Errorf("the aperture stands at %.0f, %.0f µm, want 100, -200", x*6.25, y*6.25)
	}
}

func TestExtremeShots(t *testing.T) {
	t.Parallel()
	f := NewMaker(2).Firearm(1)
	for _, s := range []Shot{
		{Contact: -1}, {Contact: 1e-30}, {Contact: 7}, {Dropout: 1}, {Wear: 1}, {Rotation: -100000},
		{ShiftX: 4e-3, ShiftY: 4e-3}, {ShiftX: 2e-3},
	} {
		if scan := f.Fire(1, s); len(scan.Z) != scan.SizeX*scan.SizeY || scan.SizeX < 500 {
			t.Errorf("%+v: %d × %d, %d heights", s, scan.SizeX, scan.SizeY, len(scan.Z))
		}
	}
}

func TestFieldIsNormalised(t *testing.T) {
	t.Parallel()
	for _, s := range [][2]float64{{20e-6, 20e-6}, {15e-6, 90e-6}} {
		f := newField(stream("test", 1), s[0], s[1])
		const n = 700
		row := make([]float64, n)
		g := f.columns(2, -extent/2, pitch, n)
		sum, squares := 0.0, 0.0
		for j := range n {
			y := -extent/2 + float64(j)*pitch
			clear(row)
			g.addRow(row, y)
			for i, v := range row {
				sum, squares = sum+v/2, squares+v*v/4
				if i%97 == 0 && j%97 == 0 {
					if at := f.at(-extent/2+float64(i)*pitch, y); math.Abs(2*at-v) > 1e-9 {
						t.Fatalf("row says %g, the point %g", v, 2*at)
					}
				}
			}
		}
		if mean, rms := sum/n/n, math.Sqrt(squares/n/n); math.Abs(mean) > 0.02 || math.Abs(rms-1) > 0.03 {
			t.Errorf("spacing %g: mean %.3f, RMS %.3f", s, mean, rms)
		}
	}
}
