package synth

import (
	"math"
	"math/rand/v2"
)

// Instrument is how a surface is measured. A zero field is as the confocal
// instrument of the Fadul set does it; a negative one means none.
type Instrument struct {
	Pitch float64 // from point to point, metres; 6.25 µm, for whole primers 3.125 µm
	Field float64 // side of the field of view of whole primers, metres; 3.85 mm
	// Steepest is the slope beyond which nothing comes back; 0.35, the half
	// aperture of an objective of NA 0.30 with a little scatter.
	Steepest float64
	Depth    float64 // measured below the face, metres; 0.11 mm
	// Clings is true for an elastomer pressed on: what is too steep or too deep
	// has a height all the same, a wrong one.
	Clings bool

	Noise    float64 // white, metres RMS; drawn from 0.16 to 0.22 µm
	Lines    float64 // offsets of whole rows, metres RMS; none
	LongWave float64 // bending of the reference over a millimetre, metres RMS; none
	Spikes   float64 // share of points that are outliers; 0.0002
	Batwing  float64 // height of the overshoot at steep edges, metres; none
	Blur     float64 // σ of the lateral response, metres; none
	Scale    float64 // RMS error of the lateral scale; 0.002
	Tilt     float64 // of whole primers, degrees; drawn from 0.1 to 0.6
	Tile     float64 // side of the fields that the scan is stitched of, metres; one field
	Seam     float64 // RMS of the steps between them, metres; 0.3 µm

	Increment float64 // of heights stored as 16-bit integers, metres; floating point
	Quarters  int     // quarter turns of the stored scan from x towards y
	Mirrored  bool    // columns run the other way, as seen from behind
}

func (o Instrument) usual(r *rand.Rand, whole bool) Instrument {
	noise, tilt := between(r, 0.16e-6, 0.22e-6), between(r, 0.1, 0.6)
	spacing := 6.25e-6
	if whole {
		spacing = 3.125e-6
	}
	for _, f := range []struct {
		given *float64
		usual float64
	}{
		{&o.Pitch, spacing}, {&o.Field, 3.85e-3}, {&o.Steepest, 0.35}, {&o.Depth, 0.11e-3}, {&o.Noise, noise},
		{&o.Lines, 0}, {&o.LongWave, 0}, {&o.Spikes, 2e-4}, {&o.Batwing, 0}, {&o.Blur, 0}, {&o.Scale, 0.002},
		{&o.Tilt, tilt}, {&o.Tile, 0}, {&o.Seam, 0.3e-6}, {&o.Increment, 0},
	} {
		if *f.given == 0 {
			*f.given = f.usual
		}
		*f.given = max(*f.given, 0)
	}
	o.Pitch = min(max(o.Pitch, 0.5e-6), 50e-6) // finer or coarser is no use, and takes all memory
	o.Field = min(max(o.Field, 0.5e-3), 10e-3)
	return o
}

// Confocal is a confocal microscope with an objective of this numerical aperture:
// 0.30 loses the bowl of the firing pin, 0.80 sees flanks of 53°.
func Confocal(na float64) Instrument {
	return Instrument{Steepest: 1.11 * math.Tan(math.Asin(min(max(na, 0.05), 0.95))), Depth: 0.5e-3, Batwing: 0.8e-6}
}

// FocusVariation sees steep flanks down to the firing pin's floor, with more
// noise, a broad lateral response and stitched fields.
func FocusVariation() Instrument {
	return Instrument{Steepest: 3, Depth: 1e-3, Noise: 0.3e-6, Blur: 4e-6, Tile: 1.6e-3, Seam: 0.25e-6}
}

// Elastomer is photometric stereo of a gel pressed on the surface: no point is
// missing, steep and deep ones are wrong, and long waves are integrated errors.
func Elastomer() Instrument {
	return Instrument{Depth: 0.15e-3, Clings: true, Noise: 0.05e-6, Lines: 0.02e-6, LongWave: 1.5e-6, Blur: 5e-6, Spikes: -1, Scale: 0.004}
}

// measure turns heights in µm into what the instrument says in metres.
func (o Instrument) measure(r *rand.Rand, z []float64, n int, s Shot) {
	if o.Blur > 0 {
		blur(z, n, o.Blur/o.Pitch)
	}
	lost := o.lose(r, z, n, s)
	if o.Batwing > 0 {
		o.overshoot(z, n)
	}
	add := o.reference(r, n, s.Whole)
	sum, kept := 0.0, 0
	for i := range z {
		if lost[i] {
			// Single points on steep flanks return something, and it is wrong.
			if s.Whole && z[i] > -1e6*o.Depth && r.Float64() < 0.04 {
				z[i] += 4 * r.NormFloat64()
			} else {
				z[i] = math.NaN()
			}
		}
		if math.IsNaN(z[i]) {
			continue
		}
		z[i] += s.Noise*1e6*r.NormFloat64() + add(i%n, i/n)
		if r.Float64() < o.Spikes && s.Noise > 0 {
			z[i] += between(r, -6, 6)
		}
		sum += z[i]
		kept++
	}
	mean := 0.0
	if !s.Whole {
		mean = sum / float64(max(kept, 1))
	}
	for i := range z {
		z[i] = (z[i] - mean) * 1e-6
	}
	if o.Increment > 0 {
		quantise(z, o.Increment)
	}
}

// lose tells the points that are too steep or too deep, and some spots more.
func (o Instrument) lose(r *rand.Rand, z []float64, n int, s Shot) []bool {
	steepest := o.Steepest * o.Pitch * 1e6 // µm per point
	lost := make([]bool, len(z))
	for y := range n {
		for x := range n {
			i := y*n + x
			if math.IsNaN(z[i]) {
				continue
			}
			if o.Clings && s.Whole {
				z[i] = max(z[i], -1e6*o.Depth)
			}
			if o.Clings {
				continue
			}
			dx, dy := difference(z, i, 1, x, n), difference(z, i, n, y, n)
			lost[i] = dx*dx+dy*dy > steepest*steepest || (s.Whole && z[i] < -1e6*o.Depth)
		}
	}
	if o.Clings {
		return lost
	}
	const spot = 9 // points that one lost spot takes on the average
	for range int(s.Dropout * float64(len(z)) / spot) {
		x, y, radius := r.IntN(n), r.IntN(n), between(r, 0.5, 2.6)
		for dy := -2; dy <= 2; dy++ {
			for dx := -2; dx <= 2; dx++ {
				if i, j := x+dx, y+dy; i >= 0 && j >= 0 && i < n && j < n && float64(dx*dx+dy*dy) <= radius*radius {
					lost[j*n+i] = true
				}
			}
		}
	}
	return lost
}

// difference is the slope per point along one axis from the neighbours there are.
func difference(z []float64, i, step, at, n int) float64 {
	lo, hi, span := z[i], z[i], 0.0
	if at > 0 && !math.IsNaN(z[i-step]) {
		lo, span = z[i-step], span+1
	}
	if at < n-1 && !math.IsNaN(z[i+step]) {
		hi, span = z[i+step], span+1
	}
	return (hi - lo) / max(span, 1)
}
