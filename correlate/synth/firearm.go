package synth

import (
	"math"
	"math/rand/v2"
)

const (
	pitch  = 6.25e-6 // of the scans and of the slide's raster, metres
	extent = 4.8e-3  // of the slide's raster, metres
	side   = 768     // extent / pitch
)

// Firearm is the breech face of one firearm as it is pressed into a primer. It
// is immutable and safe for concurrent use; it holds 2.4 MB.
type Firearm struct {
	maker *Maker
	seed  uint64
	z     []float32 // side × side heights in µm, aperture's centre in the middle
}

// individual is the roughness of a single face, before the maker's share of
// striae is taken off: fitted by hand to the band RMS in the package comment.
var individual = []octave{
	{12.5e-6, 0.40e-6}, {25e-6, 0.55e-6}, {45e-6, 0.78e-6}, {80e-6, 0.78e-6}, {140e-6, 0.55e-6},
}

// Firearm draws a firearm of this maker from a seed.
func (m *Maker) Firearm(seed uint64) *Firearm {
	r := stream("firearm", m.seed, seed)
	f := &Firearm{maker: m, seed: seed, z: make([]float32, side*side)}
	grain := newRoughness(r, individual, -extent/2, side)
	marks := newToolMarks(r, m)
	along := math.Sqrt(1 - m.striae)
	const half = extent / 2
	hole := m.aperture - 0.1e-3
	row := make([]float64, side)
	for y := range side {
		v := (float64(y) - side/2) * pitch
		grain.row(row, v)
		for x := range side {
			u := (float64(x) - side/2) * pitch
			if rr := u*u + v*v; rr < hole*hole || rr > half*half {
				continue // never in a scan, whatever the warp
			}
			h := along * row[x]
			if m.pattern != Granular {
				h += marks.at(u, v)
			}
			f.z[y*side+x] = float32(1e6 * pitted(h))
		}
	}
	return f
}

// pitted deepens what is low and flattens what is high, as blasting and pressing
// do: real faces show sharp pits between broad plateaus. Metres.
func pitted(h float64) float64 {
	const bend = 0.12 // µm of extra depth per µm² of height
	um := h * 1e6
	const mean = 1.8 // µm², of the square of a face's height
	return (um - bend*(min(um*um, 9)-mean)) * 1e-6
}

// at returns the height in µm at a point of the slide's frame (metres) by
// Catmull-Rom interpolation; beyond the raster it is zero.
func (f *Firearm) at(u, v float64) float64 {
	x, y := u/pitch+side/2, v/pitch+side/2
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := int(fx)-1, int(fy)-1
	if ix < 0 || iy < 0 || ix+4 > side || iy+4 > side {
		return 0
	}
	wx, wy := catmullRom(x-fx), catmullRom(y-fy)
	sum := 0.0
	for k, w := range wy {
		row := f.z[(iy+k)*side+ix:][:4]
		sum += w * (wx[0]*float64(row[0]) + wx[1]*float64(row[1]) + wx[2]*float64(row[2]) + wx[3]*float64(row[3]))
	}
	return sum
}

func catmullRom(t float64) [4]float64 {
	return [4]float64{
		t * (-0.5 + t*(1-0.5*t)),
		1 + t*t*(1.5*t-2.5),
		t * (0.5 + t*(2-1.5*t)),
		t * t * (0.5*t - 0.5),
	}
}

// toolMarks are the grooves that a cutter leaves: cusps at the pitch of its feed,
// which is the maker's, and striae along them, which are the firearm's own. The
// phase of the feed and its wander belong to the firearm: two slides of a maker
// show the same pattern, not the same grooves.
type toolMarks struct {
	maker      *Maker
	sin, cos   float64
	phase      float64 // of the feed, in pitches
	wander     *field  // of the feed's phase
	chatter    *field  // of the cusps' height
	striae     []*field
	striaeRMS  []float64
	striaGroup float64 // share of striae, as amplitude
}

func newToolMarks(r *rand.Rand, m *Maker) *toolMarks {
	t := &toolMarks{
		maker: m, phase: r.Float64(), striaGroup: math.Sqrt(m.striae),
		wander:  newField(r, 0.9e-3, 2.5e-3),
		chatter: newField(r, 0.25e-3, 1.2e-3),
	}
	t.sin, t.cos = math.Sincos(m.direction)
	for _, o := range individual {
		t.striae = append(t.striae, newField(r, o.spacing, 6*o.spacing))
		t.striaeRMS = append(t.striaeRMS, o.rms)
	}
	return t
}

// at returns the height in metres; q runs across the grooves, l along them.
func (t *toolMarks) at(u, v float64) float64 {
	q, l := v*t.cos-u*t.sin, u*t.cos+v*t.sin
	if t.maker.pattern == Arched {
		r := math.Hypot(l, q+t.maker.arch)
		l, q = t.maker.arch*math.Atan2(l, q+t.maker.arch), r-t.maker.arch
	}
	h := 0.0
	for i, f := range t.striae {
		h += t.striaeRMS[i] * f.at(q, l)
	}
	feed := q/t.maker.pitch + t.phase + 0.12*t.wander.at(q, l)
	feed -= math.Floor(feed)
	// A round cutter leaves parabolas; 12·(x−½)²−1 has mean 0 and RMS √0.8.
	cusp := (12*(feed-0.5)*(feed-0.5) - 1) / 0.894
	return t.striaGroup*h + t.maker.cusp*(1+0.5*t.chatter.at(q, l))*cusp
}
