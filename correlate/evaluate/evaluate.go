// Package evaluate says what the comparison is worth on a labelled folder of
// scans, and what a score is worth there as evidence. It owns the truth table,
// the figures, the report and its plots; it refuses to know how marks are
// compared, changes no file, and leaves out what it has not measured.
//
// Every figure but the times is the same for the same folder, options and seed,
// whatever the number of cores.
package evaluate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
)

// ErrNoPairs: too few marks were left to compare.
var ErrNoPairs = errors.New("nothing to measure")

// Options of an evaluation. The zero value measures whole breech faces.
type Options struct {
	ROI         correlate.ROI    // empty is breech-face
	Sector      float64          // 0 compares whole marks; otherwise queries are cut to this percentage of their area
	Distractors int              // marks of nobody that pad the gallery
	Model       *calibrate.Model // nil fits and tests on the set itself, on different firearms
	Seed        uint64
	Now         func() time.Time                    // nil measures no times
	Progress    func(stage string, done, total int) // nil reports nothing; called from many goroutines, one at a time
}

// maxDistractors is the largest gallery whose size the project promises.
const maxDistractors = 1_000_000

func (o *Options) check() error {
	if o.ROI == "" {
		o.ROI = correlate.BreechFace
	}
	if o.ROI == correlate.LEA {
		return o.checkLands()
	}
	if o.ROI != correlate.BreechFace {
		return fmt.Errorf("evaluate %s: %w", o.ROI, correlate.ErrUnsupportedROI)
	}
	if !(o.Sector == 0 || (o.Sector >= 1 && o.Sector < 100)) {
		return fmt.Errorf("sector of %g %%: give a percentage from 1 to below 100", o.Sector)
	}
	if o.Distractors < 0 || o.Distractors > maxDistractors {
		return fmt.Errorf("%d distractors: give 0 to %d", o.Distractors, maxDistractors)
	}
	if o.Model != nil && (o.Model.Region != string(o.ROI) || o.Model.Algorithm != correlate.Algorithm) {
		return fmt.Errorf("the calibration %q is for %s of %s, this is %s of %s: fit one with `proofmark calibrate`",
			o.Model.Population.Name, o.Model.Region, o.Model.Algorithm, o.ROI, correlate.Algorithm)
	}
	return nil
}

// Pair is one comparison with its truth; Query and Other count the set's marks.
// Its sources are the firearms; the lands of one barrel are no mates unless one
// land made both.
type Pair struct {
	calibrate.Pair
	Query, Other int
	Mates        bool
}

// Evaluation is everything measured on one set.
type Evaluation struct {
	Figures
	Pairs []Pair // in the order of the table

	marks    []*mark
	roc      []RatePoint
	queries  []ranked
	evidence evidence
}

// Run measures a labelled folder. Errors: what is wrong with an option or the
// table, a scan of the table that is not in the folder, ErrNoPairs, or ctx's.
func Run(ctx context.Context, folder fs.FS, set []Labelled, o Options) (*Evaluation, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.ROI == correlate.LEA {
		return runLands(ctx, folder, set, o)
	}
	p := parallel{ctx: ctx, progress: o.Progress}
	marks, err := readMarks(p, folder, set, o)
	if err != nil {
		return nil, err
	}
	e := &Evaluation{marks: marks}
	e.describe(set, o)
	if e.Pairs, err = comparePairs(p, marks, o.Sector > 0); err != nil {
		return nil, err
	}
	if err := e.separate(p, o.Seed); err != nil {
		return nil, err
	}
	e.group()
	if err := e.weigh(o.Model); err != nil {
		return nil, err
	}
	if err := e.rankAll(p, o); err != nil {
		return nil, err
	}
	if o.Now != nil {
		if err := e.clock(ctx, folder, o); err != nil {
			return nil, err
		}
	}
	e.remark(o)
	return e, nil
}

// parallel spreads work over all cores and tells how far it is.
type parallel struct {
	ctx      context.Context
	progress func(stage string, done, total int)
	stage    string
}

func (p parallel) named(stage string) parallel { p.stage = stage; return p }

// each calls do for 0 ≤ i < n and stops early when the context ends.
func (p parallel) each(n int, do func(i int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for p.ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
				if p.progress != nil && p.stage != "" {
					mu.Lock()
					done++
					p.progress(p.stage, done, n)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return p.ctx.Err()
}

// comparePairs compares every two accepted marks: each pair once where both are
// whole, and each cut query with every other whole mark.
func comparePairs(p parallel, marks []*mark, cut bool) ([]Pair, error) {
	var pairs []Pair
	for i, a := range marks {
		for j, b := range marks {
			if i == j || (!cut && j < i) || a.query == nil || b.whole == nil {
				continue
			}
			pairs = append(pairs, Pair{calibrate.Pair{SourceA: a.Source, SourceB: b.Source}, i, j, a.Source == b.Source})
		}
	}
	same := 0
	for _, x := range pairs {
		if x.Mates {
			same++
		}
	}
	if same == 0 || same == len(pairs) {
		return nil, fmt.Errorf("%w: %d same-source and %d different-source pairs of accepted marks; both kinds are needed", ErrNoPairs, same, len(pairs)-same)
	}
	err := p.named("comparing pairs").each(len(pairs), func(i int) {
		x := &pairs[i]
		x.Features = calibrate.FeaturesOf(correlate.Compare(marks[x.Query].query, marks[x.Other].whole))
	})
	return pairs, err
}

// scores of a list of pairs by their truth.
func scores(pairs []Pair) (same, different []float64) {
	for _, p := range pairs {
		if p.Mates {
			same = append(same, p.Score)
		} else {
			different = append(different, p.Score)
		}
	}
	return same, different
}
