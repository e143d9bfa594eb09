package fuse

import (
	"math"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/shear"
)

// Null is how an algorithm scores marks of different firearms: a Gumbel distribution, that of the largest of many values, since a score is the best of
// thousands of poses or phases. P(score ≥ s) = 1 − exp(−exp(−(s − Mode)/Scale)).
type Null struct {
	Mode   float64 `json:"mode"`
	Scale  float64 `json:"scale"`
	Pairs  int     `json:"pairs"` // of marks of different firearms that it was fitted on, by mean and variance
	Source string  `json:"source"`
}

// nulls by algorithm. TestNullsAreAsMeasured measures them again.
var nulls = map[string]Null{
	correlate.Algorithm:          {0.0802, 0.0211, 717, "717 pairs of different slides (Fadul et al. 2011)"},
	correlate.FiringPinAlgorithm: {0.0802, 0.0211, 0, "as for breech faces, whose method it is at 2/5 of the length: no real firing-pin impressions were measured"},
	shear.Algorithm:              {0.2629, 0.0366, 1770, "1,770 pairs of made-up profiles of the band that is compared: no real aperture shear was measured"},
	bullet.Algorithm:             {0.2987, 0.0120, 942, "942 pairs of generated bullets of different barrels, in four arrangements"},
}

// NullOf is the null distribution by which scores of an algorithm are weighed; false where there is none.
func NullOf(algorithm string) (Null, bool) {
	n, ok := nulls[algorithm]
	return n, ok
}

// logChance is the natural logarithm of the probability that marks of different firearms score at least s.
func (n Null) logChance(s float64) float64 {
	z := (s - n.Mode) / n.Scale
	if z > 30 {
		return -z // 1 − exp(−x) is x to the last bit for so small an x, and would be 0 for smaller ones
	}
	return math.Log(-math.Expm1(-math.Exp(-z)))
}

// weight of a score in decades, from 0 to below Limit; it never falls as the score rises.
//
// A probability p by chance is no likelihood ratio: the greatest one in favour of a common source that it can stand for, whatever marks of one
// source score, is −1/(e·p·ln p) for p < 1/e (Sellke, Bayarri and Berger, "Calibration of p Values for Testing Precise Null Hypotheses", The American
// Statistician 55, 2001). Its logarithm is 0 where chance does as well, so that an exhibit with many regions gains nothing by chance.
func (n Null) weight(s float64) float64 {
	if math.IsNaN(s) || math.IsInf(s, 0) {
		return 0 // no comparison gives that
	}
	log := n.logChance(s)
	if log >= -1 {
		return 0
	}
	decades := (-log - 1 - math.Log(-log)) / math.Ln10
	return max(0, Limit*-math.Expm1(-decades/Limit))
}
