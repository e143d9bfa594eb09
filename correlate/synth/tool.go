package synth

import (
	"math"
	"math/rand/v2"
)

// grainSpectrum is the roughness of a single face before the maker's share of
// striae is taken off: fitted by hand to the band RMS in docs/generator.md.
var grainSpectrum = []octave{
	{12.5e-6, 0.34e-6, 0.3}, {25e-6, 0.42e-6, -0.4}, {45e-6, 0.60e-6, 0.4}, {80e-6, 0.95e-6, -0.3}, {140e-6, 0.78e-6, 0.2},
}

// unevenness is the standard deviation of the logarithm of the marks' height over
// a face.
const (
	unevenness = 0.28
	evenness   = 1 - unevenness*unevenness + unevenness*unevenness*unevenness*unevenness/2 // e^(−unevenness²)
)

// toolMarks are what the tool leaves on one face. The grain is torn metal without
// direction; striae run along the tool's way; cusps stand at the pitch of the
// feed, which is the maker's. The phase of the feed and its wander belong to the
// face: two slides of a maker show the same pattern, not the same grooves.
type toolMarks struct {
	maker    *Maker
	sin, cos float64
	phase    float64  // of the feed, in pitches
	wander   *field   // of the feed's phase
	chatter  *field   // of the cusps' height
	uneven   *field   // torn here and smooth there
	grain    []*field // by octave of grainSpectrum
	striae   []*field
}

// newToolMarks draws all marks of a face; [toolMarks.mix] makes faces alike.
func newToolMarks(r *rand.Rand, m *Maker) *toolMarks {
	t := &toolMarks{maker: m, phase: r.Float64(), wander: newField(r, 0.9e-3, 2.5e-3), chatter: newField(r, 0.25e-3, 1.2e-3), uneven: newField(r, 0.15e-3, 0.15e-3)}
	t.sin, t.cos = math.Sincos(m.direction)
	length := 6.0 // of a stria against its width
	if m.class.Process == Broached {
		length = 30
	}
	for _, o := range grainSpectrum {
		t.grain = append(t.grain, newField(r, o.spacing, o.spacing))
		if m.striae > 0 {
			t.striae = append(t.striae, newField(r, o.spacing, length*o.spacing))
		}
	}
	return t
}

// mix replaces the marks by wa of them and wb of another face's, feed marks
// apart: those are the class's.
func (t *toolMarks) mix(wa float64, other *toolMarks, wb float64) {
	for k := range t.grain {
		t.grain[k].mix(wa, other.grain[k], wb)
	}
	for k := range t.striae {
		t.striae[k].mix(wa, other.striae[k], wb)
	}
}

// fill computes the raster of a face in µm, 0 where no scan ever reaches.
func (t *toolMarks) fill(z []float32) {
	m := t.maker
	along := m.relief * math.Sqrt(1-m.striae)
	grain := roughnessOf(t.grain, grainSpectrum, -extent/2, pitch, side)
	const half = extent / 2
	uneven := t.uneven.columns(unevenness, -extent/2, pitch, side)
	row, gain := make([]float64, side), make([]float64, side)
	for y := range side {
		v := (float64(y) - side/2) * pitch
		grain.row(row, v)
		clear(gain)
		uneven.addRow(gain, v)
		for x := range side {
			u := (float64(x) - side/2) * pitch
			if u*u+v*v > half*half || m.outside(u, v) < -0.1e-3 {
				continue
			}
			h := along * row[x]
			if m.striae > 0 {
				h += m.relief * t.at(u, v)
			}
			// Without unevenness heights have no tails. The exponential to third order
			// is positive and near enough; the root of its mean square is 1.
			g := gain[x]
			z[y*side+x] = float32(1e6 * h * evenness * (1 + g + g*g/2 + g*g*g/6))
		}
	}
}

// at returns the height in metres of what has a direction; q runs across the
// grooves, l along them.
func (t *toolMarks) at(u, v float64) float64 {
	m := t.maker
	q, l := v*t.cos-u*t.sin, u*t.cos+v*t.sin
	turn := 0.0
	switch m.class.Process {
	case FaceMilled:
		r := math.Hypot(l, q+m.arch)
		l, q = m.arch*math.Atan2(l, q+m.arch), r-m.arch
	case Turned:
		turn = math.Atan2(l, q) / (2 * math.Pi)
		q = math.Hypot(l, q)
	}
	h := 0.0
	for i, f := range t.striae {
		qi, li := q, l
		switch m.class.Process {
		case Turned: // once round is once through the lattice, so that rings close
			li = turn * float64(f.ny) / f.y
		case Filed: // strokes of one octave lie alike, those of the next across them
			s, c := filing[i][0], filing[i][1]
			qi, li = q*c-l*s, l*c+q*s
		}
		o := grainSpectrum[i]
		h += o.rms * o.fold(f.at(qi, li))
	}
	h *= math.Sqrt(m.striae)
	if m.cusp == 0 {
		return h
	}
	feed := q/m.pitch + t.phase + 0.12*t.wander.at(q, l)
	feed -= math.Floor(feed)
	// A round cutter leaves parabolas; 12·(x−½)²−1 has mean 0 and RMS √0.8.
	cusp := (12*(feed-0.5)*(feed-0.5) - 1) / 0.894
	return h + m.cusp*(1+0.5*t.chatter.at(q, l))*cusp
}

// filing is the sine and cosine of each octave's direction against the mean one.
var filing = func() (turned [5][2]float64) {
	for i, degrees := range []float64{-20, 20, -17, 24, 0} {
		turned[i][0], turned[i][1] = math.Sincos(degrees * math.Pi / 180)
	}
	return turned
}()
