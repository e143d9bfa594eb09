// Package evaluate says what the comparison is worth on a labelled folder of
// scans, and what a score is worth there as evidence. It owns the truth table,
// the figures, the report and its plots; it refuses to know how marks are
// compared, changes no file, and says null of what it has not measured.
//
// Every figure but the times is the same for the same folder, options and seed,
// whatever the number of cores.
package evaluate

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
)

// Options of an evaluation. The zero value measures whole breech faces.
type Options struct {
	ROI         correlate.ROI    // empty is breech-face; rows that name a region are of that one
	Sectors     []float64        // empty compares whole marks; otherwise queries are cut to these percentages of their points
	Fragment    bool             // the scans themselves are cut, not only their marks; both are measured
	Seeds       int              // directions that each scan is cut in, from Seed on; 0 is 1
	Distractors int              // marks of nobody that pad the gallery
	Model       *calibrate.Model // nil fits and tests on the set itself, on different firearms
	Seed        uint64
	Now         func() time.Time                    // nil measures no times
	Progress    func(stage string, done, total int) // nil reports nothing; called from many goroutines, one at a time

	many bool // one of several regions: all of its scans may be missing
}

// Limits of the options.
const (
	maxDistractors = 1_000_000 // the largest gallery whose size the project promises
	maxSectors     = 10
	maxSeeds       = 20
)

func (o *Options) check() error {
	if o.ROI == "" {
		o.ROI = correlate.BreechFace
	}
	if len(o.Sectors) > maxSectors {
		return fmt.Errorf("%d sectors: give %d at most", len(o.Sectors), maxSectors)
	}
	for i, s := range o.Sectors {
		if !(s >= 1 && s < 100) {
			return fmt.Errorf("sector of %g %%: give a percentage from 1 to below 100", s)
		}
		if slices.Contains(o.Sectors[:i], s) {
			return fmt.Errorf("sector of %g %% is given twice", s)
		}
	}
	if o.Seeds < 0 || o.Seeds > maxSeeds {
		return fmt.Errorf("%d seeds: give 1 to %d", o.Seeds, maxSeeds)
	}
	if len(o.Sectors) == 0 && (o.Fragment || o.Seeds > 1) {
		return fmt.Errorf("fragments and seeds are about cut queries: give a sector too")
	}
	if o.Distractors < 0 || o.Distractors > maxDistractors {
		return fmt.Errorf("%d distractors: give 0 to %d", o.Distractors, maxDistractors)
	}
	return nil
}

// fits tells whether the options' calibration speaks of a region's scores.
func (o *Options) fits(algorithm string) error {
	if o.Model != nil && (o.Model.Region != string(o.ROI) || o.Model.Algorithm != algorithm) {
		return fmt.Errorf("the calibration %q is for %s of %s, this is %s of %s: fit one with `proofmark calibrate`",
			o.Model.Population.Name, o.Model.Region, o.Model.Algorithm, o.ROI, algorithm)
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
	roc      []RatePoint // nil without both kinds of pair
	queries  []ranked
	evidence evidence
}

// Run measures a labelled folder. What cannot be measured is nil in the figures
// and said in the notes. Errors: what is wrong with an option or the table, a
// folder without any of the table's scans, or ctx's.
func Run(ctx context.Context, folder fs.FS, set []Labelled, o Options) (*Evaluation, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	regions := regionsOf(set, o.ROI)
	if len(regions) > 1 {
		return runRegions(ctx, folder, set, regions, o)
	}
	o.ROI = regions[0]
	if o.ROI == correlate.LEA {
		return runLands(ctx, folder, set, o)
	}
	return runRegion(ctx, folder, set, o)
}

// runRegion measures the marks of one region.
func runRegion(ctx context.Context, folder fs.FS, set []Labelled, o Options) (*Evaluation, error) {
	how, err := methodOf(o.ROI)
	if err != nil {
		return nil, err
	}
	if err := o.fits(how.algorithm()); err != nil {
		return nil, err
	}
	_, pictures := how.(areal)
	if !pictures && (len(o.Sectors) > 0 || o.Model != nil) {
		return nil, fmt.Errorf("evaluate %s: cut queries and calibrations are for pictures of surfaces, breech faces and firing-pin impressions: leave them out", o.ROI)
	}
	p := parallel{ctx: ctx, progress: o.Progress}
	cuts := o.cuts()
	marks, err := readMarks(p, folder, set, how, cuts)
	if err != nil {
		return nil, err
	}
	e := &Evaluation{marks: marks}
	if !o.many && allMissing(marks) {
		return nil, notInFolder(set)
	}
	e.describe(set, o, how.algorithm())
	if len(cuts) == 0 {
		if e.Pairs, err = comparePairs(p.named("comparing pairs"), marks, false); err != nil {
			return nil, err
		}
	}
	for k := len(cuts) - 1; k >= 0; k-- { // the first one's pairs remain
		if err := useCut(p, marks, how, k); err != nil {
			return nil, err
		}
		if e.Pairs, err = comparePairs(p.named(fmt.Sprintf("comparing queries of %g %%, %d of %d", cuts[k].share, len(cuts)-k, len(cuts))), marks, true); err != nil {
			return nil, err
		}
		f := describeCut(marks, cuts[k], k)
		f.Separation, _ = separationOf(e.Pairs)
		f.Hits = hitsOf(rankPairs(e.Pairs, len(marks), true))
		e.Cuts = slices.Insert(e.Cuts, 0, f)
	}
	e.ByPartialArea = byPartialArea(e.Cuts)
	if err := e.measure(p, o, pictures); err != nil {
		return nil, err
	}
	if pictures {
		err = e.search(p, o, how, cuts)
	} else {
		e.Notes = append(e.Notes, "No likelihood ratios, distractors and short list: calibrations and mixtures are made of pictures of surfaces, and the search of striated marks is linear.")
	}
	if err != nil {
		return nil, err
	}
	if o.Now != nil {
		if err := e.clock(ctx, folder, o, how); err != nil {
			return nil, err
		}
	}
	e.remark(o)
	return e, nil
}

// measure takes all figures from the pairs, and likelihood ratios where they are
// defined.
func (e *Evaluation) measure(p parallel, o Options, ratios bool) error {
	if err := e.separate(p, o.Seed); err != nil {
		return err
	}
	e.group()
	e.rankAll(len(o.Sectors) > 0)
	if !ratios {
		return nil
	}
	return e.weigh(o.Model)
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

// comparePairs compares every two marks of different exhibits: each pair once
// where both are whole, and each cut query with every other whole mark.
func comparePairs(p parallel, marks []*mark, cut bool) ([]Pair, error) {
	var pairs []Pair
	for i, a := range marks {
		for j, b := range marks {
			if i == j || (!cut && j < i) || a.query == nil || b.whole == nil || a.exhibit() == b.exhibit() {
				continue
			}
			pairs = append(pairs, Pair{calibrate.Pair{SourceA: a.Source, SourceB: b.Source}, i, j, a.Source == b.Source})
		}
	}
	err := p.each(len(pairs), func(i int) {
		x := &pairs[i]
		x.Features = marks[x.Query].query.against(marks[x.Other].whole)
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

// meanOf values; nil where there are none.
func meanOf(v []float64) *float64 {
	if len(v) == 0 {
		return nil
	}
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return new(sum / float64(len(v)))
}
