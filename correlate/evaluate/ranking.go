package evaluate

import (
	"slices"
	"strconv"
)

// ranked is what one query that has mates found among all others.
type ranked struct {
	first int   // rank of its best mate, 1 = above every non-mate
	mates []int // each mate's rank: 1 + the non-mates that score as much or more
	above int   // non-mates that score as much as its best mate or more
	rest  int   // non-mates in the gallery
}

// rank tells how a query's mates stand; ties count against the mates.
func rank(mates, others []float64) ranked {
	r := ranked{rest: len(others)}
	for _, m := range mates {
		above := 0
		for _, o := range others {
			if o >= m {
				above++
			}
		}
		r.mates = append(r.mates, above+1)
	}
	r.first = slices.Min(r.mates)
	r.above = r.first - 1
	return r
}

// hitAt is the share of queries with a mate among their first k.
func hitAt(queries []ranked, k int) float64 {
	hits := 0
	for _, q := range queries {
		if q.first <= k {
			hits++
		}
	}
	return float64(hits) / float64(len(queries))
}

// firstBySize is the chance that a query's best mate is first in a gallery of
// the given number of non-mates, drawn without replacement from those that were
// compared: the mean over queries of C(rest−above, size) / C(rest, size).
// Queries with fewer non-mates are left out; ok is false where none is left.
func firstBySize(queries []ranked, size int) (chance float64, ok bool) {
	n := 0
	for _, q := range queries {
		if size > q.rest {
			continue
		}
		n++
		p := 1.0
		for i := range q.above {
			// One by one: none of those above is among the size drawn.
			p *= max(float64(q.rest-size-i), 0) / float64(q.rest-i)
		}
		chance += p
	}
	if n == 0 {
		return 0, false
	}
	return chance / float64(n), true
}

// rankAll ranks each query's mates among all other marks, and among
// distractors too where there are any.
func (e *Evaluation) rankAll(p parallel, o Options) error {
	mates, others := make([][]float64, len(e.marks)), make([][]float64, len(e.marks))
	put := func(query int, x Pair) {
		if x.Mates {
			mates[query] = append(mates[query], x.Score)
		} else {
			others[query] = append(others[query], x.Score)
		}
	}
	for _, x := range e.Pairs {
		put(x.Query, x)
		if o.Sector == 0 {
			put(x.Other, x)
		}
	}
	var withMates []int
	for i := range e.marks {
		if len(mates[i]) > 0 {
			withMates = append(withMates, i)
			e.queries = append(e.queries, rank(mates[i], others[i]))
		}
	}
	e.Gallery = len(e.marks) - e.Rejected
	if o.Distractors > 0 {
		if err := e.pad(p, o, withMates, mates); err != nil {
			return err
		}
	}
	e.HitAt = map[string]float64{}
	for _, k := range []int{1, 5, 10, 20} {
		e.HitAt[strconv.Itoa(k)] = hitAt(e.queries, k)
	}
	e.Rank1, e.Top10, e.Queries = hitAt(e.queries, 1), hitAt(e.queries, 10), len(e.queries)
	for _, q := range e.queries {
		for _, r := range q.mates {
			e.WorstRank = max(e.WorstRank, r)
		}
	}
	return nil
}
