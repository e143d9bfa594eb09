package correlate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// Found is one entry of a ranked list.
type Found struct {
	ID string
	Comparison
}

// How the stages of a search thin a gallery out. Measured on the real set among a
// million generated distractors (docs/performance.md).
const (
	shortListKeep = 4   // × keep, at least, are compared finely
	closerShare   = 32  // 1 in so many is scanned once more, closer
	sweptShare    = 500 // 1 in so many survives the scan and is swept
	scanStretch   = 256 // entries a goroutine scans before others take their turn

	// A query of less than wholeQuery pixels (2.2 mm²) is a partial mark: it is
	// looked for by its own spots, and more entries are swept. Cut to half, the
	// real set's marks fall a third through the other scan and a thirtieth through
	// this one; at three quarters and more they are alike.
	wholeQuery        = 2300
	sweptSharePartial = 32
)

// Search ranks the gallery against a query and returns the best keep entries,
// best first, ties by id, each as Compare finds it. Class characteristics exclude
// first, then admit (nil admits all; it is called from one goroutine, before
// anything is compared). A large gallery is thinned out in stages: by the entries'
// spots, at first coarsely, then closer (of a query that is a partial mark: by its
// own), then also by the whole polar code. The list is the same whatever the number
// of cores and the kernel. Searches at once share the cores evenly. A cancelled
// context ends the search with its error.
func (g *Gallery) Search(ctx context.Context, q *Template, c Class, keep int, admit func(id string) bool) ([]Found, error) {
	done, err := g.SearchStages(ctx, q, c, keep, admit)
	return done.Found, err
}

// SearchTold is Search with each comparison told from the entry's point of view where
// first says so of its id. first is called from many goroutines.
func (g *Gallery) SearchTold(ctx context.Context, q *Template, c Class, keep int, admit, first func(id string) bool) ([]Found, error) {
	done, err := g.searchStages(ctx, q, c, keep, admit, first)
	return done.Found, err
}

// SearchStages is Search, and tells which entries went how far.
func (g *Gallery) SearchStages(ctx context.Context, q *Template, c Class, keep int, admit func(id string) bool) (Searched, error) {
	return g.searchStages(ctx, q, c, keep, admit, func(string) bool { return false })
}

