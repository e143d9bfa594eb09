//go:build !race

package bullet

import (
	"math"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// askew is a scan whose rows are shifted by slope columns' lengths per row's.
func askew(s *x3p.Scan, slope float64) *x3p.Scan {
	out := *s
	out.Z = make([]float64, len(s.Z))
	for y := range s.SizeY {
		for x := range s.SizeX {
			at := float64(x) + slope*float64(y-s.SizeY/2)*s.IncY/s.IncX
			i := int(math.Floor(at))
			if i < 0 || i+1 >= s.SizeX {
				out.Z[y*s.SizeX+x] = math.NaN()
				continue
			}
			t := at - float64(i)
			out.Z[y*s.SizeX+x] = (1-t)*s.At(i, y) + t*s.At(i+1, y)
		}
	}
	return &out
}

// Striae that stand askew, by the rifling's twist or the bullet's, are followed.
func TestEncodeFollowsSlant(t *testing.T) {
	b := synth.NewBarrel(7, synth.Rifling{Strength: 1})
	how := synth.LandShot{Pitch: 3.125e-6, Along: 6.25e-6, Slip: -1}
	upright := mustLand(t, b.FireLand(1, 0, how))
	scan := b.FireLand(2, 0, how)
	plain := CompareLands(upright, mustLand(t, scan))
	for _, slope := range []float64{-0.12, -0.05, 0.03, 0.1} {
		l, q, err := EncodeLand(askew(scan, slope))
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(q.Slant+1000*slope) > 15 {
			t.Errorf("slope %g: slant %.0f µm/mm", slope, q.Slant)
		}
		if c := CompareLands(upright, l); c.Z < plain.Z-0.25 {
			t.Errorf("slope %g: z %.2f, upright %.2f", slope, c.Z, plain.Z)
		}
	}
}

// The left half of the striae runs through the first rows alone, the right half
// through the last: no cross-section shows both, the land does.
func TestEncodeTakesEachPartWhereItsStriaeAre(t *testing.T) {
	b := synth.NewBarrel(8, synth.Rifling{Strength: 1})
	how := synth.LandShot{Pitch: 3.125e-6, Along: 6.25e-6, Slip: -1}
	whole := mustLand(t, b.FireLand(1, 0, how))
	good := b.FireLand(2, 0, how)
	rough := synth.NewBarrel(9, synth.Rifling{Strength: 1}).FireLand(2, 0, synth.LandShot{Pitch: 3.125e-6, Along: 6.25e-6, Slip: 1})
	scan := *good
	scan.Z = make([]float64, len(good.Z))
	for i := range scan.Z {
		x, y := i%scan.SizeX, i/scan.SizeX
		scan.Z[i] = good.Z[i]
		if (x < scan.SizeX/2) != (y < scan.SizeY/2) {
			// What no land touched is rough and has no striae.
			scan.Z[i] = good.Z[i] - good.At(x, scan.SizeY/2) + rough.At(x, y)
		}
	}
	clean := CompareLands(whole, mustLand(t, good)).Z
	if got := CompareLands(whole, mustLand(t, &scan)).Z; got < 0.62*clean {
		t.Errorf("z %.2f, %.2f with striae all the way", got, clean)
	}
}
