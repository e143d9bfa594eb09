package evaluate

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"proofmark/correlate"
)

const pictureSide = correlate.SignatureSide

// levels are the heights that a signature's steps stand for, in units of the
// RMS: Lloyd–Max's for a normal variable (Max 1960), by half the number of levels.
var levels = map[int]struct{ heights, limits []float32 }{
	2: {[]float32{0.453, 1.510}, []float32{0.982}},
	3: {[]float32{0.318, 1.000, 1.894}, []float32{0.659, 1.447}},
}

// relief is a signature's picture in units of its RMS, 0 where nothing was
// measured: no level has that height.
type relief struct {
	facts  correlate.SignatureFacts
	source string
	z      [pictureSide * pictureSide]float32
}

func newRelief(s *correlate.Signature, source string) *relief {
	r := &relief{facts: s.Facts(), source: source}
	heights := levels[r.facts.Levels/2].heights
	for i, v := range s.Pixels() {
		switch {
		case v > 0:
			r.z[i] = heights[v-1]
		case v < 0:
			r.z[i] = -heights[-v-1]
		}
	}
	return r
}

// at is bilinear at pixels from the first one's centre, 0 where a neighbour is
// missing.
func (r *relief) at(x, y float32) float32 {
	if !(x >= 0 && y >= 0 && x < pictureSide-1 && y < pictureSide-1) {
		return 0
	}
	ix, iy := int(x), int(y)
	u, v := x-float32(ix), y-float32(iy)
	i := iy*pictureSide + ix
	a, b, c, d := r.z[i], r.z[i+1], r.z[i+pictureSide], r.z[i+pictureSide+1]
	if a == 0 || b == 0 || c == 0 || d == 0 {
		return 0
	}
	return (a*(1-u)+b*u)*(1-v) + (c*(1-u)+d*u)*v
}

// strange is how a distractor looks at a relief: mirrored, so that no true
// correspondence is left, turned, and bent by slow waves of tens of µm. It holds
// the place of every node-th pixel.
type strange [nodes * nodes][2]float32

const (
	node  = 10 // pixels, 312 µm: a fraction of the shortest wave
	nodes = pictureSide/node + 1
)

func newStrange(rng *rand.Rand) *strange {
	const pixel = 31.25 // µm
	var waves [4]struct{ kx, ky, phase, dx, dy float64 }
	sin, cos := math.Sincos(rng.Float64() * 2 * math.Pi)
	for i := range waves {
		k, direction := 2*math.Pi*pixel/(900+900*rng.Float64()), rng.Float64()*2*math.Pi
		waves[i] = struct{ kx, ky, phase, dx, dy float64 }{
			k * math.Cos(direction), k * math.Sin(direction), rng.Float64() * 2 * math.Pi,
			rng.NormFloat64() * 25 / pixel, rng.NormFloat64() * 25 / pixel,
		}
	}
	s := new(strange)
	const middle = float64(pictureSide-1) / 2
	for i := range s {
		x, y := float64(i%nodes*node)-middle, float64(i/nodes*node)-middle
		bx, by := x, y
		for _, w := range waves {
			f := math.Sin(w.kx*x + w.ky*y + w.phase)
			bx, by = bx+w.dx*f, by+w.dy*f
		}
		s[i] = [2]float32{float32(middle - (cos*bx - sin*by)), float32(middle + sin*bx + cos*by)}
	}
	return s
}

// row calls do with the place of each pixel of row y.
func (s *strange) row(y int, do func(x int, px, py float32)) {
	j, v := y/node, float32(y%node)/node
	for i := range nodes - 1 {
		a, b, c, d := s[j*nodes+i], s[j*nodes+i+1], s[(j+1)*nodes+i], s[(j+1)*nodes+i+1]
		px, py := a[0]*(1-v)+c[0]*v, a[1]*(1-v)+c[1]*v
		stepX, stepY := (b[0]*(1-v)+d[0]*v-px)/node, (b[1]*(1-v)+d[1]*v-py)/node
		for k := range node {
			do(i*node+k, px, py)
			px, py = px+stepX, py+stepY
		}
	}
}

// errThin: a mixture has too few measured pixels for a mark.
var errThin = errors.New("too little is left of the mixture")

// mixture mixes two warped, mirrored reliefs into the signature of a mark that
// nobody made: outline and facts are the first one's.
func mixture(a, b *relief, rng *rand.Rand) (*correlate.Signature, error) {
	var z [pictureSide * pictureSide]float32
	wa, wb := newStrange(rng), newStrange(rng)
	sin, cos := math.Sincos((25 + 40*rng.Float64()) * math.Pi / 180)
	own, other := float32(cos), float32(sin)
	for y := range pictureSide {
		line := z[y*pictureSide : (y+1)*pictureSide]
		wa.row(y, func(x int, px, py float32) { line[x] = own * a.at(px, py) })
		wb.row(y, func(x int, px, py float32) {
			if line[x] != 0 {
				line[x] += other * b.at(px, py)
			}
		})
	}
	square, n := 0.0, 0
	for _, v := range z {
		if v != 0 {
			square, n = square+float64(v)*float64(v), n+1
		}
	}
	if n < leastMixture {
		return nil, errThin
	}
	rms := float32(math.Sqrt(square / float64(n)))
	facts := a.facts
	pixels := make([]int8, len(z))
	for {
		limits := levels[facts.Levels/2].limits
		for i, v := range z {
			pixels[i] = step(v/rms, limits)
		}
		s, err := correlate.SignatureFromPixels(facts, pixels)
		if err != nil || n < largeMixture {
			return s, err
		}
		if _, err := s.MarshalBinary(); err == nil || facts.Levels == 4 {
			return s, err
		}
		facts.Levels = 4
	}
}

// Pixels of a mixture: fewer are no whole mark (0.4 mm²), so many
// might not fit a signature in six levels and are checked.
const (
	leastMixture = 410
	largeMixture = 6500
)

func step(v float32, limits []float32) int8 {
	if v == 0 {
		return 0
	}
	size := max(v, -v)
	k := int8(1)
	for _, l := range limits {
		if size > l {
			k++
		}
	}
	if v < 0 {
		return -k
	}
	return k
}

// mixer makes distractors of a set's marks.
type mixer struct {
	reliefs []*relief
	seed    uint64
}

// distractor draws number i of the mixer's distractors: equal seeds and numbers
// give equal signatures.
func (m *mixer) distractor(i int) (*correlate.Signature, error) {
	rng := rand.New(rand.NewPCG(m.seed^0xd157, uint64(i)))
	var err error
	for range 20 {
		a, b := m.reliefs[rng.IntN(len(m.reliefs))], m.reliefs[rng.IntN(len(m.reliefs))]
		if a == b && len(m.reliefs) > 1 {
			continue
		}
		var s *correlate.Signature
		if s, err = mixture(a, b, rng); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("distractor %d: twenty mixtures of the set's marks are no marks (last: %w)", i, err)
}