func (g *Gallery) searchStages(ctx context.Context, q *Template, c Class, keep int, admit, first func(id string) bool) (Searched, error) {
	if err := ctx.Err(); err != nil {
		return Searched{}, err
	}
	if keep <= 0 {
		return Searched{}, nil
	}
	s := &search{g: g, ctx: ctx, contents: g.now.Load(), query: q, kernel: fastest}
	s.admit(c, admit)
	s.done.Admitted = len(s.field)
	if err := s.shorten(max(g.limits.short, shortListKeep*keep)); err != nil {
		return Searched{}, err
	}
	found, err := s.compare(first)
	if err != nil {
		return Searched{}, err
	}
	slices.SortFunc(found, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	for _, f := range found {
		s.done.ShortList = append(s.done.ShortList, f.ID)
	}
	s.done.Found = found[:min(keep, len(found))]
	return s.done, nil
}

// compare compares the query with the field, in no order; what is gone is left out.
func (s *search) compare(first func(id string) bool) ([]Found, error) {
	signatures, err := s.signatures()
	if err != nil {
		return nil, err
	}
	found, errs := make([]Found, len(s.field)), make([]error, len(s.field))
	err = s.parallel(len(s.field), 1, func() func(from, to int) {
		return func(from, to int) {
			for i := from; i < to; i++ {
				if signatures[i] == nil {
					continue
				}
				b, at := s.contents.at(int(s.field[i]))
				var t *Template
				if t, errs[i] = s.g.template(signatures[i], b.polarOf(at)); errs[i] != nil {
					continue
				}
				found[i].ID = b.ids[at]
				if first(b.ids[at]) {
					found[i].Comparison = Compare(t, s.query)
				} else {
					found[i].Comparison = Compare(s.query, t)
				}
			}
		}
	})
	if err := cmp.Or(err, errors.Join(errs...)); err != nil {
		return nil, err
	}
	at := 0
	return slices.DeleteFunc(found, func(Found) bool { at++; return signatures[at-1] == nil }), nil
}

// signatures are those of the field, nil for one that is gone.
func (s *search) signatures() ([][]byte, error) {
	ids, kept := make([]string, len(s.field)), make([][]byte, len(s.field))
	for i, e := range s.field {
		b, at := s.contents.at(int(e))
		ids[i] = b.ids[at]
		if s.g.fetch == nil {
			kept[i] = b.signatures[at]
		}
	}
	if s.g.fetch == nil || len(ids) == 0 {
		return kept, nil
	}
	fetched, err := s.g.fetch(s.ctx, ids)
	if err == nil && len(fetched) != len(ids) {
		err = fmt.Errorf("%d came for %d ids", len(fetched), len(ids))
	}
	if err != nil {
		return nil, fmt.Errorf("fetch the signatures of a short list: %w", err)
	}
	return fetched, nil
}

// template of an entry.
func (g *Gallery) template(signature []byte, polar packedPolar) (*Template, error) {
	if g.expanded == nil {
		return expand(signature, polar)
	}
	return g.expanded.template(signature, polar)
}

// search is one query on its way through the stages.
type search struct {
	g        *Gallery
	ctx      context.Context
	contents *contents
	query    *Template
	kernel   kernel
	field    []int32 // the entries still in it
	done     Searched
	prepared [reaches]struct { // of the query, on first need
		tableOnce  [scans]sync.Once
		table      [scans]*scanTable
		turnedOnce sync.Once
		turned     *turnedScan
	}
}

func (s *search) id(i int32) string {
	b, at := s.contents.at(int(i))
	return b.ids[at]
}

// admit fills the field with what class and caller let through.
func (s *search) admit(c Class, admit func(id string) bool) {
	n := s.contents.len()
	s.field = make([]int32, 0, n)
	known := map[*classUse]bool{}
	var lastClass *classUse
	lastVerdict := false
	for i := 0; i < n; {
		b, _ := s.contents.at(i)
		for j, u := range b.classes {
			if u != lastClass {
				verdict, ok := known[u]
				if !ok {
					verdict = u.region == s.query.sig.region && c.Admits(u.Class)
					known[u] = verdict
				}
				lastClass, lastVerdict = u, verdict
			}
			if lastVerdict && (admit == nil || admit(b.ids[j])) {
				s.field = append(s.field, int32(i+j))
			}
		}
		i += b.len()
	}
}

// shorten thins the field out to n entries.
func (s *search) shorten(n int) error {
	l := s.g.limits
	if all := len(s.field); all > max(l.words, n) {
		s.done.Scanned = all
		if err := s.scan(all, max(l.swept, n)); err != nil {
			return err
		}
	}
	if len(s.field) > n {
		s.done.Swept = len(s.field)
	}
	return s.thin(n, 8, s.lister)
}

// scan thins a field of all entries out to those that are swept, at least least.
func (s *search) scan(all, least int) error {
	if s.partial() {
		return s.thin(max(least, all/sweptSharePartial), scanStretch, s.turnedScanner)
	}
	err := s.thin(max(least, all/closerShare), scanStretch, func() scorer { return s.scanner(atFirst) })
	if err != nil {
		return err
	}
	return s.thin(max(least, all/sweptShare), scanStretch, func() scorer { return s.scanner(closer) })
}

// partial tells whether the query is so small that its own spots are looked for.
func (s *search) partial() bool { return s.query.sig.valid < wholeQuery }

// A scorer scores entries of the field.
type scorer func(field []int32, scores []float32)

// thin scores the field and keeps the best n, ties by id. start makes what a
// goroutine needs for itself.
func (s *search) thin(n, stretch int, start func() scorer) error {
	if len(s.field) <= n {
		return nil
	}
	scores := make([]float32, len(s.field))
	err := s.parallel(len(s.field), stretch, func() func(from, to int) {
		score := start()
		return func(from, to int) { score(s.field[from:to], scores[from:to]) }
	})
	if err != nil {
		return err
	}
	s.field = s.best(scores, n)
	return nil
}

// reach is how far origins of query and an entry may lie apart.
func (s *search) reach(b *block, at int) reach {
	return max(s.query.sig.reach(), reach(b.reaches[at]))
}

// scanner scores by the entries' spots.
func (s *search) scanner(scan int) scorer {
	v := new(votes)
	return func(field []int32, scores []float32) {
		for i, e := range field {
			b, at := s.contents.at(int(e))
			scores[i] = s.table(scan, s.reach(b, at)).score(s.kernel, v, &b.codes[at])
		}
	}
}

// turnedScanner scores by the query's spots, entries of one reach side by side.
func (s *search) turnedScanner() scorer {
	sheet := newTurnedSheet()
	var laid [lanes]int
	var some [lanes]float32
	return func(field []int32, scores []float32) {
		for r := range reaches {
			n := 0
			flush := func() {
				sheet.score(s.turned(r), s.kernel, some[:n])
				for lane, i := range laid[:n] {
					scores[i] = some[lane]
				}
				n = 0
			}
			for i, e := range field {
				b, at := s.contents.at(int(e))
				if s.reach(b, at) != r {
					continue
				}
				sheet.lay(s.turned(r), n, b.polarOf(at))
				laid[n] = i
				if n++; n == lanes {
					flush()
				}
			}
			if n > 0 {
				flush()
			}
		}
	}
}

// sweeper scores by the polar code.
func (s *search) sweeper() scorer {
	var code polarCode
	var poses []float32
	return func(field []int32, scores []float32) {
		for i, e := range field {
			b, at := s.contents.at(int(e))
			b.polarOf(at).unpack(&code)
			r := s.reach(b, at)
			if need := turns * len(reachShifts[r]); len(poses) < need {
				poses = make([]float32, need)
			}
			scores[i] = likeness(s.query, &code, r, poses)
		}
	}
}

// lister scores for the short list: by polar code and closer scan together, which
// see different things and err apart; a partial mark by the polar code alone.
func (s *search) lister() scorer {
	sweep := s.sweeper()
	if s.partial() {
		return sweep
	}
	scan := s.scanner(closer)
	var more []float32
	return func(field []int32, scores []float32) {
		more = append(more[:0], scores...)
		scan(field, more)
		sweep(field, scores)
		for i, score := range more {
			scores[i] += score
		}
	}
}

func (s *search) table(scan int, r reach) *scanTable {
	p := &s.prepared[r]
	p.tableOnce[scan].Do(func() { p.table[scan] = newScanTable(s.query, scanPoses[scan][r]) })
	return p.table[scan]
}

func (s *search) turned(r reach) *turnedScan {
	p := &s.prepared[r]
	p.turnedOnce.Do(func() { p.turned = newTurnedScan(s.query, r) })
	return p.turned
}

// best returns the n entries of the field with the highest scores, ties by id, in
// the order they lie in memory.
func (s *search) best(scores []float32, n int) []int32 {
	// Bits of floats that are not negative are in their order: a histogram of the
	// upper ones finds the few that need sorting.
	const low = 12
	rank := func(score float32) uint32 { return math.Float32bits(max(score, 0)) >> low }
	counts := make([]int, 1<<(32-low))
	for _, score := range scores {
		counts[rank(score)]++
	}
	cut, above := len(counts)-1, 0
	for above+counts[cut] < n {
		above += counts[cut]
		cut--
	}
	kept := make([]int32, 0, n)
	var tied []int
	for i, score := range scores {
		switch r := int(rank(score)); {
		case r > cut:
			kept = append(kept, s.field[i])
		case r == cut:
			tied = append(tied, i)
		}
	}
	slices.SortFunc(tied, func(a, b int) int {
		return cmp.Or(cmp.Compare(max(scores[b], 0), max(scores[a], 0)), cmp.Compare(s.id(s.field[a]), s.id(s.field[b])))
	})
	for _, i := range tied[:n-above] {
		kept = append(kept, s.field[i])
	}
	slices.Sort(kept)
	return kept
}

// parallel works through 0 ≤ i < n in stretches on all cores. For each stretch a
// goroutine takes one of the gallery's cores and gives it back, so that searches
// at once take turns, and a cancelled one ends soon. start makes what a goroutine
// needs for itself.
func (s *search) parallel(n, stretch int, start func() func(from, to int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(cap(s.g.cores), (n+stretch-1)/stretch) {
		wg.Go(func() {
			do := start()
			for {
				select {
				case s.g.cores <- struct{}{}:
				case <-s.ctx.Done():
					return
				}
				from := int(next.Add(int64(stretch))) - stretch
				if from < n && s.ctx.Err() == nil {
					do(from, min(from+stretch, n))
				}
				<-s.g.cores
				if from >= n {
					return
				}
			}
		})
	}
	wg.Wait()
	return s.ctx.Err()
}
