//go:build !race

package fuse

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"proofmark/correlate/shear"
)

// striae is a made-up mark of an aperture's shear: noise between 20 and 120 µm wavelength, 0.8 to 1.6 mm wide; docs/signature-shear.md has its form.
func striae(t *testing.T, seed uint64) *shear.Mark {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	n := 128 + r.IntN(129)
	const margin = 64
	noise := make([]float64, n+2*margin)
	for i := range noise {
		noise[i] = r.NormFloat64()
	}
	smooth := func(at int, cutoff float64) float64 { // Gaussian, σ = 0.1874 of the wavelength that it halves
		sigma := 0.1874 * cutoff / shear.SamplePitch
		sum, weight := 0.0, 0.0
		for d := -margin; d < margin; d++ {
			w := math.Exp(-0.5 * float64(d*d) / (sigma * sigma))
			sum += w * noise[at+d]
			weight += w
		}
		return sum / weight
	}
	z := make([]float64, n)
	square := 0.0
	for i := range z {
		z[i] = smooth(i+margin, 20) - smooth(i+margin, 120)
		square += z[i] * z[i] / float64(n)
	}
	out := []byte{'P', 'M', 'A', 1, 3, 200}
	out = binary.LittleEndian.AppendUint16(out, 600) // nm RMS
	out = binary.LittleEndian.AppendUint16(out, uint16(n))
	var low byte
	for i, v := range z {
		q := byte(7 + math.Round(7/1.5*max(-1.5, min(1.5, v/math.Sqrt(square)))))
		if i%2 == 0 {
			low = q
			if i < n-1 {
				continue
			}
			q = 0
		}
		out = append(out, low|q<<4)
	}
	m, err := shear.Decode(out)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNullOfShearIsAsMeasured(t *testing.T) {
	marks := make([]*shear.Mark, 60)
	for i := range marks {
		marks[i] = striae(t, uint64(i))
	}
	scores := scoresOf(len(marks), func(i, j int) (float64, bool) {
		c := shear.Compare(marks[i], marks[j])
		return c.Score, c.Overlap > 0
	})
	n := nulls[shear.Algorithm]
	mode, scale := moments(scores)
	t.Logf("%d pairs, mode %.4f, scale %.4f; p ≤ 0.1 in %.3f, p ≤ 0.01 in %.4f, the highest score %.4f has p = %.2g", len(scores), mode, scale, n.beyond(scores, 0.1),
		n.beyond(scores, 0.01), scores[len(scores)-1], math.Exp(n.logChance(scores[len(scores)-1])))
	if math.Abs(mode-n.Mode) > 0.01 || math.Abs(scale-n.Scale) > 0.005 || n.beyond(scores, 0.1) > 0.13 || n.beyond(scores, 0.01) > 0.02 {
		t.Errorf("mode %.4f and scale %.4f, in use are %.4f and %.4f: measure the null distribution again", mode, scale, n.Mode, n.Scale)
	}
}
