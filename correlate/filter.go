package correlate

import (
	"math"

	"proofmark/correlate/exact"
)

// The band and the normalisation of breech-face marks. Wavelengths in µm; the
// Gaussian profile filter of ISO 16610-21 has its 50 % point at wavelength λ
// for σ = 0.1874·λ.
const (
	sigmaPerLambda = 0.1874
	shortCut       = 80.0  // µm, removes noise and what two instruments resolve differently
	longCut        = 250.0 // µm, removes form and waviness
	powerSigma     = 100.0 // µm, window of the local RMS
	powerClip      = 4.0   // × median |v|, keeps single spikes out of the local RMS
	powerFloor     = 0.05  // × median², keeps smooth patches from being inflated
	amplitudeClip  = 2.5   // × RMS
)

// marks is the band-passed surface before quantisation.
type marks struct {
	*surface
	rms   float64   // µm over valid points, before the local normalisation
	power []float64 // local RMS, µm
}

// bandPass filters the levelled face and divides it by its local RMS.
func bandPass(s *surface) *marks {
	n := len(s.z)
	weight := make([]float64, n)
	for i, ok := range s.ok {
		if ok {
			weight[i] = 1
		} else {
			s.z[i] = 0
		}
	}
	short := maskedGauss(s.z, weight, s.nx, s.ny, sigmaPerLambda*shortCut/workPitch)
	long := waviness(s.z, weight, s.nx, s.ny, sigmaPerLambda*longCut/workPitch)
	v := short
	mags := make([]float64, 0, n)
	sum := 0.0
	for i, ok := range s.ok {
		if !ok {
			v[i] = 0
			continue
		}
		v[i] -= long[i]
		sum += float64(v[i] * v[i])
		mags = append(mags, abs(v[i]))
	}
	m := &marks{surface: &surface{nx: s.nx, ny: s.ny, z: v, ok: s.ok}}
	if len(mags) == 0 {
		return m
	}
	m.rms = math.Sqrt(sum / float64(len(mags)))
	med := median(mags)
	m.power = localPower(v, weight, s.nx, s.ny, med)
	floor := float64(powerFloor * float64(med*med))
	for i, ok := range s.ok {
		if ok && m.power[i]+floor > 0 {
			v[i] /= math.Sqrt(m.power[i] + floor)
		}
	}
	for i := range m.power {
		m.power[i] = math.Sqrt(m.power[i])
	}
	sum = 0
	for i, ok := range s.ok {
		if ok {
			sum += float64(v[i] * v[i])
		}
	}
	limit := amplitudeClip * math.Sqrt(sum/float64(len(mags)))
	for i := range v {
		v[i] = min(max(v[i], -limit), limit)
	}
	return m
}

// localPower is the mean square of v in a Gaussian window. It is smooth, so a
// grid of half the resolution is enough.
func localPower(v, weight []float64, nx, ny int, med float64) []float64 {
	hx, hy := (nx+1)/2, (ny+1)/2
	power, halfW := make([]float64, hx*hy), make([]float64, hx*hy)
	limit := powerClip * med
	for y := range ny {
		for x := range nx {
			i := y*nx + x
			if weight[i] == 0 {
				continue
			}
			c := min(abs(v[i]), limit)
			power[(y/2)*hx+x/2] += float64(c * c)
			halfW[(y/2)*hx+x/2]++
		}
	}
	// maskedGauss expects values already weighted.
	smooth := maskedGauss(power, halfW, hx, hy, powerSigma/(2*workPitch))
	out := make([]float64, nx*ny)
	for y := range ny {
		for x := range nx {
			out[y*nx+x] = smooth[(y/2)*hx+x/2]
		}
	}
	return out
}

// maskedGauss smooths values z (zero where weight is zero, else already
// multiplied by the weight) and divides by the smoothed weight: normalised
// convolution. sigma is in points; the kernel ends at 3.5σ.
func maskedGauss(z, weight []float64, nx, ny int, sigma float64) []float64 {
	k := gaussKernel(sigma)
	num := make([]float64, nx*ny)
	den := make([]float64, nx)
	zRows, weightRows := alongRows(z, nx, ny, k, even), alongRows(weight, nx, ny, k, even)
	for y := range ny {
		out := num[y*nx : (y+1)*nx]
		columnsAt(out, zRows, y, ny, k, even)
		columnsAt(den, weightRows, y, ny, k, even)
		for x, d := range den {
			if d > 1e-9 {
				out[x] /= d
			} else {
				out[x] = 0
			}
		}
	}
	return num
}

