package evaluate

import (
	"errors"
	"slices"

	"proofmark/correlate/calibrate"
)

// weigh gives the pairs their likelihood ratios and measures those: with a
// model, or fitted and tested on different firearms of the set itself.
func (e *Evaluation) weigh(model *calibrate.Model) error {
	if e.roc == nil {
		return nil
	}
	add := func(same bool, lr float64) {
		if same {
			e.evidence.same = append(e.evidence.same, lr)
		} else {
			e.evidence.different = append(e.evidence.different, lr)
		}
	}
	if model != nil {
		e.weighBy(model, add)
	} else {
		lr, folds, err := calibrate.CrossValidate(ofCalibration(e.Pairs))
		if errors.Is(err, calibrate.ErrTooFew) {
			e.Notes = append(e.Notes, "No likelihood ratios: "+err.Error()+".")
			return nil
		}
		if err != nil {
			return err
		}
		for i, x := range e.Pairs {
			add(x.Mates, lr[i])
		}
		if e.Halves, err = halve(e.Pairs, e.Seed); err != nil {
			return err
		}
		all := slices.Concat(e.evidence.same, e.evidence.different)
		e.Calibration = &Calibration{Population: "this set, each pair weighed by a model fitted without its firearms", CrossFolds: folds, MaxLog10LR: slices.Max(all), MinLog10LR: slices.Min(all)}
	}
	same, different := e.evidence.same, e.evidence.different
	if len(same) == 0 || len(different) == 0 {
		e.Notes = append(e.Notes, "The calibration does not hold the makes and calibres of this set: no likelihood ratio is measured.")
		return nil
	}
	bs, bd := bestCalibrated(same, different)
	e.Cllr, e.CllrMin = new(cllr(same, different)), new(cllr(bs, bd))
	return nil
}

// weighBy asks a model for every pair.
func (e *Evaluation) weighBy(model *calibrate.Model, add func(same bool, lr float64)) {
	c := &Calibration{Population: model.Population.Name, Version: model.Population.Version, MaxLog10LR: model.MaxLog10LR, MinLog10LR: model.MinLog10LR, Limits: model.Population.Limits}
	classed := len(e.values(func(m *mark) string { return m.Make })) > 0
	for _, x := range e.Pairs {
		a, b := e.marks[x.Query], e.marks[x.Other]
		if !classed {
			add(x.Mates, model.Log10LR(x.Features))
		} else if v := model.Evaluate(x.Features, e.Algorithm, calibrate.Class{Make: a.Make, Calibre: a.Calibre}, calibrate.Class{Make: b.Make, Calibre: b.Calibre}); v.Calibrated {
			add(x.Mates, v.Log10LR)
		} else {
			c.NotCalibrated++
		}
	}
	e.Calibration = c
	if !classed {
		e.Notes = append(e.Notes, "The table has no column make: that the calibration's population fits these firearms is taken for granted.")
	}
}
