package bullet

import "math"

const (
	sheetRounds  = 4
	sheetOutlier = 8.0 // µm from the form: dirt, a shoulder, the base
	sheetShare   = 1.0 / 3
	sheetClip    = 3.0  // robust standard deviations
	slantStep    = 0.08 // points per slab: 1 %
	slantMost    = 15   // steps
)

// relief is the marks of every slab between the shoulders, 20 to 120 µm, at
// workPitch. A slab with too few points is all missing.
type relief struct {
	slabs []line
	n     int // points across
}

// newRelief takes the form off each slab by itself, so that what lies askew or is
// broken off in one spoils no other.
func newRelief(slabs []line, edge limits) relief {
	r := relief{n: edge.hi - edge.lo}
	var sizes []float64
	for _, s := range slabs {
		m := s.marks(edge)
		for i := 0; i < r.n; i += perSample {
			if m.ok[i] {
				sizes = append(sizes, math.Abs(m.z[i]))
			}
		}
		r.slabs = append(r.slabs, m)
	}
	clip := float64(sheetClip * float64(madToSigma*median(sizes)))
	for _, m := range r.slabs {
		for i := range m.z {
			m.z[i] = min(max(m.z[i], -clip), clip)
		}
	}
	return r
}

// marks of a slab inside the limits; none where the form cannot be fitted.
func (l line) marks(edge limits) line {
	none := newLine(edge.hi - edge.lo)
	in := line{l.z[edge.lo:edge.hi], l.ok[edge.lo:edge.hi]}
	count := 0
	for _, ok := range in.ok {
		if ok {
			count++
		}
	}
	if float64(count) < float64(sheetShare*float64(len(in.ok))) {
		return none
	}
	form, ok := fit(in, 0, len(in.z), 0, len(in.z), sheetRounds)
	if !ok {
		return none
	}
	out := newLine(len(in.z))
	for i := range out.z {
		if d := in.z[i] - form.at(i); in.ok[i] && d < sheetOutlier && d > -sheetOutlier {
			out.z[i], out.ok[i] = d, true
		}
	}
	return out.bandPass(markShort, markLong)
}

// slant of the striae in points per slab: where slabs four and eight apart agree
// best, over the whole scan. Striae stand askew by the rifling's twist, or because
// the bullet did.
func (r relief) slant() float64 {
	apart := [2]int{4, 8}
	var sums [2][]float64 // by lag from −reach
	var reach [2]int
	for k, d := range apart {
		reach[k] = int(float64(float64(d*slantMost)*slantStep)) + 1
		sums[k] = make([]float64, 2*reach[k]+1)
		for i := 0; i+d < len(r.slabs); i++ {
			for j := range sums[k] {
				sums[k][j] += ncc(r.slabs[i], r.slabs[i+d], j-reach[k], 0, r.n, leastCommon)
			}
		}
	}
	best, at := 0.0, 0.0 // upright, where nothing agrees
	for step := -slantMost; step <= slantMost; step++ {
		slope := float64(float64(step) * slantStep)
		total := 0.0
		for k, d := range apart {
			lag := float64(slope * float64(d))
			below := math.Floor(lag)
			t := lag - below
			j := int(below) + reach[k]
			total += float64((1-t)*sums[k][j]) + float64(t*sums[k][j+1])
		}
		if total > best {
			best, at = total, slope
		}
	}
	return at
}

// straighten shifts the slabs so that striae of this slant stand upright; the
// middle slab stays.
func (r relief) straighten(slant float64) {
	middle := float64(float64(len(r.slabs)-1) / 2)
	for i, s := range r.slabs {
		d := int(math.Floor(float64(slant*(float64(i)-middle)) + 0.5))
		if d == 0 {
			continue
		}
		m := newLine(r.n)
		for x := range m.z {
			if j := x + d; j >= 0 && j < r.n && s.ok[j] {
				m.z[x], m.ok[x] = s.z[j], true
			}
		}
		r.slabs[i] = m
	}
}
