package bullet

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"unique"
)

// Gallery is a set of bullets in memory that many queries search at once while it
// grows and shrinks, about 1.7 kB for a bullet of six lands. Use NewGallery or
// LoadGallery; the zero value is not ready.
type Gallery struct {
	mu    sync.RWMutex
	items []*item
	index map[string]int
	cores chan struct{} // a searching goroutine holds one for a stretch of work
}

// item keeps of a bullet its bytes and what the first pass reads.
type item struct {
	id     string
	class  unique.Handle[Class]
	packed []byte
	lands  int
	usable uint8     // bit i: land i passes the gate
	codes  []ternary // of every land
}

// NewGallery returns an empty gallery.
func NewGallery() *Gallery {
	return &Gallery{index: map[string]int{}, cores: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// Put is PutClass for a barrel of which nothing but the number of lands is known.
func (g *Gallery) Put(id string, b *Bullet) error { return g.PutClass(id, Class{}, b) }

// PutClass adds a bullet or replaces the one of the same id. A bullet with fewer
// than three lands above the quality gate is refused with ErrBelowGate: it could
// never be found.
func (g *Gallery) PutClass(id string, c Class, b *Bullet) error {
	packed, _ := b.MarshalBinary() // never fails
	it, err := newItem(id, c, b, packed)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.put(it)
	return nil
}

func newItem(id string, c Class, b *Bullet, packed []byte) (*item, error) {
	if b.Passing() < MinLands {
		return nil, fmt.Errorf("put %.40q: %w", id, ErrBelowGate)
	}
	it := &item{id: id, class: unique.Make(c.settled()), packed: packed, lands: b.Count(), codes: make([]ternary, b.Count())}
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
