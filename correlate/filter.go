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
	num := convolve(z, nx, ny, k)
	den := convolve(weight, nx, ny, k)
	for i, d := range den {
		if d > 1e-9 {
			num[i] /= d
		} else {
			num[i] = 0
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

// convolve applies the symmetric kernel along rows, then along columns; outside
// the grid is zero.
func convolve(z []float64, nx, ny int, k []float64) []float64 {
	return alongColumns(alongRows(z, nx, ny, k, addPair), nx, ny, k, addPair)
}

// alongRows applies half a kernel along rows, pair telling how the points at equal
// distance on either side are added: addPair for a symmetric kernel, addDifference
// for an antisymmetric one.
func alongRows(z []float64, nx, ny int, k []float64, pair func(out, a, b []float64, w float64)) []float64 {
	r := len(k) - 1
	rows := make([]float64, nx*ny)
	padded := make([]float64, nx+2*r)
	for y := range ny {
		copy(padded[r:], z[y*nx:(y+1)*nx])
		out := rows[y*nx : (y+1)*nx]
		scaleInto(out, padded[r:r+nx], k[0])
		for j := 1; j <= r; j++ {
			pair(out, padded[r-j:r-j+nx], padded[r+j:r+j+nx], k[j])
		}
	}
	return rows
}

// alongColumns is alongRows along columns.
func alongColumns(rows []float64, nx, ny int, k []float64, pair func(out, a, b []float64, w float64)) []float64 {
	r := len(k) - 1
	out := make([]float64, nx*ny)
	zero := make([]float64, nx)
	row := func(y int) []float64 {
		if y < 0 || y >= ny {
			return zero
		}
		return rows[y*nx : (y+1)*nx]
	}
	for y := range ny {
		o := out[y*nx : (y+1)*nx]
		scaleInto(o, row(y), k[0])
		for j := 1; j <= r; j++ {
			if y-j < 0 && y+j >= ny {
				break
			}
			pair(o, row(y-j), row(y+j), k[j])
		}
	}
	return out
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
