package correlate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// mixer makes distractors for large galleries: mirrored, turned and warped
// mixtures of two marks of a set. Mirrored marks are nobody's mates, but keep the
// statistics of the set's surfaces. A distractor's codes are its own; the bytes it
// would be compared finely by are those of one of a few mixtures, because encoding
// a million pictures takes an hour.
type mixer struct {
	smooth []*raster // low-passed heights, 0 = missing
	pool   [][]byte
}

func newMixer(signatures []*Signature) *mixer {
	m := &mixer{}
	for _, s := range signatures {
		r := new(raster)
		smoothRaster(r, s.values(), s.box())
		m.smooth = append(m.smooth, r)
	}
	rng := rand.New(rand.NewPCG(11, 12))
	for len(m.pool) < 48 {
		a, b := signatures[rng.IntN(len(signatures))], signatures[rng.IntN(len(signatures))]
		m.pool = append(m.pool, mixture(a, b, rng).encode())
	}
	return m
}

// mixture mirrors and turns two signatures and adds them over the first's area.
func mixture(a, b *Signature, rng *rand.Rand) *Signature {
	out := *a
	weight := 0.2 + 0.6*rng.Float64()
	ta, tb := rng.Float64()*2*math.Pi, rng.Float64()*2*math.Pi
	va, vb := a.values(), b.values()
	read := func(v *[side * side]int8, x, y, turn float64) float64 {
		sin, cos := math.Sincos(turn)
		px, py := int(cos*-x-sin*y+side/2), int(sin*-x+cos*y+side/2)
		if px < 0 || py < 0 || px >= side || py >= side {
			return 0
		}
		return float64(v[py*side+px])
	}
	for i := range out.pixels {
		x, y := float64(i%side)+0.5-side/2, float64(i/side)+0.5-side/2
		out.pixels[i] = 0
		va := read(va, x, y, ta)
		if va == 0 {
			continue
		}
		v := math.Sqrt(1-weight*weight)*va + weight*read(vb, x, y, tb)
		step := 1
		for _, t := range quantisers[out.steps].thresholds {
			if math.Abs(v) > 55*t {
				step++
			}
		}
		out.pixels[i] = int8(math.Copysign(float64(step), v))
	}
	out.bound()
	return &out
}

// entry draws one distractor.
func (m *mixer) entry(id string, rng *rand.Rand) entry {
	a, b := m.smooth[rng.IntN(len(m.smooth))], m.smooth[rng.IntN(len(m.smooth))]
	ta, tb := rng.Float64()*2*math.Pi, rng.Float64()*2*math.Pi
	weight := 0.9 * rng.Float64()
	own := math.Sqrt(1 - weight*weight)
	dx, dy := rng.NormFloat64()*3, rng.NormFloat64()*3
	warp, phase := rng.Float64()*12, rng.Float64()*2*math.Pi // raster points, 190 µm at most
	read := func(r *raster, x, y float64) float64 {
		px, py := int(x+rasterSide/2+0.5), int(y+rasterSide/2+0.5)
		if uint(px) >= rasterSide || uint(py) >= rasterSide {
			return 0
		}
		return float64(r[py*rasterSide+px])
	}
	sinW, cosW := math.Sincos(phase)
	sinA, cosA := math.Sincos(ta)
	sinB, cosB := math.Sincos(tb - ta)
	// at is the height at an offset of a grid's ring.
	at := func(ring int, o offset) float64 {
		// The directions' sines come from the table: a million distractors take a while.
		radius := float64(firstRing + ring*ringStep)
		cos, sin := float64(o.x)/16/radius, float64(o.y)/16/radius
		bend := warp / radius * (2*sin*cos*cosW + (cos*cos-sin*sin)*sinW)
		cos, sin = cos-bend*sin, -(sin + bend*cos) // warped, mirrored
		cos, sin = cosA*cos-sinA*sin, sinA*cos+cosA*sin
		v := read(a, radius*cos+dx, radius*sin+dy)
		if v == 0 {
			return 0
		}
		cos, sin = cosB*cos-sinB*sin, sinB*cos+cosB*sin
		return own*v + weight*read(b, radius*cos+dy, radius*sin-dx)
	}
	code := new(polarCode)
	for r := range rings {
		for k := range turns {
			v := at(r, polarSteps[r*turns+k])
			bit := uint64(1) << (k & 63)
			if math.Abs(v) >= signDead {
				code.mask[r][k>>6] |= bit
			}
			if v >= signDead {
				code.sign[r][k>>6] |= bit
			}
		}
	}
	clear := make([]int8, scanGrid.samples())
	for i, o := range scanGrid.steps {
		if v := at(i/scanTurns, o); math.Abs(v) >= signDead {
			clear[i] = int8(max(min(v, 104), -104)) / 2
		}
	}
	bytes := m.pool[rng.IntN(len(m.pool))]
	return entry{id: id, spots: scanGrid.pick(clear), reach: centreKind(bytes[5]).reach(), polar: packPolar(code), signature: bytes}
}

// pad puts n distractors into a gallery.
func (m *mixer) pad(g *Gallery, n int) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 99))
			for i := w; i < n; i += workers {
				e := m.entry(fmt.Sprintf("distractor-%07d", i), rng)
				g.put(kindClass{region: e.signature[4]}, e)
			}
		})
	}
	wg.Wait()
}

// signed is one labelled signature.
type signed struct {
	id, source string
	scan       *x3p.Scan
	*Signature
}

// searchSet is the real set, or generated firearms with two shots each.
func searchSet(tb testing.TB) []signed {
	tb.Helper()
	var out []signed
	for _, l := range realScans(tb, "fadul") {
		out = append(out, signed{l.name, l.source, l.scan, l.signature(tb)})
	}
	if out != nil {
		return out
	}
	for f := range uint64(8) {
		firearm := synth.NewMaker(70 + f/4).Firearm(f)
		for shot := range uint64(2) {
			scan := firearm.Fire(shot, synth.Shot{})
			out = append(out, signed{fmt.Sprintf("firearm %d shot %d", f, shot), fmt.Sprint(f), scan, mustEncode(tb, scan)})
		}
	}
	return out
}

// crowd is a gallery of a set among n distractors.
func crowd(tb testing.TB, set []signed, n int) *Gallery {
	tb.Helper()
	g := NewGallery()
	var plain []*Signature
	for _, s := range set {
		g.PutSignature(s.id, Class{}, s.Signature)
		plain = append(plain, s.Signature)
	}
	newMixer(plain).pad(g, n)
	return g
}
