package bullet

import (
	"cmp"
	"math"
	"slices"
)

// Striae seldom run through the whole land: in the middle the barrel touched late,
// at a side the base broke off. So each part of the width has its own slabs.
const (
	partHalf    = 128 // points, 200 µm: from the middle of a part to the next one's
	partApart   = 3   // slabs that are nearer to each other share dirt and roughness
	partRounds  = 12
	partShare   = 0.3 // of the weight must be there for a point
	heightSlabs = 12  // 150 µm, in which the striae's height is measured
)

// part is a stretch of the width and how much each slab says about it.
type part struct {
	lo, hi    int // the points it is judged on
	weight    []float64
	total     float64   // of weight
	height    float64   // what the mean is multiplied by
	agreement float64   // mean correlation of slabs, by their weights
	mean      []float64 // of the slabs at lo ≤ x < hi
	known     []bool
}

// combined is the land's profile: of each part the weighted mean of the slabs
// that agree there, one part going over into the next from middle to middle.
// Agreement is the parts' mean.
func (r relief) combined() (profile line, parts []part, agreement float64) {
	for middle := 0; middle < r.n+partHalf; middle += partHalf {
		p := r.part(middle)
		agreement += p.agreement
		parts = append(parts, p)
	}
	profile = newLine(r.n)
	for x := range profile.z {
		k := x / partHalf
		t := float64((float64(x%partHalf) + 0.5) / partHalf) // not to be fused: dividing by 128 is a product
		sum, weight := 0.0, 0.0
		for side, w := range [2]float64{1 - t, t} {
			p := &parts[k+side]
			if x >= p.lo && x < p.hi && p.known[x-p.lo] {
				sum += float64(w * float64(p.height*p.mean[x-p.lo]))
				weight += w
			}
		}
		if weight > 0.25 {
			profile.z[x], profile.ok[x] = sum/weight, true
		}
	}
	return profile, parts, agreement / float64(len(parts))
}

// part around a point. At the ends it is judged on as many points as elsewhere.
func (r relief) part(middle int) part {
	lo := max(min(middle-partHalf, r.n-2*partHalf), 0)
	p := part{lo: lo, hi: min(lo+2*partHalf, r.n), height: 1}
	p.weigh(r)
	p.mean, p.known = make([]float64, p.hi-p.lo), make([]bool, p.hi-p.lo)
	for x := range p.mean {
		sum, weight := 0.0, 0.0
		for i, s := range r.slabs {
			if s.ok[p.lo+x] {
				sum += float64(p.weight[i] * s.z[p.lo+x])
				weight += p.weight[i]
			}
		}
		if weight > 0 && weight >= float64(partShare*p.total) {
			p.mean[x], p.known[x] = sum/weight, true
		}
	}
	p.measureHeight(r)
	return p
}

// weigh gives each slab its share of the pattern that most of them have in common:
// the first eigenvector of the squared correlations, by iteration.
func (p *part) weigh(r relief) {
	n := len(r.slabs)
	energy := make([]float64, n)
	for i, s := range r.slabs {
		count := 0
		for x := p.lo; x < p.hi; x++ {
			energy[i] += float64(s.z[x] * s.z[x]) // 0 where missing
			if s.ok[x] {
				count++
			}
		}
		if 2*count < p.hi-p.lo {
			energy[i] = 0
		}
	}
	p.weight = make([]float64, n)
	correlations := make([]float64, n*n)
	for i := range n {
		if energy[i] == 0 {
			continue
		}
		p.weight[i] = 1
		a := r.slabs[i].z[p.lo:p.hi]
		for j := i + partApart; j < n; j++ {
			if energy[j] == 0 {
				continue
			}
			dot := dotFloat(a, r.slabs[j].z[p.lo:p.hi])
			c := max(dot/float64(math.Sqrt(energy[i])*math.Sqrt(energy[j])), 0)
			correlations[i*n+j], correlations[j*n+i] = c, c
		}
	}
	next := make([]float64, n)
	for range partRounds {
		most := 0.0
		for i := range next {
			next[i] = 0
			for j, c := range correlations[i*n : (i+1)*n] {
				next[i] += float64(float64(c*c) * p.weight[j])
			}
			most = max(most, next[i])
		}
		if most == 0 {
			break // nothing agrees: all alike
		}
		for i := range next {
			p.weight[i] = next[i] / most
		}
	}
	sum, pairs := 0.0, 0.0
	for i, w := range p.weight {
		p.total += w
		for j := range i + 1 - partApart {
			both := float64(w * p.weight[j])
			sum += float64(both * correlations[i*n+j])
			pairs += both
		}
	}
	if pairs > 0 {
		p.agreement = sum / pairs
	}
}

// dotFloat adds four sums, whose order is part of the result.
func dotFloat(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i] * b[i])
		s1 += float64(a[i+1] * b[i+1])
		s2 += float64(a[i+2] * b[i+2])
		s3 += float64(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// measureHeight makes the part as high as its striae are in the slabs that show
// them best: a mean of strong and faint ones is lower than either bullet's marks.
func (p *part) measureHeight(r relief) {
	order := make([]int, 0, len(p.weight))
	for i, w := range p.weight {
		if w > 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(p.weight[b], p.weight[a]), cmp.Compare(a, b))
	})
	sum, n := 0.0, 0
	for _, i := range order[:min(heightSlabs, len(order))] {
		dot, square := 0.0, 0.0
		for x, m := range p.mean {
			if p.known[x] && r.slabs[i].ok[p.lo+x] {
				dot += float64(m * r.slabs[i].z[p.lo+x])
				square += float64(m * m)
			}
		}
		if square > 0 {
			sum += dot / square
			n++
		}
	}
	if n > 0 {
		p.height = sum / float64(n)
	}
}

// extent is the first slab that has at least half of the best one's weight in any
// part, and the one after the last.
func extent(parts []part) (from, to int) {
	from = math.MaxInt
	for _, p := range parts {
		most := slices.Max(p.weight)
		for i, w := range p.weight {
			if w > 0 && 2*w >= most {
				from, to = min(from, i), max(to, i+1)
			}
		}
	}
	return min(from, to), to
}
