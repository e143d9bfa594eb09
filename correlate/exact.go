package correlate

// Transcendental functions with the same bits on every architecture. The
// platform's math functions are partly assembly and may fuse products; these
// are plain series whose every product is rounded by an explicit conversion.

const (
	ln2    = 0.6931471805599453
	halfPi = 1.5707963267948966
)

// expNeg returns e^x for x ≤ 0 to about 1e-13 relative, 0 below −700.
func expNeg(x float64) float64 {
	if x < -700 {
		return 0
	}
	// e^x = (e^(x/2^k))^(2^k) with |x/2^k| ≤ 2^-6, where eight terms suffice.
	k := 0
	for x < -1.0/64 {
		x /= 2
		k++
	}
	sum := 1.0
	for i := 8; i >= 1; i-- {
		sum = 1 + float64(x*sum)/float64(i)
	}
	for ; k > 0; k-- {
		sum = float64(sum * sum)
	}
	return sum
}

// sinCosDeg returns sine and cosine of an angle in degrees.
func sinCosDeg(deg float64) (sin, cos float64) {
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

// sequence is a small deterministic generator (Weyl sequence with a 64-bit
// mixer) for sampling consensus; it needs to be the same everywhere, not secret.
type sequence uint64

func (s *sequence) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (s *sequence) below(n int) int { return int(s.next() % uint64(n)) }
