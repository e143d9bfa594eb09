// Package exact owns the few functions beyond + − × ÷ √ that lie between a scan
// and its score, with the same bits on every architecture. It refuses to know
// what they are used for.
//
// The platform's math functions are partly assembly and may fuse products; these
// are plain series whose every product is rounded by an explicit conversion,
// float64(x*y)+z, which no compiler may fuse (Go specification, "Floating-point
// operators").
package exact

import "math"

const (
	// halfLn2 is a constant of its own: halving is a product to the compiler, which
	// it would fuse.
	halfLn2 = 0.34657359027997264
	halfPi  = 1.5707963267948966
)

// ExpNeg returns e^x for x ≤ 0, relative error about 1e-14 near 0 and 1e-12 at −40
// (each halving of x is a squaring of the result), 0 below −700.
func ExpNeg(x float64) float64 {
	if x < -700 {
		return 0
	}
	// e^x = (e^(x/2^k))^(2^k) with |x/2^k| ≤ 2^-6, where nine terms suffice.
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

// SinCosDeg returns sine and cosine of an angle in degrees to about 1e-15.
func SinCosDeg(deg float64) (sin, cos float64) {
	for deg < 0 {
		deg += 360
	}
	for deg >= 360 {
		deg -= 360
	}
	quadrant := int(deg / 90)
	x := float64((deg-float64(90*quadrant))/90) * halfPi
	x2 := float64(x * x)
	sin, cos = 1, 1
	for i := 11; i >= 1; i-- {
		sin = 1 - float64(x2*sin)/float64((2*i)*(2*i+1))
		cos = 1 - float64(x2*cos)/float64((2*i-1)*(2*i))
	}
	sin = float64(x * sin)
	switch quadrant & 3 {
	case 1:
		return cos, -sin
	case 2:
		return -sin, -cos
	case 3:
		return -cos, sin
	}
	return sin, cos
}

// Atanh returns the inverse hyperbolic tangent for |x| ≤ 0.99 to about 1e-14.
func Atanh(x float64) float64 {
	if x < 0 {
		return -Atanh(-x)
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

// Sequence is a small deterministic generator (Weyl sequence with a 64-bit
// mixer) for sampling consensus and shuffles that come out the same everywhere.
// Its value is its state; it is not secret and not for statistics.
type Sequence uint64

// Next draws 64 bits.
func (s *Sequence) Next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Below draws from 0 to n−1, n > 0.
func (s *Sequence) Below(n int) int { return int(s.Next() % uint64(n)) }
