package evaluate

import (
	"cmp"
	"math"
	"slices"
)

// logCost is the mean cost in bits of log10 likelihood ratios at prior odds of
// 10^prior: the empirical cross-entropy (Ramos et al. 2013). At even odds it is
// Cllr (Brümmer and du Preez 2006): 0 perfect, 1 as good as no ratio at all.
func logCost(same, different []float64, prior float64) float64 {
	p := 1 / (1 + math.Pow(10, -prior))
	cost := func(v []float64, sign float64) float64 {
		sum := 0.0
		for _, l := range v {
			sum += math.Log2(1 + math.Pow(10, sign*(l+prior)))
		}
		return sum / float64(len(v))
	}
	return p*cost(same, -1) + (1-p)*cost(different, 1)
}

func cllr(same, different []float64) float64 { return logCost(same, different, 0) }

// bestCalibrated returns the log10 likelihood ratios that keep the order of the
// given ones and cost least, found with pool-adjacent-violators: what is left of
// the cost with them is for discrimination to answer, the rest for calibration.
// Groups of one class alone get ±Inf, which costs nothing.
func bestCalibrated(same, different []float64) (s, d []float64) {
	type point struct {
		v    float64
		same bool
		i    int
	}
	points := make([]point, 0, len(same)+len(different))
	for i, v := range same {
		points = append(points, point{v, true, i})
	}
	for i, v := range different {
		points = append(points, point{v, false, i})
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.v, b.v) })
	type block struct{ from, to, same int }
	share := func(b block) float64 { return float64(b.same) / float64(b.to-b.from) }
	var blocks []block
	for i := 0; i < len(points); {
		b := block{from: i, to: i}
		for ; b.to < len(points) && points[b.to].v == points[i].v; b.to++ {
			if points[b.to].same {
				b.same++
			}
		}
		i = b.to
		for len(blocks) > 0 && share(blocks[len(blocks)-1]) >= share(b) {
			last := blocks[len(blocks)-1]
			b = block{last.from, b.to, last.same + b.same}
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	s, d = make([]float64, len(same)), make([]float64, len(different))
	prior := math.Log10(float64(len(same)) / float64(len(different)))
	for _, b := range blocks {
		lr := math.Log10(float64(b.same)/float64(b.to-b.from-b.same)) - prior
		for _, p := range points[b.from:b.to] {
			if p.same {
				s[p.i] = lr
			} else {
				d[p.i] = lr
			}
		}
	}
	return s, d
}

// entropyPoint is the cost in bits at one prior of the ratios, of the same ones
// calibrated best, and of saying nothing.
type entropyPoint struct{ prior, given, best, neutral float64 }

// entropyCurve covers prior log10 odds from −3 to 3.
func entropyCurve(same, different []float64) []entropyPoint {
	bs, bd := bestCalibrated(same, different)
	zeroS, zeroD := make([]float64, len(same)), make([]float64, len(different))
	var out []entropyPoint
	for i := -60; i <= 60; i++ {
		prior := float64(i) / 20
		out = append(out, entropyPoint{prior, logCost(same, different, prior), logCost(bs, bd, prior), logCost(zeroS, zeroD, prior)})
	}
	return out
}

// exceeding returns, rising, the values with the share of v that is at least as
// large: one curve of a Tippett plot.
func exceeding(v []float64) (x, share []float64) {
	x = slices.Clone(v)
	slices.Sort(x)
	share = make([]float64, len(x))
	for i := range x {
		share[i] = float64(len(x)-i) / float64(len(x))
	}
	return x, share
}
