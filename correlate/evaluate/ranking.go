package evaluate

import (
	"math"
	"slices"
	"strconv"
)

// ranked is what one query that has mates found among all others.
type ranked struct {
	query  int     // the mark
	first  int     // rank of its best mate, 1 = above every non-mate
	mates  []int   // each mate's rank: 1 + the non-mates that score as much or more
	above  int     // non-mates that score as much as its best mate or more
	rest   int     // non-mates in the gallery
	margin float64 // best mate's score less the best non-mate's; NaN without one
}

// rank tells how a query's mates stand; ties count against the mates.
func rank(mates, others []float64) ranked {
	r := ranked{rest: len(others), margin: math.NaN()}
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
	if len(others) > 0 {
		r.margin = slices.Max(mates) - slices.Max(others)
	}
	return r
}

// Hits are how high queries find their mates.
type Hits struct {
	Queries      int                `json:"queries"` // marks with a mate
	Rank1        *float64           `json:"rank1"`
	Top10        *float64           `json:"top10"`
	HitAt        map[string]float64 `json:"hit_at"`        // share with a mate among the first 1, 5, 10, 20
	WorstRank    *int               `json:"worst_rank"`    // of any mate
	MarginMin    *float64           `json:"margin_min"`    // of a query's best mate over its best non-mate
	MarginMedian *float64           `json:"margin_median"` //
}

func hitsOf(queries []ranked) Hits {
	h := Hits{Queries: len(queries)}
	if len(queries) == 0 {
		return h
	}
	h.HitAt = map[string]float64{}
	for _, k := range []int{1, 5, 10, 20} {
		h.HitAt[strconv.Itoa(k)] = hitAt(queries, k)
	}
	worst := 0
	var margins []float64
	for _, q := range queries {
		worst = max(worst, slices.Max(q.mates))
		if !math.IsNaN(q.margin) {
			margins = append(margins, q.margin)
		}
	}
	h.Rank1, h.Top10, h.WorstRank = new(hitAt(queries, 1)), new(hitAt(queries, 10)), &worst
	if len(margins) > 0 {
		h.MarginMin, h.MarginMedian = new(slices.Min(margins)), new(middle(margins))
	}
	return h
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

// SizePoint is the chance that a mate is first in a gallery of some size.
type SizePoint struct {
	NonMates int     `json:"non_mates"`
	Rank1    float64 `json:"rank1"`
}

// bySize is the chance of rank 1 at round sizes up to what was compared.
func bySize(queries []ranked) []SizePoint {
	out := []SizePoint{}
	for d := 1; ; d *= 10 {
		for _, m := range []int{1, 2, 5} {
			p, ok := firstBySize(queries, m*d)
			if !ok {
				return out
			}
			out = append(out, SizePoint{m * d, p})
		}
	}
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

// rankPairs ranks each query's mates among all that it was compared with; where
// pairs are told once, both of their marks are queries.
func rankPairs(pairs []Pair, marks int, directed bool) []ranked {
	mates, others := make([][]float64, marks), make([][]float64, marks)
	put := func(query int, x Pair) {
		if x.Mates {
			mates[query] = append(mates[query], x.Score)
		} else {
			others[query] = append(others[query], x.Score)
		}
	}
	for _, x := range pairs {
		put(x.Query, x)
		if !directed {
			put(x.Other, x)
		}
	}
	var out []ranked
	for i := range mates {
		if len(mates[i]) > 0 {
			r := rank(mates[i], others[i])
			r.query = i
			out = append(out, r)
		}
	}
	return out
}

// rankAll ranks each query's mates among all other marks.
func (e *Evaluation) rankAll(directed bool) {
	e.queries = rankPairs(e.Pairs, len(e.marks), directed)
	e.Hits = hitsOf(e.queries)
	e.Gallery = len(e.marks) - e.Rejected
	e.ByGallerySize = bySize(e.queries)
	// Scans that had a mate in the table, whether or not either passed the gate.
	labelled := 0
	exhibitsOf := map[string]map[string]bool{}
	for _, m := range e.marks {
		if exhibitsOf[m.Source] == nil {
			exhibitsOf[m.Source] = map[string]bool{}
		}
		exhibitsOf[m.Source][m.exhibit()] = true
	}
	for _, m := range e.marks {
		if len(exhibitsOf[m.Source]) > 1 {
			labelled++
		}
	}
	if labelled > 0 && len(e.queries) <= labelled {
		first := 0
		for _, q := range e.queries {
			if q.first == 1 {
				first++
			}
		}
		e.Rank1OfAll = new(float64(first) / float64(labelled))
	}
}
