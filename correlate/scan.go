package correlate

import (
	"cmp"
	"math"
	"slices"

	"proofmark/correlate/exact"
)

// The scan tries 128 rotations (2.8° apart) at the shifts of a triangular grid of
// 57 µm. That is coarser than the coarse stage, but spots are where a sign changes
// least.
const (
	scanTurns  = 128
	sheetPoses = 12 // shifts of one sheet of a table; each takes two words of a row
	columns    = sheetPoses * scanTurns / 64 / lanes
)

// scanPose is a displacement of the query's centre and a turn by half a step or none,
// to which the 128 rotations are added.
type scanPose struct {
	shift offset
	half  bool
}

// How finely the scan looks: at every entry, and once more at the best of them.
const (
	atFirst = iota
	closer
	scans
)

// scanPoses lists the poses by reach: up to 0.09, 0.14 and 0.4 mm at first, closer
// with half the step in rotation and for the two nearer reaches a grid of 33 µm.
var scanPoses = [scans][reaches][]scanPose{
	{
		scanGridOf(triangularGrid(12), false), scanGridOf(triangularGrid(24), false), scanGridOf(triangularGrid(180), false),
	}, {
		scanGridOf(fineGrid(36), true), scanGridOf(fineGrid(72), true), scanGridOf(triangularGrid(180), true),
	},
}

func scanGridOf(shifts []offset, halves bool) (out []scanPose) {
	for _, at := range shifts {
		out = append(out, scanPose{at, false})
		if halves {
			out = append(out, scanPose{at, true})
		}
	}
	return out
}

// triangularGrid lists the n points of a triangular grid of 57 µm nearest to the
// middle of one of its triangles.
func triangularGrid(n int) []offset {
	return nearest(n, func(i, j int32) offset { return offset{58*i + 29*j - 29, 50*j - 17} })
}

// fineGrid lists the n points of a triangular grid of 33 µm nearest to one of them.
func fineGrid(n int) []offset {
	return nearest(n, func(i, j int32) offset { return offset{29 * (i + j), 17 * (i - j)} })
}

// nearest lists the n points of a lattice that lie nearest to its origin.
func nearest(n int, at func(i, j int32) offset) []offset {
	var all []offset
	const far = 20
	for i := int32(-far); i <= far; i++ {
		for j := int32(-far); j <= far; j++ {
			all = append(all, at(i, j))
		}
	}
	slices.SortFunc(all, func(a, b offset) int {
		return cmp.Or(cmp.Compare(a.x*a.x+a.y*a.y, b.x*b.x+b.y*b.y), cmp.Compare(a.y, b.y), cmp.Compare(a.x, b.x))
	})
	return all[:n:n]
}

// scanTable holds a query's signs at every pose. Of a sheet, a column of lanes words
// for each sample of the scan's grid, then for the two stand-ins: bit t of a word is
// the sign the query has, at the word's shift and turn + t, where an entry has the
// sample. Where the query has no sign it is drawn, so that it agrees with anything
// by half.
type scanTable struct{ sheets [][]uint64 }

func columnWords(samples int) int { return (samples + 2) * lanes }

func newScanTable(q *Template, poses []scanPose) *scanTable {
	t := &scanTable{}
	signs := q.signRaster()
	drawn := exact.Sequence(1)
	size := columnWords(scanGrid.samples())
	for poses := range slices.Chunk(poses, sheetPoses) {
		sheet := make([]uint64, columns*size)
		for s, p := range poses {
			grid := scanGrid
			if p.half {
				grid = halfGrid
			}
			clear := grid.at(signs, p.shift)
			first := sheet[2*s/lanes*size+2*s%lanes:]
			for ring := range rings {
				var up, known [2]uint64
				for k, v := range clear[ring*scanTurns : (ring+1)*scanTurns] {
					known[k>>6] |= uint64(b2i(v != 0)) << (k & 63)
					up[k>>6] |= uint64(b2i(v > 0)) << (k & 63)
				}
				a := up[0] | drawn.Next()&^known[0]
				b := up[1] | drawn.Next()&^known[1]
				for k := range scanTurns {
					at := (ring*scanTurns + k) * lanes
					first[at], first[at+1] = a, b
					a, b = a>>1|b<<63, b>>1|a<<63
				}
			}
		}
		for c := range columns {
			for lane := range lanes {
				sheet[c*size+int(scanGrid.standIn(1))+lane] = ^uint64(0)
			}
		}
		t.sheets = append(t.sheets, sheet)
	}
	return t
}

// score is, over all poses, the most by which agreeing exceed differing spots, in
// standard deviations of chance.
func (t *scanTable) score(k kernel, v *votes, c *spotCode) float32 {
	best := uint32(math.MaxUint32)
	size := columnWords(scanGrid.samples())
	for _, sheet := range t.sheets {
		for c0 := 0; c0 < len(sheet); c0 += size {
			k.vote(v, &sheet[c0], &c.spots)
			best = min(best, v.fewest())
		}
	}
	return excess(best, c.held)
}

// excess turns what vote counts at a pose into standard deviations of chance.
func excess(against uint32, held uint16) float32 {
	if held == 0 {
		return 0
	}
	// Stand-ins agree nowhere.
	agree := int(votesBase) - int(against)
	return float32(float64(2*agree-int(held)) / math.Sqrt(float64(held)))
}

// votes counts, for each of 64 × lanes poses, votesBase less the spots that agree:
// bit t of plane p and lane l is worth 2ᵖ at pose t of l.
type votes [votePlanes][lanes]uint64

const (
	votePlanes = 9
	votesBase  = scanHalf + 255
)

// fewest is the smallest count of all poses.
func (v *votes) fewest() uint32 {
	in := [lanes]uint64{}
	for l := range in {
		in[l] = ^uint64(0)
	}
	n := uint32(0)
	for p := votePlanes - 1; p >= 0; p-- {
		plane, any, rest := &v[p], uint64(0), [lanes]uint64{}
		for l := range rest {
			rest[l] = in[l] &^ plane[l]
			any |= rest[l]
		}
		n <<= 1
		if any == 0 {
			n |= 1
			continue
		}
		in = rest
	}
	return n
}

// fewestOf is the smallest count of a lane's poses.
func (v *votes) fewestOf(lane int) uint32 {
	in, n := ^uint64(0), uint32(0)
	for p := votePlanes - 1; p >= 0; p-- {
		n <<= 1
		if rest := in &^ v[p][lane]; rest != 0 {
			in = rest
		} else {
			n |= 1
		}
	}
	return n
}

// wordsScanned is how many words are compared of each signature.
func wordsScanned(r reach) int { return len(scanPoses[atFirst][r]) * scanTurns / 64 * scanSpots }
