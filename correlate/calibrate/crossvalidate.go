package calibrate

import (
	"fmt"
	"slices"
)

// maxFolds bounds the work of a cross-validation: up to so many firearms are
// left out one by one, more of them in groups.
const maxFolds = 10

// CrossValidate returns log10 LR of each pair from a model that was fitted
// without any pair of either of its firearms, and the number of groups the
// firearms were dealt into (as many as firearms, up to 10). Errors wrap ErrTooFew.
func CrossValidate(pairs []Pair) (log10LR []float64, folds int, err error) {
	fold := map[string]int{}
	var sources []string
	for _, p := range pairs {
		for _, s := range [2]string{p.SourceA, p.SourceB} {
			if _, ok := fold[s]; !ok {
				fold[s] = 0
				sources = append(sources, s)
			}
		}
	}
	slices.Sort(sources)
	folds = min(len(sources), maxFolds)
	for i, s := range sources {
		fold[s] = i % folds
	}
	log10LR = make([]float64, len(pairs))
	for a := range folds {
		for b := a; b < folds; b++ {
			var train []Pair
			var test []int
			for i, p := range pairs {
				x, y := fold[p.SourceA], fold[p.SourceB]
				x, y = min(x, y), max(x, y)
				switch {
				case x == a && y == b:
					test = append(test, i)
				case x != a && x != b && y != a && y != b:
					train = append(train, p)
				}
			}
			if len(test) == 0 {
				continue
			}
			var m Model
			if err := m.fit(train); err != nil {
				return nil, folds, fmt.Errorf("cross-validation without the firearms of the tested pairs: %w", err)
			}
			for _, i := range test {
				log10LR[i] = m.Log10LR(pairs[i].Features)
			}
		}
	}
	return log10LR, folds, nil
}

// Transfer returns log10 LR of the kept pairs from a model that was fitted on others.
// That no firearm is in both is the caller's to see to. Errors wrap ErrTooFew.
func Transfer(fitted, kept []Pair) ([]float64, error) {
	var m Model
	if err := m.fit(fitted); err != nil {
		return nil, fmt.Errorf("fit on one part of the firearms: %w", err)
	}
	out := make([]float64, len(kept))
	for i, p := range kept {
		out[i] = m.Log10LR(p.Features)
	}
	return out, nil
}
