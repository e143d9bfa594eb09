package calibrate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// The least that a fit needs; less would be fitted to chance.
const (
	leastSources   = 3 // firearms with mates
	leastSame      = 6
	leastDifferent = 20
)

// slopePrior is the standard deviation of a normal prior on each weight, per
// standard deviation of its feature: it keeps the fit finite where the classes
// do not overlap, and is forgotten as pairs grow.
const slopePrior = 5.0

// Fit finds a model from pairs of known truth by logistic regression. Both
// classes weigh the same, so that the fitted log odds are a log likelihood
// ratio; weights below zero are refused (more agreement never speaks against a
// common source). The bounds come from the number of pairs, discounted for
// pairs of one firearm not being independent. Region, algorithm, name, version,
// classes and limits are taken from about; its numbers of pairs and firearms are
// counted here. Errors wrap ErrTooFew or ErrBadModel.
func Fit(pairs []Pair, about Model) (*Model, error) {
	m := about
	m.Format = formatVersion
	m.Population.Sources = countSources(pairs)
	m.Population.SamePairs, m.Population.DifferentPairs = count(pairs)
	if err := m.fit(pairs); err != nil {
		return nil, err
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	return &m, nil
}

func count(pairs []Pair) (same, different int) {
	for _, p := range pairs {
		if p.Same() {
			same++
		}
	}
	return same, len(pairs) - same
}

func countSources(pairs []Pair) int {
	seen := map[string]bool{}
	for _, p := range pairs {
		seen[p.SourceA], seen[p.SourceB] = true, true
	}
	return len(seen)
}

// fit sets weights and bounds.
func (m *Model) fit(pairs []Pair) error {
	same, different := count(pairs)
	mates := map[string]bool{}
	for i, p := range pairs {
		if !(math.Abs(p.Score) <= 1) || !(p.CellShare >= 0 && p.CellShare <= 1) {
			return fmt.Errorf("fit calibration: pair %d has score %g and cell share %g, outside what a comparison gives", i, p.Score, p.CellShare)
		}
		if p.Same() {
			mates[p.SourceA] = true
		}
	}
	if len(mates) < leastSources || same < leastSame || different < leastDifferent {
		return fmt.Errorf("%w: %d firearms with two marks or more, %d same-source and %d different-source pairs; at least %d, %d and %d are needed: label more scans",
			ErrTooFew, len(mates), same, different, leastSources, leastSame, leastDifferent)
	}
	w, err := regress(pairs, [2]bool{true, true})
	if err != nil {
		return err
	}
	// Two features that say nearly the same can share the weight with opposite
	// signs: then the stronger one alone decides.
	if w[1] < 0 || w[2] < 0 {
		if w, err = regress(pairs, [2]bool{w[1] >= w[2], w[1] < w[2]}); err != nil {
			return err
		}
	}
	m.Intercept, m.ScoreWeight, m.CellWeight = w[0]/math.Ln10, max(w[1], 0)/math.Ln10, max(w[2], 0)/math.Ln10
	m.MaxLog10LR = bound(effective(pairs, false))
	m.MinLog10LR = -bound(effective(pairs, true))
	return nil
}

// regress returns intercept and weights of S and cell share in natural log odds;
// a feature that is not used has weight 0.
func regress(pairs []Pair, use [2]bool) ([3]float64, error) {
	same, different := count(pairs)
	// The smaller class counts one each, the larger the same in sum: no more
	// information than the smaller holds is claimed against the prior.
	weight := [2]float64{float64(min(same, different)) / float64(different), float64(min(same, different)) / float64(same)}
	mean, sd := moments(pairs, weight)
	beta := [3]float64{}
	for range 100 {
		// Plain sums: a set of 500 scans has a quarter of a million pairs.
		var h [9]float64
		var g [3]float64
		for k := range 3 {
			precision := 1 / (slopePrior * slopePrior)
			switch {
			case k == 0:
				precision = 1e-9
			case !use[k-1]:
				precision = 1e12
			}
			h[3*k+k] = precision
			g[k] = -precision * beta[k]
		}
		for i := range pairs {
			p := &pairs[i]
			x := [3]float64{1, (p.Score - mean[0]) / sd[0], (p.CellShare - mean[1]) / sd[1]}
			y := 0.0
			w := weight[0]
			if p.Same() {
				y, w = 1, weight[1]
			}
			q := 1 / (1 + math.Exp(-(beta[0] + beta[1]*x[1] + beta[2]*x[2])))
			for a := range 3 {
				g[a] += w * (y - q) * x[a]
				for b := a; b < 3; b++ {
					h[3*a+b] += w * q * (1 - q) * x[a] * x[b]
				}
			}
		}
		hessian, gradient := mat.NewSymDense(3, h[:]), mat.NewVecDense(3, g[:])
		var factors mat.Cholesky
		var step mat.VecDense
		if !factors.Factorize(hessian) {
			return beta, fmt.Errorf("fit calibration: the regression has no curvature: are all scores equal?")
		}
		if err := factors.SolveVecTo(&step, gradient); err != nil {
			return beta, fmt.Errorf("fit calibration: %w", err)
		}
		// A Newton step on a nearly flat loss may be far too long.
		longest := max(math.Abs(step.AtVec(0)), math.Abs(step.AtVec(1)), math.Abs(step.AtVec(2)))
		scale := min(1, 2/max(longest, 1e-300))
		for k := range beta {
			beta[k] += scale * step.AtVec(k)
		}
		if longest < 1e-10 {
			break
		}
	}
	out := [3]float64{beta[0], beta[1] / sd[0], beta[2] / sd[1]}
	for k := range use {
		if !use[k] {
			out[k+1] = 0
		}
	}
	out[0] -= out[1]*mean[0] + out[2]*mean[1]
	return out, nil
}

// moments are the weighted mean and standard deviation of each feature; a
// constant feature gets deviation 1.
func moments(pairs []Pair, weight [2]float64) (mean, sd [2]float64) {
	total := 0.0
	for pass := range 2 {
		for _, p := range pairs {
			w := weight[0]
			if p.Same() {
				w = weight[1]
			}
			for k, v := range [2]float64{p.Score, p.CellShare} {
				if pass == 0 {
					mean[k] += w * v
				} else {
					sd[k] += w * (v - mean[k]) * (v - mean[k])
				}
			}
			if pass == 0 {
				total += w
			}
		}
		for k := range 2 {
			if pass == 0 {
				mean[k] /= total
			} else if sd[k] = math.Sqrt(sd[k] / total); sd[k] < 1e-9 {
				sd[k] = 1
			}
		}
	}
	return mean, sd
}

// effective is the number of independent pairs that would know the mean score
// of a class as well as these pairs do: its variance over pairs, divided by the
// variance of the mean when whole firearms are left out in turn (the jackknife,
// Tukey 1958). For different-source pairs without any effect of the firearm it
// gives about half their number, because each pair falls out with two firearms:
// it errs towards the smaller claim.
func effective(pairs []Pair, same bool) float64 {
	type sums struct{ n, s float64 }
	bySource := map[string]sums{}
	var all, square float64
	n := 0.0
	for _, p := range pairs {
		if p.Same() != same {
			continue
		}
		n, all, square = n+1, all+p.Score, square+p.Score*p.Score
		a := bySource[p.SourceA]
		bySource[p.SourceA] = sums{a.n + 1, a.s + p.Score}
		if !same {
			b := bySource[p.SourceB]
			bySource[p.SourceB] = sums{b.n + 1, b.s + p.Score}
		}
	}
	var left []float64 // means without one source
	for _, s := range bySource {
		if n > s.n {
			left = append(left, (all-s.s)/(n-s.n))
		}
	}
	if len(left) < 2 {
		return min(n, 1)
	}
	slices.SortFunc(left, cmp.Compare[float64]) // the sums must not depend on the map's order
	mean, spread := 0.0, 0.0
	for _, v := range left {
		mean += v / float64(len(left))
	}
	for _, v := range left {
		spread += (v - mean) * (v - mean)
	}
	k := float64(len(left))
	jackknife := spread * (k - 1) / k
	variance := square/n - all/n*all/n
	if jackknife <= 0 {
		return n
	}
	return min(n, variance/jackknife)
}
