package synth

import (
	"fmt"
	"math"
	"math/rand/v2"

	"proofmark/correlate/x3p"
)

// LandShot says how one bullet was fired and its lands scanned. A zero field is
// as usual; a negative Noise, Dropout, Change or Slip means none.
type LandShot struct {
	Pitch   float64 // across the striae, metres; 1.5625 µm
	Along   float64 // pitch along the striae, metres; the same
	Columns int     // points across; 2,365 µm of them
	Rows    int     // points along; 660 µm of them
	Noise   float64 // of the instrument, metres RMS; 0.06 µm
	Dropout float64 // share of points lost apart from steep slopes; 0.004
	Change  float64 // power of striae that this bullet has alone, as a share; drawn, 0.08 in the median
	Slip    float64 // share of the land's middle that the barrel touched late; drawn
	// Mirrored scans run from the last column to the first.
	Mirrored bool
}

// FireBullet returns scans of all lands of one bullet in the order of the
// barrel, land 1 being a land drawn from the seed: an examiner begins anywhere.
// The second result is how many lands later than the barrel's own numbering it
// begins.
func (b *Barrel) FireBullet(seed uint64, s LandShot) ([]*x3p.Scan, int) {
	first := stream("phase", b.seed, seed).IntN(len(b.lands))
	scans := make([]*x3p.Scan, len(b.lands))
	for i := range scans {
		scans[i] = b.FireLand(seed, (first+i)%len(b.lands), s)
	}
	return scans, first
}

// FireLand returns an unprocessed scan of the area that the barrel's land i (from
// 0) engraved on one bullet: heights in metres with the bullet's curvature,
// groove shoulders on both sides, the base edge in the last rows. Equal seeds
// and shots give equal bits on one platform.
func (b *Barrel) FireLand(seed uint64, i int, s LandShot) *x3p.Scan {
	r := stream("land shot", b.seed, seed, uint64(i))
	s = s.usual(r)
	m := newEngraving(&b.lands[i], r, s)
	scan := &x3p.Scan{
		SizeX: s.Columns, SizeY: s.Rows, IncX: s.Pitch, IncY: s.Along,
		Z: make([]float64, s.Columns*s.Rows),
		Meta: x3p.Meta{
			Date: "2000-01-01T00:00:00Z", CalibrationDate: "2000-01-01T00:00:00Z",
			Creator: "Proofmark", Manufacturer: "Proofmark", Model: "synth", Serial: "simulated", Version: "1",
			ProbingType: "Software", ProbingID: "simulated land engraved area",
			Comment: fmt.Sprintf("simulated, not measured: barrel %d, bullet %d, land %d", b.seed, seed, i+1),
		},
	}
	for y := range s.Rows {
		m.row(r, scan.Z[y*s.Columns:(y+1)*s.Columns], (float64(y)+0.5)*s.Along)
	}
	return scan
}

func (s LandShot) usual(r *rand.Rand) LandShot {
	slip, change := between(r, 0.1, 0.75), 0.08*math.Exp(0.8*r.NormFloat64())
	pick := func(v *float64, usual float64) {
		if *v == 0 {
			*v = usual
		}
		*v = max(*v, 0)
	}
	pick(&s.Pitch, 1.5625e-6)
	pick(&s.Along, s.Pitch)
	pick(&s.Noise, 0.06e-6)
	pick(&s.Dropout, 0.004)
	pick(&s.Change, change)
	pick(&s.Slip, slip)
	if s.Columns == 0 {
		s.Columns = int(2365e-6 / s.Pitch)
	}
	if s.Rows == 0 {
		s.Rows = int(660e-6 / s.Along)
	}
	return s
}

const (
	bulletRadius = 4.5e-3  // metres, 9 mm
	contactFade  = 15e-6   // over which striae set in
	baseEdge     = 30e-6   // of fall where the bullet's base begins
	leadRough    = 0.35e-6 // RMS of what no land touched
	grainRMS     = 0.1e-6
)

// engraving is one land engraved area as it lies under the instrument; metres.
type engraving struct {
	shot     LandShot
	land     *barrelLand
	own      comb    // striae of this bullet alone
	gain     float64 // of the barrel's striae: pressure and alloy
	middle   float64 // of the land, from the scan's first column
	tiltX    float64 // slopes that levelling by hand leaves
	tiltY    float64
	skew     float64 // of the striae against the rows' normal, metres per metre
	front    float64 // along, where the land's middle was touched
	bow      float64 // how much later than the sides, for a unit of (x/half)²
	base     float64 // along, where the base begins in the middle
	slope    float64 // of the base edge
	rise     [2]float64
	shoulder [2]comb
	spots    []spot
	rough    *sheet // the lead that no land touched
	grain    *sheet // striae that end after a while
}

