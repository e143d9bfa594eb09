package bullet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unique"
)

// Found is one entry of a ranked list.
type Found struct {
	ID string
	Comparison
}

// Search options. The zero value finds nothing: Keep says how many.
type Search struct {
	Keep int
	// Arrangements: try bullets recorded in mirror image or with their lands
	// numbered the other way around as well; twice to four times the work, and chance
	// agreement rises a little.
	Arrangements bool
	// SameScale leaves lengths unstretched in the first pass, a third of its work:
	// weak mates whose instrument's scale differs by more than one per cent are then
	// missed.
	SameScale bool
	// Class characteristics of the query's barrel, as far as they are known; they
	// exclude before Admit does.
	Class Class
	// Admit excludes by class characteristics or permission before anything is
	// compared; nil admits all. It is called from one goroutine.
	Admit func(id string) bool
}

// The first pass keeps the best 1 % for the second, and never fewer than this.
const (
	shortShare = 100
	shortLeast = 200
	shortKeep  = 4 // × Keep
)

// Search ranks the gallery against a query: the ternary score on all, the 4-bit
// score on the best 1 %. It returns the best Keep by Score, ties by id, and only
// bullets that could be compared. The list is the same whatever the number of
// cores and the kernel. Searches at once share the cores evenly. Errors:
// ErrBelowGate, the context's, or what kept a signature from being read.
func (g *Gallery) Search(ctx context.Context, q *Template, how Search) ([]Found, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if q.bullet.Passing() < MinLands {
		return nil, fmt.Errorf("search: %w", ErrBelowGate)
	}
	if how.Keep <= 0 {
		return nil, nil
	}
	arrangements := asRecorded
	if how.Arrangements {
		arrangements = allArrangements
	}
	field := g.admitted(q.bullet.Count(), how.Class, how.Admit)
	if short := max(len(field)/shortShare, shortLeast, shortKeep*how.Keep); len(field) > short {
		var err error
		if field, err = g.shorten(ctx, newScan(q.bullet, arrangements, how.SameScale), field, short); err != nil {
			return nil, err
		}
	}
	signatures, err := g.signatures(ctx, field)
	if err != nil {
		return nil, err
	}
	found, errs := make([]Found, len(field)), make([]error, len(field))
	err = g.parallel(ctx, len(field), 1, func(i int) {
		if signatures[i] == nil {
			return // gone meanwhile: nothing is counted
		}
		b, err := Decode(signatures[i])
		if err == nil && b.Count() != len(field[i].codes) {
			err = fmt.Errorf("%w: %d lands where there were %d", ErrBadSignature, b.Count(), len(field[i].codes))
		}
		if err != nil {
			errs[i] = fmt.Errorf("the gallery's bullet %.40q: %w", field[i].id, err)
			return
		}
		found[i] = Found{field[i].id, compare(q, NewTemplate(b), arrangements)}
	})
	if err := cmp.Or(err, errors.Join(errs...)); err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(f Found) bool { return f.Counted == 0 })
	slices.SortFunc(found, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(how.Keep, len(found))], nil
}

// signatures are those of the field, nil for one that is gone.
func (g *Gallery) signatures(ctx context.Context, field []*item) ([][]byte, error) {
	ids, kept := make([]string, len(field)), make([][]byte, len(field))
	for i, it := range field {
		ids[i], kept[i] = it.id, it.packed
	}
	if g.fetch == nil || len(ids) == 0 {
		return kept, nil
	}
	fetched, err := g.fetch(ctx, ids)
	if err == nil && len(fetched) != len(ids) {
		err = fmt.Errorf("%d came for %d ids", len(fetched), len(ids))
	}
	if err != nil {
		return nil, fmt.Errorf("fetch the signatures of a short list: %w", err)
	}
	return fetched, nil
}

// admitted are the bullets that class and caller let through.
func (g *Gallery) admitted(lands int, class Class, admit func(id string) bool) []*item {
	class = class.settled()
	verdicts := map[unique.Handle[Class]]bool{}
	// The caller's question may take locks of its own: not under ours.
	return slices.DeleteFunc(g.all(), func(it *item) bool {
		verdict, ok := verdicts[it.class]
		if !ok {
			verdict = class.admits(it.class.Value())
			verdicts[it.class] = verdict
		}
		return !verdict || len(it.codes) != lands || admit != nil && !admit(it.id)
	})
}

// shorten keeps the best n by the first pass, ties by id.
func (g *Gallery) shorten(ctx context.Context, s *scan, field []*item, n int) ([]*item, error) {
	scores := make([]float64, len(field))
	if err := g.parallel(ctx, len(field), 32, func(i int) { scores[i] = s.score(fastest, field[i]) }); err != nil {
		return nil, err
	}
	cut := nth(slices.Clone(scores), len(scores)-n)
	kept := make([]*item, 0, n)
	var tied []*item
	for i, score := range scores {
		switch {
		case score > cut:
			kept = append(kept, field[i])
		case score == cut:
			tied = append(tied, field[i])
		}
	}
	slices.SortFunc(tied, func(a, b *item) int { return cmp.Compare(a.id, b.id) })
	return append(kept, tied[:n-len(kept)]...), nil
}

// parallel calls do for 0 ≤ i < n on all cores, in stretches. For each a goroutine
// takes one of the gallery's cores and gives it back, so that searches at once take
// turns, and one whose context ends stops soon.
func (g *Gallery) parallel(ctx context.Context, n, stretch int, do func(i int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(cap(g.cores), (n+stretch-1)/stretch) {
		wg.Go(func() {
			for {
				select {
				case g.cores <- struct{}{}:
				case <-ctx.Done():
					return
				}
				from := int(next.Add(int64(stretch))) - stretch
				for i := from; i < min(from+stretch, n) && ctx.Err() == nil; i++ {
					do(i)
				}
				<-g.cores
				if from >= n {
					return
				}
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}
