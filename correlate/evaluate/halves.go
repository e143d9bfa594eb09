package evaluate

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"proofmark/correlate/calibrate"
)

// maxDivisions of the firearms into halves: all there are, or so many drawn ones.
const maxDivisions = 126

// Halves says how what is fitted on one half of the firearms does on the other:
// the calibration, and a threshold for calling two marks the same. The comparison
// itself has constants too; those were chosen once and are not fitted here.
type Halves struct {
	Divisions int `json:"divisions"`    // of the firearms into halves; each half is kept back once
	Tests     int `json:"tests"`        // halves kept back that could be measured
	Fitted    int `json:"fitted_of"`    // firearms of the smaller half
	Pairs     int `json:"pairs_tested"` // of all tests together; no pair has a firearm that was fitted on

	Misses        float64 `json:"miss_rate"`        // of same-source pairs kept back, below the fitted half's threshold
	MissesWorst   float64 `json:"miss_rate_worst"`  // of the worst test
	Alarms        float64 `json:"false_alarm_rate"` // of different-source pairs kept back, at or above it
	AlarmsWorst   float64 `json:"false_alarm_rate_worst"`
	ThresholdLow  float64 `json:"threshold_min"`
	ThresholdHigh float64 `json:"threshold_max"`

	Cllr        float64 `json:"cllr"` // mean over the tests
	CllrWorst   float64 `json:"cllr_worst"`
	CllrMinMean float64 `json:"cllr_min"` // mean, after the best recalibration of each kept-back half
}

// halve fits on each half of the firearms and tests on the other; nil where the
// halves hold too little. Pairs across the halves are used for neither.
func halve(pairs []Pair, seed uint64) (*Halves, error) {
	var sources []string
	for _, p := range pairs {
		sources = append(sources, p.SourceA, p.SourceB)
	}
	slices.Sort(sources)
	sources = slices.Compact(sources)
	divisions := divisionsOf(len(sources), seed)
	h := Halves{Divisions: len(divisions), Fitted: len(sources) / 2, ThresholdLow: math.Inf(1), ThresholdHigh: math.Inf(-1)}
	same, different, missed, alarms := 0, 0, 0, 0
	for _, first := range divisions {
		side := map[string]int{}
		for i, s := range sources {
			if !first[i] {
				side[s] = 1
			}
		}
		var in [2][]Pair
		for _, p := range pairs {
			if a := side[p.SourceA]; a == side[p.SourceB] {
				in[a] = append(in[a], p)
			}
		}
		for fitted := range 2 {
			t, err := testOn(in[fitted], in[1-fitted])
			if errors.Is(err, calibrate.ErrTooFew) {
				continue
			}
			if err != nil {
				return nil, err
			}
			h.Tests++
			h.Pairs += len(in[1-fitted])
			same, different = same+len(t.same), different+len(t.different)
			missed, alarms = missed+t.missed, alarms+t.alarms
			h.MissesWorst = max(h.MissesWorst, float64(t.missed)/float64(len(t.same)))
			h.AlarmsWorst = max(h.AlarmsWorst, float64(t.alarms)/float64(len(t.different)))
			h.ThresholdLow, h.ThresholdHigh = min(h.ThresholdLow, t.threshold), max(h.ThresholdHigh, t.threshold)
			cost := cllr(t.same, t.different)
			bs, bd := bestCalibrated(t.same, t.different)
			h.Cllr, h.CllrWorst, h.CllrMinMean = h.Cllr+cost, max(h.CllrWorst, cost), h.CllrMinMean+cllr(bs, bd)
		}
	}
	if h.Tests == 0 {
		return nil, nil
	}
	h.Misses, h.Alarms = float64(missed)/float64(same), float64(alarms)/float64(different)
	h.Cllr /= float64(h.Tests)
	h.CllrMinMean /= float64(h.Tests)
	return &h, nil
}

// keptBack is what a model and a threshold of one half give on the other: log10
// likelihood ratios, and what the threshold gets wrong.
type keptBack struct {
	same, different []float64
	threshold       float64
	missed, alarms  int
}

// testOn errs with calibrate.ErrTooFew where the fitted half does not hold enough
// for a model, or the kept-back one not both kinds of pair.
func testOn(fitted, kept []Pair) (keptBack, error) {
	t := keptBack{}
	if same, different := scores(kept); len(same) == 0 || len(different) == 0 {
		return t, calibrate.ErrTooFew
	}
	ratios, err := calibrate.Transfer(ofCalibration(fitted), ofCalibration(kept))
	if err != nil {
		return t, err
	}
	t.threshold = thresholdOf(fitted)
	for i, p := range kept {
		called := p.Score >= t.threshold
		switch {
		case p.Mates:
			t.same = append(t.same, ratios[i])
			if !called {
				t.missed++
			}
		default:
			t.different = append(t.different, ratios[i])
			if called {
				t.alarms++
			}
		}
	}
	return t, nil
}

// thresholdOf lies half way between the classes where they do not overlap, else
// where misses and false alarms are nearest to equally frequent.
func thresholdOf(pairs []Pair) float64 {
	s, roc := separationOf(pairs)
	if *s.Gap > 0 {
		return (*s.SameMin + *s.DifferentMax) / 2
	}
	best, off := 0.0, math.Inf(1)
	for _, p := range roc[1:] {
		if d := math.Abs(p.FalsePositive - (1 - p.TruePositive)); d < off {
			best, off = p.Threshold, d
		}
	}
	return best
}

// ofCalibration are the pairs as a calibration sees them.
func ofCalibration(pairs []Pair) []calibrate.Pair {
	out := make([]calibrate.Pair, len(pairs))
	for i, p := range pairs {
		out[i] = p.Pair
	}
	return out
}

// divisionsOf lists divisions of n things into halves, the smaller one first where n
// is odd: each once where there are few, else maxDivisions drawn ones.
func divisionsOf(n int, seed uint64) [][]bool {
	if n < 2 {
		return nil
	}
	var out [][]bool
	if n <= 10 {
		for set := range 1 << n {
			chosen := make([]bool, n)
			count := 0
			for i := range chosen {
				if set>>i&1 == 1 {
					chosen[i] = true
					count++
				}
			}
			// Of an even number each division comes twice: keep the one with the first thing.
			if count == n/2 && (n%2 == 1 || chosen[0]) {
				out = append(out, chosen)
			}
		}
		return out
	}
	rng := rand.New(rand.NewPCG(seed, 5))
	for range maxDivisions {
		chosen := make([]bool, n)
		for _, i := range rng.Perm(n)[:n/2] {
			chosen[i] = true
		}
		out = append(out, chosen)
	}
	return out
}
