package shear

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unique"

	"proofmark/correlate"
)

// Gallery is a set of marks in memory that many queries search at once while it
// grows and shrinks. Use NewGallery; the zero value is not ready.
type Gallery struct {
	mu    sync.RWMutex
	items []item
	index map[string]int
}

type item struct {
	id    string
	class unique.Handle[correlate.Class] // which many share
	mark  *Mark
}

// Found is one entry of a ranked list.
type Found struct {
	ID string
	Comparison
}

// NewGallery returns an empty gallery.
func NewGallery() *Gallery { return &Gallery{index: map[string]int{}} }

// Put adds a mark or replaces the one of the same id. A mark below the quality
// gate is refused with ErrBelowGate: it could never be found.
func (g *Gallery) Put(id string, c correlate.Class, m *Mark) error {
	if !m.Passes() {
		return fmt.Errorf("put %s: %w: %.2f µm RMS, at least %.2f are needed", id, ErrBelowGate, m.RMS(), MinRMS)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i, ok := g.index[id]; ok {
		// Searches read items they have copied out; the slice itself is ours.
		g.items[i] = item{id, unique.Make(c), m}
		return nil
	}
	g.index[id] = len(g.items)
	g.items = append(g.items, item{id, unique.Make(c), m})
	return nil
}

// Remove takes a mark out; an unknown id changes nothing.
func (g *Gallery) Remove(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, ok := g.index[id]
	if !ok {
		return
	}
	last := len(g.items) - 1
	g.items[i] = g.items[last]
	g.index[g.items[i].id] = i
	g.items[last] = item{}
	g.items = g.items[:last]
	delete(g.index, id)
}

// Len is the number of marks.
func (g *Gallery) Len() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.items)
}

func (g *Gallery) all() []item {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return slices.Clone(g.items)
}

// Search compares a mark with every one of the gallery and returns the best keep,
// best first, ties by id. Class characteristics exclude first, then admit (nil
// admits all; it is called from one goroutine, before anything is compared). The
// list is the same whatever the number of cores. Errors: ErrBelowGate, or the
// context's.
func (g *Gallery) Search(ctx context.Context, q *Mark, c correlate.Class, keep int, admit func(id string) bool) ([]Found, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !q.Passes() {
		return nil, fmt.Errorf("search: %w: %.2f µm RMS, at least %.2f are needed", ErrBelowGate, q.RMS(), MinRMS)
	}
	if keep <= 0 {
		return nil, nil
	}
	field := slices.DeleteFunc(g.all(), func(it item) bool { return !c.Admits(it.class.Value()) || admit != nil && !admit(it.id) })
	found := make([]Found, len(field))
	if err := eachParallel(ctx, len(field), func(i int) { found[i] = Found{field[i].id, Compare(q, field[i].mark)} }); err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(f Found) bool { return f.Overlap == 0 })
	slices.SortFunc(found, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(keep, len(found))], nil
}

// eachParallel calls do for 0 ≤ i < n on all cores and stops early when the
// context ends.
func eachParallel(ctx context.Context, n int, do func(i int)) error {
	const batch = 16
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+batch-1)/batch) {
		wg.Go(func() {
			for ctx.Err() == nil {
				first := (int(next.Add(1)) - 1) * batch
				if first >= n {
					return
				}
				for i := first; i < min(first+batch, n); i++ {
					do(i)
				}
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}
