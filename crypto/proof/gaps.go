package proof

import "sort"

// gaps are entries of a log, by index, each of which explains one message or, where it counts several, as many. A statement may have a million of them
// and lack as many messages, so that those that are used up are skipped at once.
type gaps struct {
	rows []row
	next []int            // place → a later place that may still be free, itself if it may be
	used map[int64]uint64 // entry → messages that it has explained; both channels of a direction list the same entries
}

func newGaps(rows []row, used map[int64]uint64) gaps {
	g := gaps{rows: rows, next: make([]int, len(rows)+1), used: used}
	for i := range g.next {
		g.next[i] = i
	}
	return g
}

// free is the first place from i on that was not skipped before.
func (g *gaps) free(i int) int {
	for g.next[i] != i {
		g.next[i] = g.next[g.next[i]]
		i = g.next[i]
	}
	return i
}

// take uses the first entry between two others, both exclusive.
func (g *gaps) take(from, to int64) (row, bool) {
	i := g.free(sort.Search(len(g.rows), func(i int) bool { return g.rows[i].entry > from }))
	for i < len(g.rows) && g.rows[i].entry < to {
		r := g.rows[i]
		if g.used[r.entry] < max(1, r.counted) {
			g.used[r.entry]++
			return r, true
		}
		g.next[i] = i + 1
		i = g.free(i + 1)
	}
	return row{}, false
}
