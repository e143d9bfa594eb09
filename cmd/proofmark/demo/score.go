package demo

import (
	"cmp"
	"slices"

	"proofmark/protocol"
)

// mark is what scoring must know of an exhibit.
type mark struct {
	country protocol.Country
	source  string
	origin  string
}

// entry is one place of a ranked list.
type entry struct {
	signature string
	score     float64
}

// scoring counts (query, mate) pairs across borders by the mate's rank in the query's list.
type scoring struct {
	mates, rank1, top10 int
}

// add scores one query's ranked list. A mate's rank is 1 + the number of non-mates that score higher: mates do not push each other down. A mate that is
// not in the list counts as found nowhere. Mates of the query's own country are no pairs across a border, and test fire is not compared with
// test fire, so these pairs are not counted.
func (s *scoring) add(query string, list []entry, marks map[string]mark) {
	q := marks[query]
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(b.score, a.score) })
	place := map[string]int{}
	others := 0
	for _, e := range list {
		m, known := marks[e.signature]
		if known && m.source == q.source {
			place[e.signature] = 1 + others
			continue
		}
		others++
	}
	for id, m := range marks {
		if m.source != q.source || m.country == q.country || m.origin == protocol.TestFire && q.origin == protocol.TestFire {
			continue
		}
		s.mates++
		rank, listed := place[id]
		if listed && rank == 1 {
			s.rank1++
		}
		if listed && rank <= 10 {
			s.top10++
		}
	}
}