// gaussKernel is one half of a symmetric kernel, k[0] its centre, sum 1.
func gaussKernel(sigma float64) []float64 {
	r := int(math.Ceil(3.5 * sigma))
	k := make([]float64, r+1)
	sum := 0.0
	for i := range k {
		q := float64(i) / sigma
		k[i] = exact.ExpNeg(-0.5 * float64(q*q))
		sum += k[i]
		if i > 0 {
			sum += k[i]
		}
	}
	for i := range k {
		k[i] /= sum
	}
	return k
}

// A parity tells how the points at equal distance on either side count: their sum for
// a symmetric kernel, after less before for an antisymmetric one.
type parity bool

const (
	even parity = false
	odd  parity = true
)

// alongRows applies half a kernel along rows; outside the grid is zero.
func alongRows(z []float64, nx, ny int, k []float64, p parity) []float64 {
	r := len(k) - 1
	rows := make([]float64, nx*ny)
	padded := make([]float64, nx+2*r)
	line := func(d int) []float64 { return padded[r+d : r+d+nx] }
	for y := range ny {
		copy(padded[r:], z[y*nx:(y+1)*nx])
		p.apply(rows[y*nx:(y+1)*nx], k, line)
	}
	return rows
}

// columnsAt applies half a kernel along columns, for row y alone: what a caller needs
// of several kernels at one point stays in the nearest cache.
func columnsAt(out, rows []float64, y, ny int, k []float64, p parity) {
	nx := len(out)
	k = k[:min(len(k), max(y, ny-1-y)+1)]
	var zero []float64
	p.apply(out, k, func(d int) []float64 {
		if y+d < 0 || y+d >= ny {
			if zero == nil {
				zero = make([]float64, nx)
			}
			return zero
		}
		return rows[(y+d)*nx : (y+d+1)*nx]
	})
}

// apply weighs lines with half a kernel; line(d) is the one d points on. Each sum is
// made in the order of distance, four distances at a time.
func (p parity) apply(out, k []float64, line func(d int) []float64) {
	scaleInto(out, line(0), k[0])
	j := 1
	for ; j+3 < len(k); j += 4 {
		before := [4][]float64{line(-j), line(-j - 1), line(-j - 2), line(-j - 3)}
		after := [4][]float64{line(j), line(j + 1), line(j + 2), line(j + 3)}
		if p == odd {
			addDifferences(out, &before, &after, (*[4]float64)(k[j:]))
		} else {
			addPairs(out, &before, &after, (*[4]float64)(k[j:]))
		}
	}
	for ; j < len(k); j++ {
		if p == odd {
			addDifference(out, line(-j), line(j), k[j])
		} else {
			addPair(out, line(-j), line(j), k[j])
		}
	}
}

func scaleInto(out, a []float64, w float64) {
	a = a[:len(out)]
	for i := range out {
		out[i] = float64(a[i] * w)
	}
}

func addPair(out, a, b []float64, w float64) {
	a, b = a[:len(out)], b[:len(out)]
	for i := range out {
		out[i] += float64((a[i] + b[i]) * w)
	}
}

func addDifference(out, a, b []float64, w float64) {
	a, b = a[:len(out)], b[:len(out)]
	for i := range out {
		out[i] += float64((b[i] - a[i]) * w)
	}
}

func addPairs(out []float64, before, after *[4][]float64, w *[4]float64) {
	n := len(out)
	a, b, c, d := before[0][:n], before[1][:n], before[2][:n], before[3][:n]
	e, f, g, h := after[0][:n], after[1][:n], after[2][:n], after[3][:n]
	for i, sum := range out {
		sum += float64((a[i] + e[i]) * w[0])
		sum += float64((b[i] + f[i]) * w[1])
		sum += float64((c[i] + g[i]) * w[2])
		sum += float64((d[i] + h[i]) * w[3])
		out[i] = sum
	}
}

func addDifferences(out []float64, before, after *[4][]float64, w *[4]float64) {
	n := len(out)
	a, b, c, d := before[0][:n], before[1][:n], before[2][:n], before[3][:n]
	e, f, g, h := after[0][:n], after[1][:n], after[2][:n], after[3][:n]
	for i, sum := range out {
		sum += float64((e[i] - a[i]) * w[0])
		sum += float64((f[i] - b[i]) * w[1])
		sum += float64((g[i] - c[i]) * w[2])
		sum += float64((h[i] - d[i]) * w[3])
		out[i] = sum
	}
}
