package evaluate

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
)

// Calibrate fits a model on a labelled folder and returns it with the evaluation
// of the same set, whose likelihood ratios come from firearms left out. The
// classes of the population are the makes and calibres of the marks that passed
// the gate. Every model says the limits that all have; limits add the set's own.
// Errors are those of Run, or wrap calibrate.ErrTooFew or calibrate.ErrBadModel.
func Calibrate(ctx context.Context, folder fs.FS, set []Labelled, o Options, name, version string, limits []string) (*calibrate.Model, *Evaluation, error) {
	o.Model, o.Sectors, o.Fragment, o.Seeds, o.Distractors = nil, nil, false, 0, 0
	if o.ROI == "" {
		o.ROI = correlate.BreechFace
	}
	regions := regionsOf(set, o.ROI)
	if _, ok := correlate.AlgorithmOf(regions[0]); !ok || len(regions) > 1 {
		return nil, nil, fmt.Errorf("calibrate: %w: likelihood ratios are of single regions, breech faces or firing-pin impressions: give a table of one of them", correlate.ErrUnsupportedROI)
	}
	e, err := Run(ctx, folder, set, o)
	if err != nil {
		return nil, nil, err
	}
	about := calibrate.Model{Region: string(e.ROI), Algorithm: e.Algorithm}
	p := &about.Population
	p.Name, p.Version, p.Scans = name, version, e.Scans-e.Rejected
	for _, m := range e.marks {
		if m.whole != nil {
			p.Classes = append(p.Classes, calibrate.Class{Make: m.Make, Calibre: m.Calibre})
		}
	}
	slices.SortFunc(p.Classes, func(a, b calibrate.Class) int {
		return cmp.Or(cmp.Compare(a.Make, b.Make), cmp.Compare(a.Calibre, b.Calibre))
	})
	p.Classes = slices.Compact(p.Classes)
	p.Limits = append([]string{
		fmt.Sprintf("%d firearms: pairs that share one are not independent, and the bounds are drawn for that", e.Sources),
		"whole marks on the instruments of this population; partial or weaker marks and other instruments are not covered",
	}, limits...)
	m, err := calibrate.Fit(ofCalibration(e.Pairs), about)
	if err != nil {
		return nil, nil, err
	}
	if e.Cllr == nil {
		return nil, nil, fmt.Errorf("%w: a model can be fitted, but not tested on firearms left out: label more firearms", calibrate.ErrTooFew)
	}
	return m, e, nil
}
