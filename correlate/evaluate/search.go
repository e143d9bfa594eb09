package evaluate

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"time"

	"proofmark/correlate"
)

// Growth is what searches of a gallery of one size found.
type Growth struct {
	Distractors int      `json:"distractors"`
	Gallery     int      `json:"gallery"`  // entries, the set's own among them
	Share       *float64 `json:"sector"`   // % that the queries were cut to; nil for whole marks
	Fragment    bool     `json:"fragment"` //
	Hits
	// Of the mates, those on the list that is compared finely.
	ShortlistRecall *float64 `json:"shortlist_recall"`
	ShortlistMean   *float64 `json:"shortlist_mean"`    // entries
	DistractorMax   *float64 `json:"distractor_max"`    // best score of any distractor
	SearchMS        *float64 `json:"search_ms"`         // per query, all cores
	CoarseUS        *float64 `json:"coarse_us"`         // per signature scanned, one core
	BytesPerEntry   *float64 `json:"bytes_per_entry"`   // of memory, all counted
	WorstIsAtLeast  bool     `json:"worst_is_at_least"` // a mate was off the list: its rank is where that ends
}

// searchedQueries bounds the queries that search a gallery: of more marks so many
// are taken, spread evenly.
const searchedQueries = 200

// leastWeighed is the number of entries below which their memory is not told.
const leastWeighed = 10_000

// listed is how many entries a search returns here.
const listed = 50

// querySet is one kind of query.
type querySet struct {
	share    *float64
	fragment bool
	of       func(m *mark) *correlate.Template
}

// search puts the marks, and distractors where they are wanted, into a gallery
// and searches it as a node does, from small to large.
func (e *Evaluation) search(p parallel, o Options, how method, cuts []cut) error {
	if len(e.marks) == e.Rejected {
		return nil
	}
	gallery := correlate.NewGallery()
	before := heap()
	mix := &mixer{seed: o.Seed}
	for i, m := range e.marks {
		if m.whole != nil {
			gallery.Put(strconv.Itoa(i), correlate.Class{}, m.whole.(face).Template)
			mix.reliefs = append(mix.reliefs, newRelief(m.whole.(face).Signature(), m.Source))
		}
	}
	own := gallery.Len()
	kinds := querySets(how, o, cuts)
	made := 0
	for _, size := range sizes(o.Distractors) {
		if err := mix.fill(p, gallery, made, size, o.Distractors); err != nil {
			return err
		}
		made = size
		var perEntry *float64
		if gallery.Len() >= leastWeighed && o.Now != nil {
			perEntry = new(float64(heap()-before) / float64(gallery.Len()))
		}
		for k, kind := range kinds {
			g := Growth{Distractors: made, Gallery: own + made, Share: kind.share, Fragment: kind.fragment, BytesPerEntry: perEntry}
			ranks, err := e.searchAs(p, o, gallery, kind, &g)
			if err != nil {
				return err
			}
			if o.Now != nil {
				c, err := clockScan(p.ctx, gallery, e.anyQuery(kind), o.Now)
				if err != nil {
					return err
				}
				g.CoarseUS = c.us()
				if k == len(kinds)-1 {
					e.Coarse, e.CoarseUS = c, g.CoarseUS
				}
			}
			if o.Distractors > 0 {
				e.Growth = append(e.Growth, g)
			}
			if k == len(kinds)-1 { // the queries of the evaluation's own figures
				e.ShortlistRecall, e.ShortlistOf = g.ShortlistRecall, gallery.Len()-1
				if made > 0 {
					e.Hits, e.queries, e.Gallery, e.ByGallerySize = g.Hits, ranks, gallery.Len(), bySize(ranks)
				}
			}
		}
	}
	return nil
}

// sizes of the galleries, in distractors: the set alone, powers of ten from
// 10,000 on, and all.
func sizes(distractors int) []int {
	out := []int{0}
	for n := 10_000; n < distractors; n *= 10 {
		out = append(out, n)
	}
	if distractors > 0 {
		out = append(out, distractors)
	}
	return out
}

// querySets lists what searches the gallery; the last is what the evaluation's
// own figures are about.
func querySets(how method, o Options, cuts []cut) []querySet {
	whole := querySet{of: func(m *mark) *correlate.Template { return m.whole.(face).Template }}
	if len(cuts) == 0 {
		return []querySet{whole}
	}
	var out []querySet
	for k, c := range cuts {
		if c.seed != o.Seed || (o.Distractors == 0 && k > 0) {
			continue
		}
		out = append(out, querySet{&c.share, c.fragment, func(m *mark) *correlate.Template {
			if m.cuts[k].packed == nil {
				return nil
			}
			t, err := how.open(m.cuts[k].packed)
			if err != nil { // it was opened before
				return nil
			}
			return t.(face).Template
		}})
	}
	if o.Distractors > 0 {
		out = append(out, whole)
	}
	slices.Reverse(out) // whole first, the evaluation's own last
	return out
}

