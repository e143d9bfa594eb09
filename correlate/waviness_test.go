package correlate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A plane is its own waviness up to the very edge of any mask, where a weighted
// mean is off by micrometres; and at each point the fitted plane is the one that a
// direct solution of the least squares finds.
func TestWavinessFitsPlanesUpToTheEdge(t *testing.T) {
	const nx, ny, sigma = 70, 64, 3.75
	rng := rand.New(rand.NewPCG(3, 9))
	weight, slope, rough := make([]float64, nx*ny), make([]float64, nx*ny), make([]float64, nx*ny)
	for i := range weight {
		x, y := float64(i%nx)-30, float64(i/nx)-28
		if r := math.Hypot(x, y); r > 10 && r < 27 && (y > 0 || x > 5) && i%31 != 0 {
			weight[i] = 1
			slope[i] = 3 + 0.5*x - 0.2*y
			rough[i] = rng.NormFloat64() + 0.1*x
		}
	}
	plane := waviness(slope, weight, nx, ny, sigma)
	mean := maskedGauss(slope, weight, nx, ny, sigma)
	worst, worstMean := 0.0, 0.0
	for i, w := range weight {
		if w > 0 {
			worst, worstMean = max(worst, math.Abs(plane[i]-slope[i])), max(worstMean, math.Abs(mean[i]-slope[i]))
		}
	}
	// The ridge alone keeps the slope from being followed wholly.
	if worst > 0.12 || worstMean < 1 {
		t.Errorf("a plane is missed by up to %.3f, by a weighted mean by %.3f", worst, worstMean)
	}
	got := waviness(rough, weight, nx, ny, sigma)
	k := gaussKernel(sigma)
	r := len(k) - 1
	for range 60 {
		i := rng.IntN(nx * ny)
		if weight[i] == 0 {
			continue
		}
		var m [3][4]float64
		for dy := -r; dy <= r; dy++ {
			for dx := -r; dx <= r; dx++ {
				x, y := i%nx+dx, i/nx+dy
				if x < 0 || y < 0 || x >= nx || y >= ny || weight[y*nx+x] == 0 {
					continue
				}
				g := k[max(dx, -dx)] * k[max(dy, -dy)]
				b := [4]float64{1, float64(dx) / sigma, float64(dy) / sigma, rough[y*nx+x]}
				for p := range 3 {
					for q := range 4 {
						m[p][q] += g * b[p] * b[q]
					}
				}
			}
		}
		m[1][1] += slopeRidge * m[0][0]
		m[2][2] += slopeRidge * m[0][0]
		want, _ := solve3(m)
		if math.Abs(got[i]-want[0]) > 1e-9 {
			t.Errorf("at %d, %d: %v, want %v", i%nx, i/nx, got[i], want[0])
		}
	}
}
