// Package synth simulates scans of fired cartridge cases and bullets, for
// demonstrations, tests and galleries where no real scans exist.
//
// It owns the chain maker → firearm → shot → instrument: what a make's machining
// has in common (class marks), what one tool carries from slide to slide
// (subclass marks), what a single breech face, firing pin, aperture edge or land
// has alone (individual marks), what ammunition, pressure and contact change from
// shot to shot, and what the instrument makes of it. It refuses to know how scans
// are compared, and nothing measured on its output says how a method does on real
// marks.
//
// Equal seeds and parameters give equal bits on one architecture; on amd64 this
// is tested. Other architectures may round products differently.
//
// docs/generator.md has the model, its sources, and tables of what was measured
// on real and generated scans, including where generated ones are less real.
package synth

import (
	"math"
	"math/rand/v2"
)

// Maker is a class of firearms with what was drawn for it: direction and pitch of
// the tool marks, size of the aperture. It is immutable.
type Maker struct {
	seed      uint64
	class     Class
	direction float64 // of the grooves in the slide's frame, radians
	pitch     float64 // of the cutter's feed, metres
	cusp      float64 // RMS height of the feed marks, metres
	arch      float64 // radius of the arcs, metres
	striae    float64 // share of the roughness that runs along the grooves
	relief    float64 // factor on the height of the marks
	edge      float64 // radius of the aperture, or half its width, metres
	halfV     float64 // half its height
	drag      float64 // direction in which the case slides at unlocking, radians
}

// NewMaker draws a maker from a seed: of the classes that imitate the Fadul set's
// primers, milled, face-milled or cast.
func NewMaker(seed uint64) *Maker {
	r := stream("maker", seed)
	return Classes()[r.IntN(3)].draw(seed, r)
}

// Class is what the maker's firearms have in common, with what was left to chance
// where the field of that name says so.
func (m *Maker) Class() Class { return m.class }

// Pattern is the class of the maker's machining marks.
func (m *Maker) Pattern() Pattern { return m.class.Process.pattern() }

// Direction of the grooves in the slide's frame, in degrees from 0 to 180,
// counted from x towards y; for arcs, at the aperture.
func (m *Maker) Direction() float64 { return m.direction * 180 / math.Pi }

// Pitch of the feed marks in metres; a face without feed marks returns 0.
func (m *Maker) Pitch() float64 {
	if !m.class.Process.feeds() {
		return 0
	}
	return m.pitch
}

func between(r *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }

// stream returns the random numbers of one purpose: equal names and seeds give
// equal numbers, others are independent.
func stream(name string, seeds ...uint64) *rand.Rand {
	// splitmix64's finaliser (Steele, Lea and Flood 2014) over name and seeds.
	h := uint64(0x9e3779b97f4a7c15)
	mix := func(v uint64) {
		h += v + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	for _, c := range []byte(name) {
		mix(uint64(c))
	}
	for _, s := range seeds {
		mix(s)
	}
	first := h
	mix(1)
	return rand.New(rand.NewPCG(first, h))
}
