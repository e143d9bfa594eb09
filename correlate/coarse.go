package correlate

import (
	"math"
	"math/bits"
)

// The coarse stage tries 192 rotations at every shift of a 50 µm grid.
const (
	shiftStep   = 51 // 1/16 raster pixels, 49.8 µm
	shiftRadius = 190.0
	keepPoses   = 5
)

// coarseShifts are the displacements of the query's centre that are tried. Two
// scans centred on their apertures differ by up to about 90 µm; the rest is
// for worse apertures.
var coarseShifts = shiftGrid(shiftRadius)

func shiftGrid(radius float64) []offset {
	var out []offset
	steps := int(radius / 50)
	for y := -steps; y <= steps; y++ {
		for x := -steps; x <= steps; x++ {
			if float64(x*x+y*y)*2500 <= radius*radius {
				out = append(out, offset{int32(x * shiftStep), int32(y * shiftStep)})
			}
		}
	}
	return out
}

// pose maps a point of the reference into the query: turn, then shift.
type pose struct {
	turn  int32  // in 1/40 of 1.875°, 0 ≤ turn < turnUnits
	shift offset // 1/16 raster pixels
}

const (
	turnFine  = 40
	turnUnits = turns * turnFine
)

type scoredPose struct {
	pose
	z float64
}

// codesAtShifts are the template's polar codes around each displaced centre.
func (t *Template) codesAtShifts() []polarCode {
	t.prepare.Do(func() {
		codes := make([]polarCode, len(coarseShifts))
		for i, s := range coarseShifts {
			codes[i] = *sampleRings(&t.signs, s)
		}
		t.shifted = codes
	})
	return t.shifted
}

// coarse ranks the poses of the reference over the query and returns the best
// ones that are no neighbours of each other.
func coarse(query, ref *Template) []scoredPose {
	shifted := query.codesAtShifts()
	used := ref.code.occupied()
	words := len(used)
	// The words that count, side by side: [shift][word], sign and mask in turn.
	compact := make([]uint64, 2*words*len(shifted))
	for s := range shifted {
		gather(compact[2*words*s:2*words*(s+1)], &shifted[s], used)
	}
	z := make([]float32, turns*len(shifted))
	turned := make([]uint64, 2*words)
	var code polarCode
	for k := range turns {
		ref.code.turn(k, &code)
		gather(turned, &code, used)
		for s := range shifted {
			z[k*len(shifted)+s] = agreementZ(turned, compact[2*words*s:2*words*(s+1)])
		}
	}
	return bestPoses(z, coarseShifts, keepPoses)
}

// leastBits is how many samples must overlap for a coarse score.
const leastBits = 64

// agreementZ is (agreeing − differing)/√(common) samples of two codes, each a
// sequence of sign and mask words.
func agreementZ(a, b []uint64) float32 {
	n, differ := 0, 0
	b = b[:len(a)]
	for i := 0; i+1 < len(a); i += 2 {
		both := a[i+1] & b[i+1]
		n += bits.OnesCount64(both)
		differ += bits.OnesCount64((a[i] ^ b[i]) & both)
	}
	if n < leastBits {
		return 0
	}
	return float32(float64(n-2*differ) / math.Sqrt(float64(n)))
}

// occupied lists the words of the rings that hold anything.
func (c *polarCode) occupied() []int {
	used := make([]int, 0, codeWords)
	for r := 0; r < codeWords; r += ringWords {
		if c.mask[r]|c.mask[r+1]|c.mask[r+2] != 0 {
			used = append(used, r, r+1, r+2)
		}
	}
	return used
}

func gather(dst []uint64, c *polarCode, used []int) {
	for i, w := range used {
		dst[2*i], dst[2*i+1] = c.sign[w], c.mask[w]
	}
}

// poseTable holds a query's code at the poses that a search tries on everybody.
type poseTable struct {
	codes []polarCode
}

// scanRadius bounds the shifts a search tries on everybody, µm.
const scanRadius = 115.0

var scanShifts = shiftGrid(scanRadius)

func newPoseTable(q *Template) *poseTable {
	t := &poseTable{codes: make([]polarCode, len(scanShifts))}
	for i, s := range scanShifts {
		t.codes[i] = *sampleRings(&q.signs, s)
	}
	return t
}

// scan is the best coarse score of a template over all poses of the table.
func (t *poseTable) scan(ref *Template) float64 {
	used := ref.code.occupied()
	words := len(used)
	var buf [2 * codeWords]uint64
	turned := buf[:2*words]
	compact := make([]uint64, 2*words*len(t.codes))
	for s := range t.codes {
		gather(compact[2*words*s:2*words*(s+1)], &t.codes[s], used)
	}
	best := float32(0)
	var code polarCode
	for k := range turns {
		ref.code.turn(k, &code)
		gather(turned, &code, used)
		for s := range t.codes {
			best = max(best, agreementZ(turned, compact[2*words*s:2*words*(s+1)]))
		}
	}
	return float64(best)
}

// bestPoses picks the highest scores, suppressing around each the poses within
// 4° and 110 µm. It clears what it suppresses.
func bestPoses(z []float32, shifts []offset, keep int) []scoredPose {
	out := make([]scoredPose, 0, keep)
	for range keep {
		best := 0
		for i, v := range z {
			if v > z[best] {
				best = i
			}
		}
		if z[best] <= 0 {
			break
		}
		k, s := best/len(shifts), best%len(shifts)
		out = append(out, scoredPose{pose{int32(k * turnFine), shifts[s]}, float64(z[best])})
		for dk := -2; dk <= 2; dk++ {
			row := (k + dk + turns) % turns * len(shifts)
			for j, o := range shifts {
				dx, dy := o.x-shifts[s].x, o.y-shifts[s].y
				if dx*dx+dy*dy < 113*113 {
					z[row+j] = 0
				}
			}
		}
	}
	return out
}
