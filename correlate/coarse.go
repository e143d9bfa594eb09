package correlate

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// The coarse stage tries 192 rotations at every shift of a 50 µm grid. How far
// it shifts depends on how well the centres are known.
type reach int

const (
	reachTight reach = iota // both centred on a whole aperture: they differ by up to about 90 µm
	reachArc                // one centred on an arc
	reachWide               // one without a round aperture
	reaches
)

const (
	shiftStep = 51 // 1/16 raster points, 49.8 µm
	leastBits = 20 // samples that must overlap for a coarse score
)

// reachShifts lists the displacements of the query's centre of each reach.
var reachShifts = [reaches][]offset{shiftGrid(2.4), shiftGrid(4), shiftGrid(8)}

// shiftGrid lists the grid's points within a radius in steps, nearest first.
func shiftGrid(radius float64) []offset {
	var out []offset
	n := int32(radius)
	for y := -n; y <= n; y++ {
		for x := -n; x <= n; x++ {
			if float64(x*x+y*y) <= radius*radius {
				out = append(out, offset{x * shiftStep, y * shiftStep})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b offset) int { return cmp.Compare(a.x*a.x+a.y*a.y, b.x*b.x+b.y*b.y) })
	return out
}

func (o offset) length() float64 { return math.Sqrt(float64(o.x*o.x + o.y*o.y)) }

func (k centreKind) reach() reach {
	switch k {
	case centreAperture:
		return reachTight
	case centreArc:
		return reachArc
	}
	return reachWide
}

// pose maps a point of the reference into the query: turn, then shift.
type pose struct {
	turn  int32  // in 1/40 of 1.875°, 0 ≤ turn < turnUnits
	shift offset // 1/16 raster points
}

const (
	turnFine  = 40
	turnUnits = turns * turnFine
)

// codesAt are the template's polar codes around the centres within reach, made
// on first need.
func (t *Template) codesAt(r reach) *shiftedCodes {
	s := &t.shifted[r]
	s.once.Do(func() { s.codes = newShiftedCodes(t, reachShifts[r]) })
	return s.codes
}

// shiftedCodes holds a query's polar codes around each displaced centre, ring by
// ring: for one ring all shifts lie side by side, sign words before mask words.
type shiftedCodes struct {
	shifts int
	rings  [rings][]ringBits // each nil where all shifts are empty
}

type ringBits struct{ sign, mask [ringWords]uint64 }

func newShiftedCodes(t *Template, shifts []offset) *shiftedCodes {
	c := &shiftedCodes{shifts: len(shifts)}
	// A shift moves the mark by so many rings at most.
	far := int(shifts[len(shifts)-1].length())/(16*ringStep) + 1
	from, to := t.code.span()
	from, to = max(from-far, 0), min(to+far, rings)
	for r := from; r < to; r++ {
		c.rings[r] = make([]ringBits, len(shifts))
		for i, at := range shifts {
			c.rings[r][i].sign, c.rings[r][i].mask = sampleRing(&t.signs, at, r)
		}
	}
	return c
}

// tally counts samples that both codes have, and those of them that differ.
type tally struct{ common, differ int32 }

// sweep scores every pose of a reference's code over a query's shifted codes.
func (c *shiftedCodes) sweep(ref *polarCode, visit func(turn int, tallies []tally)) {
	var used [rings]int
	n := 0
	for r := range rings {
		if c.rings[r] != nil && ref.mask[r] != [ringWords]uint64{} {
			used[n] = r
			n++
		}
	}
	tallies := make([]tally, c.shifts)
	for k := range turns {
		clear(tallies)
		for _, r := range used[:n] {
			sign, mask := turnRing(&ref.sign[r], k), turnRing(&ref.mask[r], k)
			s0, s1, s2 := sign[0], sign[1], sign[2]
			m0, m1, m2 := mask[0], mask[1], mask[2]
			ring := c.rings[r][:len(tallies)]
			for i := range tallies {
				q := &ring[i]
				b0, b1, b2 := q.mask[0]&m0, q.mask[1]&m1, q.mask[2]&m2
				d0, d1, d2 := (q.sign[0]^s0)&b0, (q.sign[1]^s1)&b1, (q.sign[2]^s2)&b2
				t := &tallies[i]
				t.common += int32(bits.OnesCount64(b0) + bits.OnesCount64(b1) + bits.OnesCount64(b2))
				t.differ += int32(bits.OnesCount64(d0) + bits.OnesCount64(d1) + bits.OnesCount64(d2))
			}
		}
		visit(k, tallies)
	}
}

// score is (agreeing − differing)/√(common): the excess over chance.
func (t tally) score() float32 {
	if t.common < leastBits {
		return 0
	}
	return float32(float64(t.common-2*t.differ) / rootTable[t.common])
}

// rootTable holds √n for every possible number of common samples.
var rootTable = func() (t [rings*turns + 1]float64) {
	for i := range t {
		t[i] = math.Sqrt(float64(i))
	}
	return t
}()

// coarse ranks the poses of the reference over the query and returns the best
// keep that are no neighbours of each other.
func coarse(query, ref *Template, keep int) []pose {
	r := max(query.sig.centre.reach(), ref.sig.centre.reach())
	shifts := reachShifts[r]
	scores := make([]float32, turns*len(shifts))
	query.codesAt(r).sweep(ref.code, func(turn int, tallies []tally) {
		row := scores[turn*len(shifts) : (turn+1)*len(shifts)]
		for i, t := range tallies {
			row[i] = t.score()
		}
	})
	return bestPoses(scores, shifts, keep)
}

// bestPoses picks the highest scores, suppressing around each the poses within
// 4° and 110 µm. It clears what it suppresses.
func bestPoses(scores []float32, shifts []offset, keep int) []pose {
	width := len(shifts)
	var top [turns]float32 // of each rotation
	refresh := func(k int) { top[k] = slices.Max(scores[k*width : (k+1)*width]) }
	for k := range turns {
		refresh(k)
	}
	out := make([]pose, 0, keep)
	for len(out) < keep {
		k := 0
		for i, v := range top {
			if v > top[k] {
				k = i
			}
		}
		if top[k] <= 0 {
			break
		}
		s := slices.Index(scores[k*width:(k+1)*width], top[k])
		out = append(out, pose{int32(k * turnFine), shifts[s]})
		for dk := -2; dk <= 2; dk++ {
			near := (k + dk + turns) % turns
			for j, o := range shifts {
				dx, dy := o.x-shifts[s].x, o.y-shifts[s].y
				if dx*dx+dy*dy < 113*113 {
					scores[near*width+j] = 0
				}
			}
			refresh(near)
		}
	}
	return out
}

// scan is the best coarse score of a code over all poses of a query.
func scan(query *Template, ref *polarCode, r reach) float32 {
	best := float32(0)
	query.codesAt(r).sweep(ref, func(_ int, tallies []tally) {
		for _, t := range tallies {
			best = max(best, t.score())
		}
	})
	return best
}
