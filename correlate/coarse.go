package correlate

import (
	"cmp"
	"math"
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

// shiftedCodes holds a query's polar codes around each displaced centre, as the
// kernels read them: eight shifts side by side, ring by ring, each word of a ring
// as eight signs and eight masks.
type shiftedCodes struct {
	shifts int
	rings  []int // those that hold anything at any shift: every glanceRings-th, then the others
	glance int   // how many of them are of the first kind
	eights [][]ringEight
}

type ringEight [ringWords][2][lanes]uint64 // [word][sign, mask][shift]

// A glance at every glanceRings-th ring tells which poses are worth a look at all
// rings: those of the best eights of shifts, 1 in glanceShare. The best poses of real
// mates are then among these as if all had been looked at.
const (
	glanceRings = 4
	glanceShare = 9
)

func newShiftedCodes(t *Template, shifts []offset) *shiftedCodes {
	// A shift moves the mark by so many rings at most.
	far := int(shifts[len(shifts)-1].length())/(16*ringStep) + 1
	from, to := t.polar().span()
	from, to = max(from-far, 0), min(to+far, rings)
	c := &shiftedCodes{shifts: len(shifts)}
	for first := range glanceRings {
		for r := from + first; r < to; r += glanceRings {
			c.rings = append(c.rings, r)
		}
		if first == 0 {
			c.glance = len(c.rings)
		}
	}
	c.eights = make([][]ringEight, (len(shifts)+lanes-1)/lanes)
	for e := range c.eights {
		c.eights[e] = make([]ringEight, len(c.rings))
		for lane, at := range shifts[e*lanes : min((e+1)*lanes, len(shifts))] {
			for i, r := range c.rings {
				sign, mask := sampleRing(t.signRaster(), at, r)
				for w := range ringWords {
					c.eights[e][i][w][0][lane], c.eights[e][i][w][1][lane] = sign[w], mask[w]
				}
			}
		}
	}
	return c
}

// tally counts samples that both codes have, and those of them that differ.
type tally struct{ common, differ int32 }

// turningCode is a reference's polar code, turned step by step, as the kernels
// read it: rings in the order of a query's.
type turningCode [rings][ringWords][2]uint64 // [ring][word][sign, mask]

func newTurningCode(ref *polarCode, order []int) *turningCode {
	c := new(turningCode)
	for i, r := range order {
		for w := range ringWords {
			c[i][w] = [2]uint64{ref.sign[r][w], ref.mask[r][w]}
		}
	}
	return c
}

// turn moves what stood at direction j of the first n rings to j+1.
func (c *turningCode) turn(n int) {
	for r := range n {
		g := &c[r]
		s0, s1, s2 := g[0][0], g[1][0], g[2][0]
		m0, m1, m2 := g[0][1], g[1][1], g[2][1]
		g[0] = [2]uint64{s0<<1 | s2>>63, m0<<1 | m2>>63}
		g[1] = [2]uint64{s1<<1 | s0>>63, m1<<1 | m0>>63}
		g[2] = [2]uint64{s2<<1 | s1>>63, m2<<1 | m1>>63}
	}
}

// used is how many shifts an eight holds.
func (c *shiftedCodes) used(e int) int { return min(lanes, c.shifts-e*lanes) }

// sweepAll scores every pose of a reference's code over a query's shifted codes: into
// scores, turn by turn, one per shift.
func (c *shiftedCodes) sweepAll(k kernel, ref *polarCode, scores []float32) {
	if len(c.rings) == 0 {
		clear(scores)
		return
	}
	turning := newTurningCode(ref, c.rings)
	var acc tallies
	for turn := range turns {
		row := scores[turn*c.shifts : (turn+1)*c.shifts]
		for e, codes := range c.eights {
			k.tally(&acc, &codes[0][0][0][0], &turning[0][0][0], len(c.rings), c.used(e))
			acc.score(row[e*lanes : e*lanes+c.used(e)])
		}
		turning.turn(len(c.rings))
	}
}

// sweepBest scores the poses that are the best at a glance by all rings; the others
// score 0.
func (c *shiftedCodes) sweepBest(k kernel, ref *polarCode, scores []float32) {
	clear(scores)
	if c.glance == 0 {
		return
	}
	// A histogram finds the best eights, those that score alike together.
	const fine, levels = 8, 512
	glanced := make([][2 * lanes]uint16, turns*len(c.eights)) // tallies
	best := make([]uint16, len(glanced))
	var counts [levels]int
	turning := newTurningCode(ref, c.rings[:c.glance])
	var acc tallies
	for turn := range turns {
		for e, codes := range c.eights {
			i, used := turn*len(c.eights)+e, c.used(e)
			k.tally(&acc, &codes[0][0][0][0], &turning[0][0][0], c.glance, used)
			for j, n := range acc {
				glanced[i][j] = uint16(n)
			}
			var at [lanes]float32
			acc.score(at[:used])
			level := min(max(int(slices.Max(at[:used])*fine), 0), levels-1)
			best[i] = uint16(level)
			counts[level]++
		}
		turning.turn(c.glance)
	}
	cut, above := levels-1, counts[levels-1]
	for cut > 0 && above < len(best)/glanceShare {
		cut--
		above += counts[cut]
	}

	rest := len(c.rings) - c.glance
	turning = newTurningCode(ref, c.rings[c.glance:])
	for turn := range turns {
		for e, codes := range c.eights {
			i, used := turn*len(c.eights)+e, c.used(e)
			if int(best[i]) < cut {
				continue
			}
			acc = tallies{}
			if rest > 0 {
				k.tally(&acc, &codes[c.glance][0][0][0], &turning[0][0][0], rest, used)
			}
			for j, n := range glanced[i] {
				acc[j] += uint64(n)
			}
			acc.score(scores[turn*c.shifts+e*lanes:][:used])
		}
		turning.turn(rest)
	}
}

// tallies are what a kernel counts for lanes poses: common samples, then those that
// differ.
type tallies [2 * lanes]uint64

// score is that of each of the first poses.
func (t *tallies) score(out []float32) {
	for i := range out {
		out[i] = tally{int32(t[i]), int32(t[lanes+i])}.score()
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
	if ref.partial() {
		w := windowFor(query, ref)
		scores := make([]float32, turns*w.width()*w.width())
		w.sweep(fastest, newWindows(query.signRaster()), ref.turned(), scores)
		return w.best(scores, keep)
	}
	r := max(query.sig.reach(), ref.sig.reach())
	shifts := reachShifts[r]
	scores := make([]float32, turns*len(shifts))
	query.codesAt(r).sweepBest(fastest, ref.polar(), scores)
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

// likeness is the best coarse score of a code over all poses of a query; scores
// is room for one per pose.
func likeness(query *Template, ref *polarCode, r reach, scores []float32) float32 {
	scores = scores[:turns*len(reachShifts[r])]
	query.codesAt(r).sweepAll(fastest, ref, scores)
	return slices.Max(scores)
}
