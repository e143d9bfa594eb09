package evaluate

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
	"proofmark/correlate/fuse"
)

// regionsOf lists the regions of a table in the order of their first row; rows
// without one are of the evaluation's.
func regionsOf(set []Labelled, usual correlate.ROI) []correlate.ROI {
	var out []correlate.ROI
	for _, l := range set {
		if r := l.region(usual); !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

func (l Labelled) region(usual correlate.ROI) correlate.ROI {
	if l.Region == "" {
		return usual
	}
	return correlate.ROI(l.Region)
}

// runRegions measures each region of a table, and the exhibits by all their
// regions together.
func runRegions(ctx context.Context, folder fs.FS, set []Labelled, regions []correlate.ROI, o Options) (*Evaluation, error) {
	if slices.Contains(regions, correlate.LEA) {
		return nil, fmt.Errorf("%w: land engraved areas are on bullets, the other regions on cartridge cases: give them tables of their own", ErrBadTruth)
	}
	if o.Model != nil {
		return nil, fmt.Errorf("the calibration %q is for %s alone: give it a table of that region", o.Model.Population.Name, o.Model.Region)
	}
	if err := oneSourceEach(set); err != nil {
		return nil, err
	}
	e := &Evaluation{}
	var parts []*Evaluation
	o.many = true
	for _, roi := range regions {
		var rows []Labelled
		for _, l := range set {
			if l.region(o.ROI) == roi {
				rows = append(rows, l)
			}
		}
		of := o
		of.ROI = roi
		if report := o.Progress; report != nil {
			of.Progress = func(stage string, done, total int) { report(string(roi)+": "+stage, done, total) }
		}
		part, err := runRegion(ctx, folder, rows, of)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", roi, err)
		}
		parts = append(parts, part)
		e.Regions = append(e.Regions, &part.Figures)
	}
	if e.sum(set, parts, o); e.Missing == len(set) {
		return nil, notInFolder(set)
	}
	fuseRegions(e, parts)
	p := parallel{ctx: ctx, progress: o.Progress}
	if err := e.separate(p, o.Seed); err != nil {
		return nil, err
	}
	e.group()
	e.rankAll(len(o.Sectors) > 0)
	e.remark(o)
	e.remarkRegions()
	return e, nil
}

// oneSourceEach refuses a table in which one exhibit comes from two firearms.
func oneSourceEach(set []Labelled) error {
	source := map[string]string{}
	for _, l := range set {
		if s, ok := source[l.exhibit()]; ok && s != l.Source {
			return fmt.Errorf("%w: exhibit %q comes from %q and from %q: give each exhibit a name of its own", ErrBadTruth, l.exhibit(), s, l.Source)
		}
		source[l.exhibit()] = l.Source
	}
	return nil
}

// sum makes marks of the exhibits and adds the regions' costs up.
func (e *Evaluation) sum(set []Labelled, parts []*Evaluation, o Options) {
	byName := map[string]*mark{}
	for _, l := range set {
		name := l.exhibit()
		m := byName[name]
		if m == nil {
			m = &mark{Labelled: l, rejects: []string{"none of its regions passed the gate"}}
			m.Scan, m.Exhibit = name, name
			byName[name] = m
			e.marks = append(e.marks, m)
		}
		m.Make, m.Calibre, m.Ammunition = known1(m.Make, l.Make), known1(m.Calibre, l.Calibre), known1(m.Ammunition, l.Ammunition)
	}
	var algorithms []string
	var bytes []float64
	add := func(to **float64, v *float64) {
		if v != nil {
			sum := *v
			if *to != nil {
				sum += **to
			}
			*to = &sum
		}
	}
	for _, p := range parts {
		algorithms = append(algorithms, p.Algorithm)
		for _, m := range p.marks {
			if m.whole != nil {
				byName[m.exhibit()].rejects = nil
			}
			if m.packed != nil {
				bytes = append(bytes, float64(len(m.packed)))
			}
		}
		add(&e.EncodeMS, p.EncodeMS)
		add(&e.CompareUS, p.CompareUS)
		add(&e.CoarseUS, p.CoarseUS)
		if p.ShortlistRecall != nil && (e.ShortlistRecall == nil || *p.ShortlistRecall < *e.ShortlistRecall) {
			e.ShortlistRecall, e.ShortlistOf = p.ShortlistRecall, p.ShortlistOf
		}
		e.Rejected += p.Rejected
		e.Missing += p.Missing
		for _, r := range p.Rejections {
			e.Rejections = append(e.Rejections, Rejection{fmt.Sprintf("%s (%s)", r.Scan, p.ROI), r.Reasons})
		}
	}
	e.Algorithm, e.Seed = strings.Join(algorithms, " + "), o.Seed
	if len(o.Sectors) > 0 {
		e.Sector, e.Fragment = new(o.Sectors[0]), o.Fragment
	}
	e.Scans, e.Sources, e.Exhibits = len(set), len(Sources(set)), len(e.marks)
	if e.Rejections == nil {
		e.Rejections = []Rejection{}
	}
	if e.BytesMean = meanOf(bytes); e.BytesMean != nil {
		e.BytesMax = new(int(slices.Max(bytes)))
	}
}

func known1(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// exhibitPair is two exhibits, the query first.
type exhibitPair struct{ query, other int }

// fuseRegions gives every two exhibits that have a region in common one score,
// the weight that a node's candidates are ranked by.
func fuseRegions(e *Evaluation, parts []*Evaluation) {
	number := map[string]int{}
	for i, m := range e.marks {
		number[m.Scan] = i
	}
	directed := e.Sector != nil
	found := map[exhibitPair][]fuse.Weighed{} // the best comparison of each region
	for _, p := range parts {
		best := map[exhibitPair]float64{}
		for _, x := range p.Pairs {
			k := exhibitPair{number[p.marks[x.Query].exhibit()], number[p.marks[x.Other].exhibit()]}
			if !directed && k.query > k.other {
				k.query, k.other = k.other, k.query
			}
			if before, there := best[k]; !there || x.Score > before {
				best[k] = x.Score
			}
		}
		for k, score := range best {
			found[k] = append(found[k], fuse.Weighed{Weight: fuse.Weigh(p.Algorithm, score)})
		}
	}
	keys := slices.SortedFunc(maps.Keys(found), func(a, b exhibitPair) int {
		return cmp.Or(cmp.Compare(a.query, b.query), cmp.Compare(a.other, b.other))
	})
	for _, k := range keys {
		a, b := e.marks[k.query], e.marks[k.other]
		x := Pair{calibrate.Pair{SourceA: a.Source, SourceB: b.Source}, k.query, k.other, a.Source == b.Source}
		x.Score = fuse.Join(found[k])
		e.Pairs = append(e.Pairs, x)
	}
}

// remarkRegions says how regions were put together.
func (e *Evaluation) remarkRegions() {
	text := "Regions fused as a node ranks them: each region's score becomes a weight, how improbable it is among marks of different firearms, and the weights of an exhibit's regions are joined by a damped sum, the strongest whole, the next by half. What lies within chance weighs 0, so ties at 0 are usual, and the weight saturates: compare ranks, not gaps. A region that one of the exhibits lacks weighs nothing; of several scans of one region the best counts."
	for _, r := range e.Regions {
		if null, ok := fuse.NullOf(r.Algorithm); ok {
			text += fmt.Sprintf(" Chance for %s: %s.", r.ROI, null.Source)
		} else {
			text += fmt.Sprintf(" No distribution by chance is known for %s (%s): it weighs nothing in the fused figures.", r.ROI, r.Algorithm)
		}
	}
	e.Notes = append(e.Notes, text,
		"Every region's own figures stand under \"By region\". Likelihood ratios are of single regions.",
		"Encode, compare and coarse times are the regions' sums; the short list recall is the lowest of the regions'.")
}
