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
	Noise float64 // metres RMS; drawn from 0.16 to 0.22 µm
	// Steepest is the slope beyond which nothing comes back; 0.35, the half
	// aperture of an objective of NA 0.30 with a little scatter.
	Steepest float64
	Depth    float64 // measured below the face, metres; 0.11 mm
	Spikes   float64 // share of points that are outliers; 0.0002
	Scale    float64 // RMS error of the lateral scale; 0.002
	Tilt     float64 // of whole primers, degrees; drawn up to 0.6
}

func (o Instrument) usual(r *rand.Rand, whole bool) Instrument {
	noise, tilt := between(r, 0.16e-6, 0.22e-6), between(r, 0.1, 0.6)
	coarse := 6.25e-6
	if whole {
		coarse = 3.125e-6
	}
	for _, f := range []struct {
		given *float64
		usual float64
	}{
		{&o.Pitch, coarse}, {&o.Field, 3.85e-3}, {&o.Noise, noise}, {&o.Steepest, 0.35}, {&o.Depth, 0.11e-3},
		{&o.Spikes, 2e-4}, {&o.Scale, 0.002}, {&o.Tilt, tilt},
	} {
		if *f.given == 0 {
			*f.given = f.usual
		}
		*f.given = max(*f.given, 0)
	}
	return o
}

// Confocal with an objective of this numerical aperture.
func Confocal(na float64) Instrument { return Instrument{Steepest: 1.15 * math.Tan(math.Asin(na))} }

// FocusVariation sees steep flanks down to the firing pin's floor; it is coarser
// in height and smooths.
func FocusVariation() Instrument {
	return Instrument{Steepest: 3, Depth: 1e-3, Noise: 0.3e-6}
}

// measure turns heights in µm into what the instrument says in metres: it loses
// what is too steep and some spots more, adds noise and outliers, and levels a
// cropped scan.
func (o Instrument) measure(r *rand.Rand, z []float64, n int, s Shot) {
	steepest := o.Steepest * o.Pitch * 1e6 // µm per point
	lost := make([]bool, len(z))
	for y := range n {
		for x := range n {
			i := y*n + x
			if math.IsNaN(z[i]) {
				continue
			}
			dx, dy := difference(z, i, 1, x, n), difference(z, i, n, y, n)
			lost[i] = dx*dx+dy*dy > steepest*steepest || (s.Whole && z[i] < -1e6*o.Depth)
		}
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
	sin, cos := math.Sincos(2 * math.Pi * r.Float64())
	tilt := 0.0 // µm per point
	if s.Whole {
		tilt = math.Tan(o.Tilt*math.Pi/180) * o.Pitch * 1e6
	}
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
		z[i] += s.Noise*1e6*r.NormFloat64() + tilt*(cos*float64(i%n)+sin*float64(i/n))
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
}

// oriented turns and mirrors the scan as the instrument stores it.
func (o Instrument) oriented(z []float64, n int) []float64 { return z }

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
