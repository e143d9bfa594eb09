package correlate

import (
	"math"

	"proofmark/correlate/exact"
)

// The scan's spots: the samples of a polar grid at which the low-passed marks stand
// out most, up (peaks) or down (valleys). At the true pose a mate has the same sign
// at most of a mark's spots. What stands out agrees more often than the rest, and a
// spot is one bit, so 64 poses of a spot are compared in one machine word.
const (
	scanSpots = 256           // of a mark: half peaks, half valleys
	scanHalf  = scanSpots / 2 //
	leastSpot = 4             // in 2/55 RMS: what stands out less is no spot
	spotApart = 60            // µm between spots of one ring: closer ones tell the same
)

// spotCode holds peaks, then valleys, each the clearest first. A spot is the index
// of its sample's first word in a column of a scan table: sample × lanes, samples
// counted ring by ring. Where a mark has fewer, a sample that agrees nowhere stands
// in: the first one beyond the grid for a peak, the second one for a valley.
type spotCode struct {
	spots [scanSpots]uint16
	held  uint16 // spots that are no stand-ins
}

// spotGrid is a polar grid to pick spots from: the same rings as the polar code's,
// with any number of directions.
type spotGrid struct {
	directions int
	gap        [rings]int // in directions, at least, between spots of a ring
	order      []uint16   // samples as they are looked at where they stand out alike
	steps      []offset   // of each sample from the centre, in 1/16 raster points
}

// The grid of the scan, and the polar code's own for queries that are partial marks.
var (
	scanGrid  = newSpotGrid(scanTurns, 0)
	halfGrid  = newSpotGrid(scanTurns, 0.5) // the scan's, half a step further
	polarGrid = newSpotGrid(turns, 0)
)

func newSpotGrid(directions int, first float64) *spotGrid {
	g := &spotGrid{directions: directions, order: make([]uint16, rings*directions), steps: make([]offset, rings*directions)}
	for r := range rings {
		radius := float64(firstRing + r*ringStep)
		pitch := radius * rasterPitch * (2 * math.Pi / float64(directions))
		g.gap[r] = int(math.Ceil(spotApart / pitch))
		for k := range directions {
			sin, cos := exact.SinCosDeg((float64(k) + first) * 360 / float64(directions))
			g.steps[r*directions+k] = offset{roundInt(float64(16 * radius * cos)), roundInt(float64(16 * radius * sin))}
		}
	}
	rng := exact.Sequence(7)
	for i := range g.order {
		j := rng.Below(i + 1)
		g.order[i], g.order[j] = g.order[j], uint16(i)
	}
	return g
}

func (g *spotGrid) samples() int { return rings * g.directions }

// at tells how far each sample around a displaced centre stands out of a sign
// raster, in 2/55 RMS, negative where down; 0 where that is unsure or not known.
func (g *spotGrid) at(signs *raster, centre offset) []int8 {
	out := make([]int8, g.samples())
	for i, o := range g.steps {
		x, y := uint32(polarOrigin+centre.x+o.x)>>4, uint32(polarOrigin+centre.y+o.y)>>4
		// A negative coordinate is a huge one here.
		if x >= rasterSide || y >= rasterSide {
			continue
		}
		if v := signs[y*rasterSide+x]; v&1 != 0 {
			out[i] = int8(uint8(v) >> 2)
			if v&2 == 0 {
				out[i] = -out[i]
			}
		}
	}
	return out
}

// pick chooses spots among samples that stand out as at tells.
func (g *spotGrid) pick(clear []int8) (c spotCode) {
	const levels = 64
	var taken []bool
	for half, sign := range [2]int8{1, -1} {
		// The samples by how far they stand out, those alike in the grid's order.
		var ends [levels + 1]int
		for _, v := range clear {
			if v *= sign; v >= leastSpot {
				ends[levels-1-v]++
			}
		}
		sum := 0
		for i, n := range ends {
			ends[i] = sum
			sum += n
		}
		sorted := make([]uint16, sum)
		for _, i := range g.order {
			if v := clear[i] * sign; v >= leastSpot {
				sorted[ends[levels-1-v]] = i
				ends[levels-1-v]++
			}
		}
		taken = append(taken[:0], make([]bool, len(clear))...)
		spots := c.spots[half*scanHalf : (half+1)*scanHalf]
		n := 0
		for _, i := range sorted {
			if taken[i] {
				continue
			}
			spots[n] = i * lanes
			if n++; n == scanHalf {
				break
			}
			ring, k := int(i)/g.directions, int(i)%g.directions
			for d := 1 - g.gap[ring]; d < g.gap[ring]; d++ {
				taken[ring*g.directions+(k+d+g.directions)%g.directions] = true
			}
		}
		c.held += uint16(n)
		for ; n < scanHalf; n++ {
			spots[n] = g.standIn(half)
		}
	}
	return c
}

// standIn is the spot that agrees at no pose, among peaks (0) or valleys (1).
func (g *spotGrid) standIn(half int) uint16 { return uint16((g.samples() + half) * lanes) }