// fill adds distractors number from to below to.
func (m *mixer) fill(p parallel, gallery *correlate.Gallery, from, to, all int) error {
	errs := make([]error, to-from)
	report := p.progress
	if report != nil { // one stage, from size to size
		p.progress = func(stage string, done, _ int) { report(stage, from+done, all) }
	}
	err := p.named("making distractors").each(to-from, func(i int) {
		s, err := m.distractor(from + i)
		if errs[i] = err; err == nil {
			gallery.PutSignature("d"+strconv.Itoa(from+i), correlate.Class{}, s)
		}
	})
	for _, failed := range errs {
		if err == nil && failed != nil {
			err = failed
		}
	}
	return err
}

// searchers are the marks that search: those with a mate, spread evenly where
// they are many.
func (e *Evaluation) searchers() []int {
	var out []int
	withMates := map[string]map[string]bool{}
	for _, m := range e.marks {
		if m.whole != nil {
			if withMates[m.Source] == nil {
				withMates[m.Source] = map[string]bool{}
			}
			withMates[m.Source][m.exhibit()] = true
		}
	}
	for i, m := range e.marks {
		if m.whole != nil && len(withMates[m.Source]) > 1 {
			out = append(out, i)
		}
	}
	if n := len(out); n > searchedQueries {
		for i := range searchedQueries {
			out[i] = out[i*n/searchedQueries]
		}
		out = out[:searchedQueries]
	}
	return out
}

// searchAs lets one kind of query search the gallery.
func (e *Evaluation) searchAs(p parallel, o Options, gallery *correlate.Gallery, kind querySet, g *Growth) ([]ranked, error) {
	var ranks []ranked
	var spent time.Duration
	mates, onList, lengths := 0, 0, 0
	best := math.Inf(-1)
	searchers := e.searchers()
	for n, i := range searchers {
		q := kind.of(e.marks[i])
		if q == nil {
			continue
		}
		others := 0
		var own []string
		for j, m := range e.marks {
			if m.whole == nil || m.exhibit() == e.marks[i].exhibit() {
				continue
			}
			if others++; m.Source == e.marks[i].Source {
				own = append(own, strconv.Itoa(j))
			}
		}
		admit := func(id string) bool {
			j, err := strconv.Atoi(id)
			return err != nil || e.marks[j].exhibit() != e.marks[i].exhibit()
		}
		var begin time.Time
		if o.Now != nil {
			begin = o.Now()
		}
		done, err := gallery.SearchStages(p.ctx, q, correlate.Class{}, listed, admit)
		if err != nil {
			return nil, fmt.Errorf("search with %s: %w", e.marks[i].Scan, err)
		}
		if o.Now != nil {
			spent += o.Now().Sub(begin)
		}
		r := inList(done, own, others+g.Distractors)
		r.query = i
		ranks = append(ranks, r)
		for _, f := range done.Found {
			if f.ID[0] == 'd' {
				best = max(best, f.Score)
				break
			}
		}
		mates, lengths = mates+len(own), lengths+len(done.ShortList)
		for _, id := range own {
			if slices.Contains(done.ShortList, id) {
				onList++
			} else {
				g.WorstIsAtLeast = true
			}
		}
		if p.progress != nil {
			p.progress(fmt.Sprintf("searching %d marks%s", g.Gallery, kind), n+1, len(searchers))
		}
	}
	g.Hits = hitsOf(ranks)
	if len(ranks) > 0 {
		g.ShortlistRecall = new(float64(onList) / float64(mates))
		g.ShortlistMean = new(float64(lengths) / float64(len(ranks)))
		if o.Now != nil {
			g.SearchMS = new(float64(spent.Microseconds()) / 1000 / float64(len(ranks)))
		}
	}
	if !math.IsInf(best, -1) {
		g.DistractorMax = &best
	}
	return ranks, nil
}

// String says what the queries are, for the progress.
func (k querySet) String() string {
	if k.share == nil {
		return ""
	}
	return fmt.Sprintf(" with queries of %g %%", *k.share)
}

// inList ranks a query's mates in what a search compared finely, best first. A
// mate that did not come so far is ranked behind all that did.
func inList(done correlate.Searched, mates []string, others int) ranked {
	r := ranked{rest: others - len(mates), margin: math.NaN()}
	strangers := 0
	mate, stranger := math.NaN(), math.NaN()
	for k, id := range done.ShortList {
		if slices.Contains(mates, id) {
			r.mates = append(r.mates, strangers+1)
			if len(r.mates) == 1 && k < len(done.Found) {
				mate = done.Found[k].Score
			}
			continue
		}
		if strangers++; strangers == 1 && k < len(done.Found) {
			stranger = done.Found[k].Score
		}
	}
	r.margin = mate - stranger
	for len(r.mates) < len(mates) {
		r.mates = append(r.mates, strangers+1)
	}
	r.first = slices.Min(r.mates)
	r.above = r.first - 1
	return r
}

// anyQuery is a query of a kind, to be timed.
func (e *Evaluation) anyQuery(kind querySet) *correlate.Template {
	for _, m := range e.marks {
		if m.whole != nil {
			if t := kind.of(m); t != nil {
				return t
			}
		}
	}
	return nil
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
