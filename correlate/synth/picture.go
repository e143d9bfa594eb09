package synth

import (
	"math"
	"math/rand/v2"
)

// Picture is a made-up mark in the form that a signature keeps, for work with many signatures where a scan of each would take too long: band-limited noise
// of a firearm and of the shot on a ring, in steps.
type Picture struct {
	Firearm, Shot uint64
	Noise         float64 // how many times as strong as the firearm's the shot's own marks are
	From, Span    float64 // the sector that is marked, in degrees
}

// Pixels returns side × side pixels, row by row: 0 outside the mark, and in it −3 to 3 without 0. The same picture has the same pixels wherever it is made.
func (p Picture) Pixels(side int) []int8 {
	const inner, outer = 18, 46 // of the ring, in pixels from the middle
	gun, own := bandLimited(side, p.Firearm, 1), bandLimited(side, p.Shot, 2)
	middle := float64(side) / 2
	pixels := make([]int8, side*side)
	for i := range pixels {
		x, y := float64(i%side)-middle, float64(i/side)-middle
		angle := math.Mod(math.Atan2(y, x)*180/math.Pi+720-p.From, 360)
		if d := math.Hypot(x, y); d < inner || d > outer || angle >= p.Span {
			continue
		}
		v := gun[i] + p.Noise*own[i]
		pixels[i] = int8(math.Copysign(1+min(2, math.Floor(math.Abs(v))), v))
	}
	return pixels
}

// bandLimited is white noise, averaged towards wavelengths of some pixels.
func bandLimited(side int, seed, stream uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, stream))
	z := make([]float64, side*side)
	for i := range z {
		z[i] = r.NormFloat64()
	}
	for range 2 {
		for i := len(z) - 1; i > side; i-- {
			z[i] = (z[i] + z[i-1] + z[i-side] + z[i-side-1]) / 2
		}
	}
	return z
}
