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
	keepPoses = 16 // go to the fine stage
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

// codesAt are the template's polar codes around each displaced centre.
func (t *Template) codesAt(r reach) []polarCode {
	s := &t.shifted[r]
	s.once.Do(func() {
		shifts := reachShifts[r]
		s.codes = make([]polarCode, len(shifts))
		// A shift moves the mark by so many rings at most.
		far := int(shifts[len(shifts)-1].length())/(16*ringStep) + 1
		from, to := t.code.span()
		for i, at := range shifts {
			s.codes[i].sample(&t.signs, at, max(from-far, 0), min(to+far, rings))
		}
	})
	return s.codes
}

// sweep scores every pose of a reference's code over a query's shifted codes:
// score[turn·len(shifted) + shift].
func sweep(shifted []polarCode, ref *polarCode, visit func(turn, shift int, score float32)) {
	var used [rings]int
	n := 0
	for r := range rings {
		if ref.mask[r][0]|ref.mask[r][1]|ref.mask[r][2] != 0 {
			used[n] = r
			n++
		}
	}
	var turnedSign, turnedMask [rings][ringWords]uint64
	for k := range turns {
		for i, r := range used[:n] {
			turnedSign[i] = turnRing(&ref.sign[r], k)
			turnedMask[i] = turnRing(&ref.mask[r], k)
		}
		for s := range shifted {
			q := &shifted[s]
			common, differ := 0, 0
			for i, r := range used[:n] {
				qs, qm, rs, rm := &q.sign[r], &q.mask[r], &turnedSign[i], &turnedMask[i]
				m0, m1, m2 := qm[0]&rm[0], qm[1]&rm[1], qm[2]&rm[2]
				common += bits.OnesCount64(m0) + bits.OnesCount64(m1) + bits.OnesCount64(m2)
				differ += bits.OnesCount64((qs[0]^rs[0])&m0) + bits.OnesCount64((qs[1]^rs[1])&m1) + bits.OnesCount64((qs[2]^rs[2])&m2)
			}
			if common >= leastBits {
				visit(k, s, float32(float64(common-2*differ)/rootTable[common]))
			}
		}
	}
}

// rootTable holds √n for every possible number of common samples.
var rootTable = func() (t [rings*turns + 1]float64) {
	for i := range t {
		t[i] = math.Sqrt(float64(i))
	}
	return t
}()

// coarse ranks the poses of the reference over the query and returns the best
// ones that are no neighbours of each other.
func coarse(query, ref *Template) []pose {
	r := max(query.sig.centre.reach(), ref.sig.centre.reach())
	shifts := reachShifts[r]
	scores := make([]float32, turns*len(shifts))
	sweep(query.codesAt(r), ref.code, func(turn, shift int, score float32) {
		scores[turn*len(shifts)+shift] = score
	})
	return bestPoses(scores, shifts)
}

// bestPoses picks the highest scores, suppressing around each the poses within
// 4° and 110 µm. It clears what it suppresses.
func bestPoses(scores []float32, shifts []offset) []pose {
	width := len(shifts)
	var top [turns]float32 // of each rotation
	refresh := func(k int) { top[k] = slices.Max(scores[k*width : (k+1)*width]) }
	for k := range turns {
		refresh(k)
	}
	out := make([]pose, 0, keepPoses)
	for len(out) < keepPoses {
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
	sweep(query.codesAt(r), ref, func(_, _ int, score float32) { best = max(best, score) })
	return best
}
