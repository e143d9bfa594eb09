package evaluate

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
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

// fuseRegions gives every two exhibits that have a region in common one score.
func fuseRegions(e *Evaluation, parts []*Evaluation) {
	number := map[string]int{}
	for i, m := range e.marks {
		number[m.Scan] = i
	}
	directed := e.Sector != nil
	found := map[exhibitPair][]float64{} // best z of each region
	for _, p := range parts {
		null := newNull(p.Pairs)
		best := map[exhibitPair]float64{}
		for _, x := range p.Pairs {
			k := exhibitPair{number[p.marks[x.Query].exhibit()], number[p.marks[x.Other].exhibit()]}
			if !directed && k.query > k.other {
				k.query, k.other = k.other, k.query
			}
			z := null.deviations(x.Score)
			if before, there := best[k]; !there || z > before {
				best[k] = z
			}
		}
		for k, z := range best {
			found[k] = append(found[k], z)
		}
	}
	keys := make([]exhibitPair, 0, len(found))
	for k := range found {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b exhibitPair) int {
		if a.query != b.query {
			return a.query - b.query
		}
		return a.other - b.other
	})
	for _, k := range keys {
		a, b := e.marks[k.query], e.marks[k.other]
		x := Pair{calibrate.Pair{SourceA: a.Source, SourceB: b.Source}, k.query, k.other, a.Source == b.Source}
		x.Score = together(found[k])
		e.Pairs = append(e.Pairs, x)
	}
}

// together is the sum of independent deviations in units of its own deviation
// (Stouffer 1949): a region that is not there neither helps nor harms.
func together(z []float64) float64 {
	slices.Sort(z) // the sum must not depend on the regions' order
	sum := 0.0
	for _, v := range z {
		sum += v
	}
	return sum / math.Sqrt(float64(len(z)))
}

// null is how a region's different-source pairs score.
type null struct{ mean, deviation float64 }

// leastNull is the number of different-source pairs that a null needs; a region
// with fewer enters with its scores as they are.
const leastNull = 3

func newNull(pairs []Pair) null {
	_, different := scores(pairs)
	if len(different) < leastNull {
		return null{0, 1}
	}
	mean, square := 0.0, 0.0
	for _, s := range different {
		mean += s / float64(len(different))
	}
	for _, s := range different {
		square += (s - mean) * (s - mean) / float64(len(different))
	}
	return null{mean, math.Sqrt(max(square, 1e-8))}
}

// deviations that a score lies above the null's mean.
func (n null) deviations(score float64) float64 { return (score - n.mean) / n.deviation }

// remarkRegions says how regions were put together.
func (e *Evaluation) remarkRegions() {
	e.Notes = append(e.Notes,
		"Regions fused: each region's score counts by how many standard deviations it lies above the mean of the region's different-source pairs in this set (two numbers for each region are taken from the set that is measured); these deviations are added and divided by the root of their number. A region that one of the exhibits lacks is left out of the pair; of several scans of one region the best counts. Every region's own figures stand under \"By region\".",
		"Regions of one exhibit are not independent (a light strike is light everywhere): the fused score ranks, and it is no sum of evidence. No likelihood ratios of fused scores.",
		"Encode, compare and coarse times are the regions' sums; the short list recall is the lowest of the regions'.")
}
