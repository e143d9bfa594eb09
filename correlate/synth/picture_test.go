package synth

import (
	"math"
	"slices"
	"testing"
)

// A picture is the same wherever it is made; two of one firearm agree more than two of different ones, and outside its sector nothing is marked.
func TestPicture(t *testing.T) {
	const side = 140
	a := Picture{Firearm: 1, Shot: 1, Noise: 0.5, Span: 360}.Pixels(side)
	if !slices.Equal(a, Picture{Firearm: 1, Shot: 1, Noise: 0.5, Span: 360}.Pixels(side)) {
		t.Error("the same picture differs")
	}
	agreement := func(b []int8) float64 {
		var ab, aa, bb float64
		for i := range a {
			x, y := float64(a[i]), float64(b[i])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		return ab / math.Sqrt(aa*bb)
	}
	if mate, other := agreement(Picture{Firearm: 1, Shot: 2, Noise: 0.5, Span: 360}.Pixels(side)), agreement(Picture{Firearm: 2, Shot: 1, Noise: 0.5, Span: 360}.Pixels(side)); mate < 0.6 || other > 0.4 {
		t.Errorf("two of one firearm agree by %.2f, two of different ones by %.2f", mate, other)
	}
	sector := Picture{Firearm: 1, Shot: 1, Noise: 0.5, From: 90, Span: 90}.Pixels(side)
	marked := 0
	for i, v := range sector {
		switch {
		case v == 0:
		case i%side > side/2 || i/side < side/2:
			t.Fatalf("pixel %d, %d is marked", i%side, i/side)
		case v != a[i]:
			t.Fatalf("pixel %d, %d is %d, and %d in the whole", i%side, i/side, v, a[i])
		default:
			marked++
		}
	}
	if marked == 0 {
		t.Error("nothing is marked")
	}
}
