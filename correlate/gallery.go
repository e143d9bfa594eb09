package correlate

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Class holds the class characteristics that exclude a pair before anything is
// compared. An empty field or "unknown" never excludes.
type Class struct {
	Calibre   string
	FiringPin string
	Pattern   string
}

// admits tells whether two exhibits may come from one firearm by their class.
func (c Class) admits(d Class) bool {
	return agree(c.Calibre, d.Calibre) && agree(c.FiringPin, d.FiringPin) && agree(c.Pattern, d.Pattern)
}

func agree(a, b string) bool {
	return a == b || a == "" || b == "" || a == "unknown" || b == "unknown"
}

// Gallery is a set of templates in memory that many queries search at once.
// The zero value is not ready; use NewGallery.
type Gallery struct {
	mu    sync.RWMutex
	items []*item
	index map[string]int
	short int // length of the short list that is compared finely
}

// item is what a gallery keeps of a template, about 2.5 kB: the rest is made
// again for those on a short list.
type item struct {
	id     string
	class  Class
	packed []byte
	code   *polarCode
	centre centreKind
}

func (it *item) template() *Template {
	// packed was written by this package from a valid signature.
	s, err := parseHeader(it.packed)
	if err != nil {
		panic("correlate: gallery holds an unreadable signature: " + err.Error())
	}
	s.decode(it.packed)
	return newTemplate(s, it.packed)
}

// Found is one entry of a ranked list.
type Found struct {
	ID string
	Comparison
}

// NewGallery returns an empty gallery.
func NewGallery() *Gallery { return &Gallery{index: map[string]int{}, short: shortList} }

// Put adds a template or replaces the one of the same id.
func (g *Gallery) Put(id string, c Class, t *Template) {
	g.mu.Lock()
	defer g.mu.Unlock()
	it := &item{id, c, t.packed, t.code, t.sig.centre}
	if i, ok := g.index[id]; ok {
		g.items[i] = it
		return
	}
	g.index[id] = len(g.items)
	g.items = append(g.items, it)
}

// Remove takes a template out; an unknown id changes nothing.
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
	g.items[last] = nil
	g.items = g.items[:last]
	delete(g.index, id)
}

// Len is the number of templates.
func (g *Gallery) Len() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.items)
}

// The coarse score decides who is compared finely where the gallery is larger
// than the short list.
const (
	shortList     = 200
	shortListKeep = 4 // × keep
)

// Search ranks the gallery against a query and returns the best keep entries,
// best first, ties by id. Class characteristics exclude first, then admit (nil
// admits all; it is called from one goroutine). The list is the same whatever
// the number of cores. A cancelled context ends the search with its error.
func (g *Gallery) Search(ctx context.Context, q *Template, c Class, keep int, admit func(id string) bool) ([]Found, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if keep <= 0 {
		return nil, nil
	}
	candidates := g.admitted(c, admit)
	if short := max(g.short, shortListKeep*keep); len(candidates) > short {
		ranked := make([]ranked, len(candidates))
		err := eachParallel(ctx, len(candidates), func(i int) {
			it := candidates[i]
			ranked[i].item = it
			r := max(q.sig.centre.reach(), it.centre.reach())
			ranked[i].score = likeness(q, it.code, r, make([]float32, turns*len(reachShifts[r])))
		})
		if err != nil {
			return nil, err
		}
		slices.SortFunc(ranked, byScore)
		candidates = candidates[:0]
		for _, r := range ranked[:short] {
			candidates = append(candidates, r.item)
		}
	}
	found := make([]Found, len(candidates))
	err := eachParallel(ctx, len(candidates), func(i int) {
		found[i] = Found{candidates[i].id, Compare(q, candidates[i].template())}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(keep, len(found))], nil
}

// admitted copies out the entries that class and caller let through.
func (g *Gallery) admitted(c Class, admit func(id string) bool) []*item {
	g.mu.RLock()
	out := make([]*item, 0, len(g.items))
	for _, it := range g.items {
		if c.admits(it.class) {
			out = append(out, it)
		}
	}
	g.mu.RUnlock()
	if admit != nil {
		// The caller's question may take locks of its own: not under ours.
		out = slices.DeleteFunc(out, func(it *item) bool { return !admit(it.id) })
	}
	return out
}

type ranked struct {
	item  *item
	score float32
}

func byScore(a, b ranked) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.item.id, b.item.id))
}

// eachParallel calls do for 0 ≤ i < n on all cores and stops early when the
// context ends.
func eachParallel(ctx context.Context, n int, do func(i int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}
