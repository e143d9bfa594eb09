package synth

import (
	"math"
	"math/rand/v2"
	"sync"
)

// How marks change with use. They stay for thousands of rounds (Bonfanti and De
// Kinder 1999 review it); the figures are chosen for that and fitted to nothing.
const (
	lasting   = 30000.0 // rounds after which a mark has lost all but 1/e of its height
	perDamage = 400.0   // rounds from one new pit, burr or scratch to the next
)

// After returns the firearm as it is when this many more rounds were fired: marks
// fade, others come up between them, and now and then something makes a pit, a
// burr or a scratch. What 500 rounds did is part of what 1,000 do. The count of a
// firearm that was never worn is 0; a negative one returns it as it is.
func (f *Firearm) After(rounds int) *Firearm {
	if rounds <= 0 {
		return f
	}
	base := f
	if f.base != nil {
		base = f.base
	}
	worn := *base
	worn.base, worn.rounds = base, f.rounds+rounds
	keep := math.Exp(-float64(worn.rounds) / lasting)
	seeds := []uint64{base.maker.seed, base.seed}
	worn.z = eroded(stream("erosion", seeds...), base.z, side, keep, base.maker.relief)
	worn.pin = sync.OnceValue(func() *pin {
		tip := *base.pin()
		tip.z = eroded(stream("erosion of the firing pin", seeds...), tip.z, pinSide, keep, 0.8)
		return &tip
	})
	if base.shear != nil {
		worn.shear = sync.OnceValue(func() comb {
			edge := newComb(stream("erosion of the aperture edge", seeds...), shearHeight)
			for i, v := range base.shear() {
				edge[i] = keep*v + math.Sqrt(1-keep*keep)*edge[i]
			}
			return edge
		})
	}
	damage(stream("damage", base.maker.seed, base.seed), worn.z, worn.rounds)
	return &worn
}

// eroded lets a share keep of the heights stand and fills up with new ones.
func eroded(r *rand.Rand, z []float32, n int, keep, relief float64) []float32 {
	fresh := newRoughness(r, grainSpectrum, -float64(n)/2*pitch, pitch, n)
	out, row := make([]float32, len(z)), make([]float64, n)
	gain := 1e6 * relief * math.Sqrt(1-keep*keep)
	for y := range n {
		fresh.row(row, (float64(y)-float64(n)/2)*pitch)
		for x, v := range row {
			if i := y*n + x; z[i] != 0 {
				out[i] = float32(keep*float64(z[i]) + gain*v)
			}
		}
	}
	return out
}

// damage adds what happens to a face at single rounds, in their order.
func damage(r *rand.Rand, z []float32, rounds int) {
	for at := perDamage * r.ExpFloat64(); at < float64(rounds); at += perDamage * r.ExpFloat64() {
		x, y := side*r.Float64(), side*r.Float64()
		across, along := between(r, 2, 8), between(r, 3, 25) // points
		depth := between(r, 1, 4)
		if r.IntN(3) > 0 {
			depth = -depth
		}
		sin, cos := math.Sincos(math.Pi * r.Float64())
		reach := int(3 * along)
		for j := max(int(y)-reach, 0); j < min(int(y)+reach, side); j++ {
			for i := max(int(x)-reach, 0); i < min(int(x)+reach, side); i++ {
				dx, dy := float64(i)-x, float64(j)-y
				a, l := (dy*cos-dx*sin)/across, (dx*cos+dy*sin)/along
				if d := a*a + l*l; d < 9 && z[j*side+i] != 0 {
					z[j*side+i] += float32(depth * math.Exp(-d/2))
				}
			}
		}
	}
}
