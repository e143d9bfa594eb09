// Package fuse joins what comparisons of several regions, and of several exhibits of one firearm, say of a query into one rank of exhibits. It owns
// the common scale and the rules of joining. It refuses to know scans, signatures and who an exhibit belongs to, and it makes no likelihood ratio: its
// weights order a list and claim nothing.
//
// The rules, and why:
//
//   - A region's score is weighed by how improbable it is among marks of different firearms (null.go): so a breech face's S and a bullet's mean Z
//     come onto one scale. The likelihood ratio is not used for it, although it stands beside: it is known for some makes only, and of two equal scores the
//     one whose make is known would rank otherwise than the other.
//   - Weights are never negative. A region that does not agree may have left no mark, or that of another contact: it does not take away from one that
//     does. A region that is absent weighs the same, nothing.
//   - Regions of one exhibit are joined by a damped sum: the strongest whole, the next by half, the one after by a quarter. They are not independent
//     (one shot, one firearm, one maker's tools), so a full sum would count twice what they share. The joined weight is at least the strongest region's: a strong
//     region is never drowned; and raising any score never lowers it.
//   - A weight saturates towards Limit decades: no null distribution here is measured beyond that.
//   - Exhibits of one firearm support each other in the same manner: the exhibit's own weight whole, then those of the other pairs of exhibits between the
//     firearm of the query and its own, the strongest first, by half, by a quarter and so on.
package fuse

import (
	"cmp"
	"slices"
)

// Damping is what each further region, and each further exhibit of a firearm, counts of the one before it.
const Damping = 0.5

// Limit is what a region's weight tends to, in decades (powers of ten).
const Limit = 6.0

// Region is what the comparison of one region of two exhibits found.
type Region struct {
	ROI       string  `json:"roi"`
	Algorithm string  `json:"algorithm"`
	Score     float64 `json:"score"`
	Rank      int     `json:"rank"`           // in the list of this region, from 1; 0 where it is not known
	Pair      string  `json:"pair,omitempty"` // whatever names the comparison
}

// Comparison is what was found between two exhibits: one entry for each region that was compared. Of several comparisons of a region, as where it was
// scanned twice, the best one counts.
type Comparison struct {
	Query   string
	Exhibit string
	Regions []Region
}

// Weighed is a region with its weight.
type Weighed struct {
	Region
	Weight float64 `json:"weight"` // decades, 0 to below Limit
	Source string  `json:"source"` // the population of the null distribution; why there is no weight where there is none
}

// Ranked is an exhibit's place in the fused list.
type Ranked struct {
	Exhibit string    `json:"exhibit"`
	Rank    int       `json:"rank"`              // from 1
	Weight  float64   `json:"weight"`            // Own and Support together: the order of the list
	Own     float64   `json:"own"`               // of this exhibit's own regions against the query
	Support float64   `json:"support"`           // what the other exhibits of the two firearms add
	From    []Support `json:"support_from"`      // the pairs that support it, the strongest first
	Regions []Weighed `json:"regions,omitempty"` // the best of each, the strongest first
}

// Support is a pair of exhibits, one of the query's firearm and one of the ranked exhibit's, whose agreement supports it.
type Support struct {
	Query   string  `json:"query"`
	Exhibit string  `json:"exhibit"`
	Weight  float64 `json:"weight"` // of the pair's regions
}

// Rank orders the exhibits that were compared with a query, or with other exhibits of the query's firearm, ties by id. firearm names what exhibits
// have in common: equal names, one firearm; an empty one is not known and joins nothing. The list does not depend on the order of the comparisons.
func Rank(query string, list []Comparison, firearm func(exhibit string) string) []Ranked {
	group := func(exhibit string) string {
		if f := firearm(exhibit); f != "" {
			return f
		}
		return "\x00" + exhibit // alone
	}
	own := group(query)
	regions := map[pair][]Weighed{}
	for _, c := range list {
		if group(c.Query) != own || c.Exhibit == query || c.Exhibit == c.Query {
			continue // nothing about this query
		}
		p := pair{c.Query, c.Exhibit}
		regions[p] = slices.Grow(regions[p], len(c.Regions))
		for _, r := range c.Regions {
			regions[p] = append(regions[p], weigh(r))
		}
	}
	weights := map[pair]float64{}
	ofFirearm := map[string][]pair{}
	exhibits := map[string]bool{}
	for p, r := range regions {
		regions[p] = bestOfEach(r)
		weights[p] = Join(regions[p])
		exhibits[p.exhibit] = true
		g := group(p.exhibit)
		ofFirearm[g] = append(ofFirearm[g], p)
	}
	out := make([]Ranked, 0, len(exhibits))
	for exhibit := range exhibits {
		p := pair{query, exhibit}
		r := Ranked{Exhibit: exhibit, Own: weights[p], Regions: regions[p], From: supporters(p, ofFirearm[group(exhibit)], weights)}
		share := 1.0
		for _, s := range r.From {
			share *= Damping
			r.Support += float64(share * s.Weight)
		}
		r.Weight = r.Own + r.Support
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Exhibit, b.Exhibit))
	})
	for i := range out {
		out[i].Rank = i + 1
	}
	return out
}

type pair struct{ query, exhibit string }

// supporters of a pair are the other pairs of the two firearms that weigh anything, the strongest first. Two exhibits that are known to be of one firearm
// may stand there both ways round, and count once.
func supporters(p pair, pairs []pair, weights map[pair]float64) []Support {
	out := []Support{}
	for _, q := range pairs {
		if q != p && weights[q] > 0 {
			out = append(out, Support{q.query, q.exhibit, weights[q]})
		}
	}
	slices.SortFunc(out, func(a, b Support) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Exhibit, b.Exhibit), cmp.Compare(a.Query, b.Query))
	})
	seen := map[pair]bool{p: true, {p.exhibit, p.query}: true}
	return slices.DeleteFunc(out, func(s Support) bool {
		twice := seen[pair{s.Query, s.Exhibit}]
		seen[pair{s.Query, s.Exhibit}], seen[pair{s.Exhibit, s.Query}] = true, true
		return twice
	})
}

// weigh puts a score onto the common scale.
func weigh(r Region) Weighed {
	n, ok := nulls[r.Algorithm]
	if !ok {
		return Weighed{Region: r, Source: "no scores of different firearms were measured for " + r.Algorithm}
	}
	return Weighed{Region: r, Weight: n.weight(r.Score), Source: n.Source}
}

// bestOfEach keeps the strongest comparison of each region, the strongest region first.
func bestOfEach(regions []Weighed) []Weighed {
	slices.SortFunc(regions, func(a, b Weighed) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.ROI, b.ROI), cmp.Compare(a.Algorithm, b.Algorithm), cmp.Compare(b.Score, a.Score),
			cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Pair, b.Pair))
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(regions, func(w Weighed) bool {
		twice := seen[w.ROI]
		seen[w.ROI] = true
		return twice
	})
}

// Join is the weight of an exhibit's regions together: the damped sum of their weights, the strongest first.
func Join(regions []Weighed) float64 {
	weights := make([]float64, len(regions))
	for i, r := range regions {
		weights[i] = r.Weight
	}
	slices.SortFunc(weights, func(a, b float64) int { return cmp.Compare(b, a) })
	sum, share := 0.0, 1.0
	for _, w := range weights {
		sum += float64(share * w)
		share *= Damping
	}
	return sum
}

// Weigh is the weight of one score by an algorithm, 0 where no null distribution is known for it.
func Weigh(algorithm string, score float64) float64 {
	n, ok := nulls[algorithm]
	if !ok {
		return 0
	}
	return n.weight(score)
}
