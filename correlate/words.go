package correlate

import (
	"cmp"
	"math/bits"
	"slices"
)

// The scan's words: patches of the polar code, each 4 rings × 16 directions
// (310 µm × 30°) in one machine word. A patch that is turned with the exhibit
// is the query's patch at another direction, so one table of the query's patches
// at all directions and shifts serves all entries.
const (
	patchRings = 4
	patchTurns = 16
	sectors    = turns / patchTurns     // patches around a ring
	bands      = rings - patchRings + 1 // innermost rings a patch can begin at
	scanWords  = 8                      // patches kept of an entry
	scanFirst  = 4                      // of these, looked at at every pose
	noPatch    = uint8(bands * sectors) // the place of a patch that is not there
	leastPatch = 12                     // sure samples a patch must have
)

// scanCode is what the scan reads of an entry: its fullest patches, fullest
// first, 136 bytes. Bit 16·r + k of a word stands for ring r and direction k of
// the patch.
type scanCode struct {
	sign, mask [scanWords]uint64
	place      [scanWords]uint8 // band × sectors + sector, or noPatch
}

// patchOf cuts the patch that begins at ring band and direction at.
func patchOf(code *[rings][ringWords]uint64, band, at int) uint64 {
	w := uint64(0)
	for r := range patchRings {
		ring := &code[band+r]
		i, off := at>>6, uint(at&63)
		v := ring[i] >> off
		if off > 64-patchTurns {
			v |= ring[(i+1)%ringWords] << (64 - off)
		}
		w |= v & (1<<patchTurns - 1) << (patchTurns * r)
	}
	return w
}

// patch is a candidate for a scan code.
type patch struct {
	place uint8
	n     int // sure samples
	mask  uint64
}

// newScanCode picks the fullest patches of a code, at most one row of them over
// the same samples: within a sector the fullest band first, then what does not
// overlap it.
func newScanCode(sign, sure *[rings][ringWords]uint64) (c scanCode) {
	var all []patch
	for s := range sectors {
		var taken [rings]bool
		for {
			best := patch{}
			for b := range bands {
				if taken[b] || taken[b+patchRings-1] {
					continue
				}
				m := patchOf(sure, b, s*patchTurns)
				if n := bits.OnesCount64(m); n > best.n {
					best = patch{uint8(b*sectors + s), n, m}
				}
			}
			if best.n < leastPatch {
				break
			}
			b := int(best.place) / sectors
			for r := b; r < b+patchRings; r++ {
				taken[r] = true
			}
			all = append(all, best)
		}
	}
	slices.SortFunc(all, func(a, b patch) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.place, b.place)) })
	for i := range c.place {
		c.place[i] = noPatch
	}
	for i, p := range all[:min(len(all), scanWords)] {
		c.place[i], c.mask[i] = p.place, p.mask
		c.sign[i] = p.mask & patchOf(sign, int(p.place)/sectors, int(p.place)%sectors*patchTurns)
	}
	return c
}
