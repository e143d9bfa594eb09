package bullet

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"unique"
)

// Gallery is a set of bullets in memory that many queries search at once while it
// grows and shrinks. It keeps what the first pass reads, about 0.7 kB of a bullet of six
// lands; the signatures themselves, 0.9 kB, are needed of a short list alone: it keeps
// them too (NewGallery), or fetches them (NewFetchingGallery, LoadGallery). The zero
// value is not ready.
type Gallery struct {
	mu    sync.RWMutex
	items []*item
	index map[string]int
	cores chan struct{} // a searching goroutine holds one for a stretch of work
	fetch Fetch         // nil where signatures are kept
}

// Fetch reads the binary form of bullets that stand in a gallery: as many as ids, in
// their order, nil for one that is gone. It may be called from any goroutine.
type Fetch func(ctx context.Context, ids []string) ([][]byte, error)

// item keeps of a bullet what the first pass reads.
type item struct {
	id     string
	class  unique.Handle[Class]
	codes  []ternary // of every land
	usable uint8     // bit i: land i passes the gate
	packed []byte    // nil where it is fetched
}

// NewGallery returns an empty gallery that keeps its signatures.
func NewGallery() *Gallery { return NewFetchingGallery(nil) }

// NewFetchingGallery returns an empty gallery that fetches the signatures of each
// short list. One that is gone by then is not found.
func NewFetchingGallery(fetch Fetch) *Gallery {
	return &Gallery{index: map[string]int{}, cores: make(chan struct{}, runtime.GOMAXPROCS(0)), fetch: fetch}
}

// Put is PutClass for a barrel of which nothing but the number of lands is known.
func (g *Gallery) Put(id string, b *Bullet) error { return g.PutClass(id, Class{}, b) }

// PutClass adds a bullet or replaces the one of the same id. A bullet with fewer
// than three lands above the quality gate is refused with ErrBelowGate: it could
// never be found.
func (g *Gallery) PutClass(id string, c Class, b *Bullet) error {
	it, err := newItem(id, c, b)
	if err != nil {
		return err
	}
	if g.fetch == nil {
		it.packed, _ = b.MarshalBinary() // never fails
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.put(it)
	return nil
}

func newItem(id string, c Class, b *Bullet) (*item, error) {
	if b.Passing() < MinLands {
		return nil, fmt.Errorf("put %.40q: %w", id, ErrBelowGate)
	}
	it := &item{id: id, class: unique.Make(c.settled()), codes: make([]ternary, b.Count())}
	for i, l := range b.lands {
		if b.usable(i) {
			it.usable |= 1 << i
			it.codes[i] = newTernary(l)
		}
	}
	return it, nil
}

// put needs the lock.
func (g *Gallery) put(it *item) {
	if i, ok := g.index[it.id]; ok {
		g.items[i] = it
		return
	}
	g.index[it.id] = len(g.items)
	g.items = append(g.items, it)
}

// Remove takes a bullet out; an unknown id changes nothing.
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

// Len is the number of bullets.
func (g *Gallery) Len() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.items)
}

// all are the bullets there are now. They never change; the gallery does.
func (g *Gallery) all() []*item {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return slices.Clone(g.items)
}
