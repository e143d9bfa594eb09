package correlate

import (
	"math"
	"math/bits"

	"proofmark/correlate/exact"
)

// scanTable holds a query's patches around each displaced centre at every
// direction: for each band and shift a row of rowTurns words. Where the query has
// no sign the bits are drawn, so that they agree with anything by half.
type scanTable struct {
	shifts int
	rows   [bands][]uint64
}

func newScanTable(q *Template, r reach) *scanTable {
	shifts := reachShifts[r]
	t := &scanTable{shifts: len(shifts)}
	for b := range t.rows {
		t.rows[b] = make([]uint64, len(shifts)*rowTurns)
	}
	signs := q.signRaster()
	drawn := exact.Sequence(1)
	for s, at := range shifts {
		var code [rings][ringWords]uint64
		for r := range code {
			sign, mask := sampleRing(signs, at, r)
			for w := range ringWords {
				code[r][w] = sign[w]&mask[w] | drawn.Next()&^mask[w]
			}
		}
		for b := range t.rows {
			row := t.rows[b][s*rowTurns : (s+1)*rowTurns]
			for k := range turns {
				row[k] = patchOf(&code, b, k)
			}
			copy(row[turns:], row[:turns])
		}
	}
	return t
}

// promising is how many standard deviations of chance the first patches must agree
// at a pose for the others to be looked at there: by chance 1 pose in 80 does. At
// 2.25 no mate of the real set stands lower than without this economy.
const promising = 2.25

// score is, over the promising poses, the most by which agreeing exceed differing
// samples of an entry's patches, in standard deviations of chance; at least 0.
func (t *scanTable) score(k kernel, p *probe, c *scanCode) float32 {
	all, first := 0, 0
	for w := range scanWords {
		place := int(c.place[w])
		if c.place[w] == noPatch {
			place = 0 // the mask is empty: any row will do
		}
		p.row[w] = &t.rows[place/sectors][place%sectors*patchTurns]
		p.sign[w], p.mask[w] = c.sign[w], c.mask[w]
		all += bits.OnesCount64(c.mask[w])
		if w == scanFirst-1 {
			first = all
		}
	}
	limit := float64(first) - float64(promising*math.Sqrt(float64(first)))
	if all == 0 || limit < 0 {
		return 0
	}
	differ := k.fewest(p, t.shifts, uint64(limit)/2)
	if differ == none || 2*int(differ) >= all {
		return 0
	}
	return float32(float64(all-2*int(differ)) / math.Sqrt(float64(all)))
}

// wordsScanned is how many words are compared of each signature at least.
func wordsScanned(r reach) int { return turns * len(reachShifts[r]) * scanFirst }
