//go:build !race

package synth

import (
	"math"
	"slices"

	"proofmark/correlate/x3p"
)

// figures is what a scan's heights are like.
type figures struct {
	bands      []float64 // RMS in µm between cutoffs
	all        float64   // RMS in µm
	valid      float64   // share of points
	kurtosis   float64   // of all heights
	peaked     float64   // kurtosis of the 25–250 µm band, a margin from the edges
	skew       float64   // its skewness
	slopes     [3]float64
	anisotropy float64 // of the 25–140 µm band, 0 to 1
}

// figuresOf measures a breech-face scan at 6.25 µm.
func figuresOf(s *x3p.Scan) (g figures) {
	f := newSurface(s)
	low := f.lowPasses(cutoffs...)
	g.valid = f.valid / float64(len(f.z))
	passes := append(append([][]float64{f.z}, low...), make([]float64, len(f.z)))
	for k := 1; k < len(passes); k++ {
		sum := 0.0
		for i := range f.z {
			if f.mask[i] > 0 {
				d := passes[k-1][i] - passes[k][i]
				sum += d * d
			}
		}
		g.bands = append(g.bands, math.Sqrt(sum/f.valid))
	}
	var all, band, slopes []float64
	inner := f.blur(f.mask, 3)
	for y := 1; y < f.h-1; y++ {
		for x := 1; x < f.w-1; x++ {
			i := y*f.w + x
			if f.mask[i] == 0 {
				continue
			}
			all = append(all, f.z[i])
			if inner[i] < 0.999 {
				continue
			}
			band = append(band, low[0][i]-low[4][i])
			// Of the surface above 25 µm: what is shorter is noise.
			dx, dy := low[0][i+1]-low[0][i-1], low[0][i+f.w]-low[0][i-f.w]
			slopes = append(slopes, math.Hypot(dx, dy)/(2*6.25))
		}
	}
	g.all, _, g.kurtosis = moments(all)
	_, g.skew, g.peaked = moments(band)
	slices.Sort(slopes)
	for k, q := range []float64{0.5, 0.9, 0.99} {
		g.slopes[k] = slopes[int(q*float64(len(slopes)))]
	}
	_, g.anisotropy = grooves(s)
	return g
}

// moments returns RMS, skewness and kurtosis (3 for normal values).
func moments(v []float64) (rms, skew, kurtosis float64) {
	mean := 0.0
	for _, x := range v {
		mean += x / float64(len(v))
	}
	var m2, m3, m4 float64
	for _, x := range v {
		d := x - mean
		m2, m3, m4 = m2+d*d, m3+d*d*d, m4+d*d*d*d
	}
	n := float64(len(v))
	m2, m3, m4 = m2/n, m3/n, m4/n
	return math.Sqrt(m2), m3 / math.Pow(m2, 1.5), m4 / (m2 * m2)
}

// values lists the figures in the order of realFigures.
func (g figures) values() []float64 {
	return append(slices.Clone(g.bands), g.all, g.valid, g.kurtosis, g.peaked, g.slopes[0], g.slopes[1], g.slopes[2], g.skew, g.anisotropy)
}