// spot is dirt or a pit.
type spot struct{ x, y, radius, height float64 }

func newEngraving(l *barrelLand, r *rand.Rand, s LandShot) *engraving {
	length := float64(s.Rows) * s.Along
	m := &engraving{
		shot: s, land: l,
		gain:   math.Exp(0.15 * r.NormFloat64()),
		middle: float64(s.Columns)*s.Pitch/2 + 20e-6*r.NormFloat64(),
		tiltX:  0.004 * r.NormFloat64(), tiltY: 0.004 * r.NormFloat64(),
		skew: 0.006 * r.NormFloat64(),
		base: length * between(r, 0.92, 1.15), slope: 0.05 * r.NormFloat64(),
		rise:  [2]float64{between(r, 20e-6, 45e-6), between(r, 20e-6, 45e-6)},
		rough: newSheet(r, octave{spacing: 14e-6, rms: leadRough}, 20e-6, length),
		grain: newSheet(r, octave{spacing: 11e-6, rms: grainRMS}, 60e-6, length),
	}
	m.front = length * s.Slip
	m.bow = length * between(r, 0.3, 0.9)
	m.own = newComb(r, l.height*math.Sqrt(s.Change))
	for i := range m.shoulder {
		m.shoulder[i] = newComb(r, 3)
	}
	for range r.IntN(25) {
		height := between(r, 0.5e-6, 4e-6)
		if r.IntN(3) == 0 {
			height = -height
		}
		m.spots = append(m.spots, spot{r.Float64() * float64(s.Columns) * s.Pitch, r.Float64() * length, between(r, 4e-6, 12e-6), height})
	}
	return m
}

// row puts the heights at distance y along the striae into dst.
func (m *engraving) row(r *rand.Rand, dst []float64, y float64) {
	half := m.land.width / 2
	var near []spot
	for _, p := range m.spots {
		if math.Abs(p.y-y) < 3*p.radius {
			near = append(near, p)
		}
	}
	rough, grain := m.rough.along(y), m.grain.along(y)
	slipped := m.shot.Slip > 0
	for i := range dst {
		x := (float64(i) + 0.5) * m.shot.Pitch
		if m.shot.Mirrored {
			x = float64(len(dst))*m.shot.Pitch - x
		}
		u := x - m.middle - m.skew*y // in the land's frame
		z := -u*u/(2*bulletRadius) + m.tiltX*x + m.tiltY*y
		out := math.Abs(u) - half
		lost := m.shot.Dropout
		switch {
		case out > 0:
			side := 0
			if u > 0 {
				side = 1
			}
			// The groove's shoulder: steep, then the groove engraved area.
			up := 1 - math.Exp(-out/8e-6)
			z += m.rise[side]*up + up*m.shoulder[side].at(u-math.Copysign(0.4e-3, u))
			if out < 30e-6 {
				lost += 0.15
			}
		default:
			contact := 1.0
			if slipped {
				t := u / half
				contact = smoothstep((y - m.front*(1-t*t*m.bow/(m.front+m.bow))) / contactFade)
			}
			if contact > 0 {
				z += contact * (m.gain*m.land.at(u) + m.own.at(u) + grain.at(u))
			}
			if contact < 1 {
				z += (1 - contact) * rough.at(u)
			}
		}
		if fall := y - m.base - m.slope*(u/half)*1e-3; fall > 0 {
			z -= baseEdge*(1-math.Exp(-fall/10e-6)) + 2e-6*r.NormFloat64()
			lost += min(fall/60e-6, 0.7)
		}
		for _, p := range near {
			d := (x-p.x)*(x-p.x) + (y-p.y)*(y-p.y)
			z += p.height * math.Exp(-d/(2*p.radius*p.radius))
		}
		z += m.shot.Noise * r.NormFloat64()
		if r.Float64() < lost {
			z = math.NaN()
		}
		dst[i] = z
	}
}

// smoothstep rises from 0 at −1 to 1 at 1.
func smoothstep(t float64) float64 {
	t = min(max((t+1)/2, 0), 1)
	return t * t * (3 - 2*t)
}
