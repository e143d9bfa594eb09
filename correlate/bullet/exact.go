package bullet

import "math"

// Transcendental functions with the same bits on every architecture, as plain
// series whose every product is rounded by an explicit conversion.

// halfLn2 is a constant of its own: halving is a product to the compiler, which
// it would fuse.
const halfLn2 = 0.34657359027997264

// expNeg returns e^x for x ≤ 0 to about 1e-14 relative, 0 below −700.
func expNeg(x float64) float64 {
	if x < -700 {
		return 0
	}
	halvings := 0
	for x < -1.0/64 {
		x /= 2
		halvings++
	}
	sum := 1.0
	for i := 9; i >= 1; i-- {
		sum = 1 + float64(x*sum)/float64(i)
	}
	for range halvings {
		sum = float64(sum * sum)
	}
	return sum
}

// atanh returns the inverse hyperbolic tangent for |x| ≤ 0.99.
func atanh(x float64) float64 {
	if x < 0 {
		return -atanh(-x)
	}
	// Half of ln((1+x)/(1−x)), the power of two taken off so that the series of
	// ln m = 2·artanh((m−1)/(m+1)) runs over |t| ≤ 1/3.
	m, e := math.Frexp((1 + x) / (1 - x))
	t := (m - 1) / (m + 1)
	t2 := float64(t * t)
	sum := 0.0
	for i := 35; i >= 1; i -= 2 {
		sum = 1/float64(i) + float64(t2*sum)
	}
	return float64(t*sum) + float64(float64(e)*halfLn2)
}
