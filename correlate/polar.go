package correlate

import (
	"math"

	"proofmark/correlate/exact"
)

// The polar code: the sign of the marks at longer waves, sampled on rings
// around a centre. Turning the exhibit turns the rings' bits, so all rotations
// of a signature come from one code.
const (
	turns     = 192 // angular samples per ring, 1.875° apart
	ringWords = turns / 64
	firstRing = 24 // radius of the innermost ring, in raster points (375 µm)
	ringStep  = 5  // raster points (78 µm)
	rings     = 23 // the outermost ring has 2.1 mm radius
)

// polarCode holds sign and validity of each sample; bit k of ring r stands for
// the direction of k × 1.875°.
type polarCode struct {
	sign, mask [rings][ringWords]uint64
}

// offset is a displacement in units of 1/16 raster point (0.98 µm).
type offset struct{ x, y int32 }

// polarSteps holds the samples' offsets from the centre in 1/16 raster points.
var polarSteps = func() (t [rings * turns]offset) {
	for k := range turns {
		sin, cos := exact.SinCosDeg(float64(k) * 360 / turns)
		for r := range rings {
			radius := float64(16 * (firstRing + r*ringStep))
			t[r*turns+k] = offset{roundInt(float64(radius * cos)), roundInt(float64(radius * sin))}
		}
	}
	return t
}()

// polarOrigin is the frame's origin on a raster in 1/16 points, and half a point
// more, so that >> 4 rounds to the nearest point.
const polarOrigin = 16*rasterSide/2 + 8

func roundInt(x float64) int32 {
	return int32(math.Floor(float64(x) + 0.5))
}

// sampleRing reads the signs on ring r around a centre displaced from the
// frame's origin.
func sampleRing(signs *raster, at offset, r int) (sign, mask [ringWords]uint64) {
	steps := polarSteps[r*turns : (r+1)*turns]
	for w := range ringWords {
		var s, m uint64
		for k, o := range steps[64*w : 64*(w+1)] {
			x, y := uint32(polarOrigin+at.x+o.x)>>4, uint32(polarOrigin+at.y+o.y)>>4
			// A negative coordinate is a huge one here.
			if x >= rasterSide || y >= rasterSide {
				continue
			}
			v := uint64(signs[y*rasterSide+x])
			m |= v & 1 << k
			s |= v >> 1 & 1 << k
		}
		sign[w], mask[w] = s, m
	}
	return sign, mask
}

// codesOf makes the polar code and the spots of a template's sign raster.
func codesOf(signs *raster) (*polarCode, spotCode) {
	code := new(polarCode)
	for r := range rings {
		code.sign[r], code.mask[r] = sampleRing(signs, offset{}, r)
	}
	return code, scanGrid.pick(scanGrid.at(signs, offset{}))
}

// span is the range from ≤ r < to of the rings that hold anything.
func (c *polarCode) span() (from, to int) {
	for r := range rings {
		if c.mask[r] != [ringWords]uint64{} {
			if to == 0 {
				from = r
			}
			to = r + 1
		}
	}
	return from, to
}
