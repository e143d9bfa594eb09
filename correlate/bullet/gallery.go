package bullet

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unique"
)

// Gallery is a set of bullets in memory that many queries search at once, about
// 1.5 kB for a bullet of six lands. Use NewGallery; the zero value is not ready.
type Gallery struct {
	mu    sync.RWMutex
	items []*item
	index map[string]int
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

// Found is one entry of a ranked list.
type Found struct {
	ID string
	Comparison
}

// Search options. The zero value finds nothing: Keep says how many.
type Search struct {
	Keep int
	// Arrangements: try bullets recorded in mirror image or with their lands
	// numbered the other way around as well; four times the work, and chance
	// agreement rises a little.
	Arrangements bool
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

// NewGallery returns an empty gallery.
func NewGallery() *Gallery { return &Gallery{index: map[string]int{}} }

// Put is PutClass for a barrel of which nothing but the number of lands is known.
func (g *Gallery) Put(id string, b *Bullet) error { return g.PutClass(id, Class{}, b) }

// PutClass adds a bullet or replaces the one of the same id. A bullet with fewer
// than three lands above the quality gate is refused with ErrBelowGate: it could
// never be found.
func (g *Gallery) PutClass(id string, c Class, b *Bullet) error {
	if b.Passing() < MinLands {
		return fmt.Errorf("put %s: %w", id, ErrBelowGate)
	}
	it := &item{id: id, class: unique.Make(c.settled()), lands: b.Count(), codes: make([]ternary, b.Count())}
	it.packed, _ = b.MarshalBinary() // never fails
	for i, l := range b.lands {
		if b.usable(i) {
			it.usable |= 1 << i
			it.codes[i] = newTernary(l)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i, ok := g.index[id]; ok {
		g.items[i] = it
		return nil
	}
	g.index[id] = len(g.items)
	g.items = append(g.items, it)
	return nil
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

// Search ranks the gallery against a query: the ternary score on all, the 4-bit
// score on the best 1 %. It returns the best Keep by Score, ties by id, and only
// bullets that could be compared. The list is the same whatever the number of
// cores. Errors: ErrBelowGate, or the context's.
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
	candidates := g.admitted(q.bullet.Count(), how.Class, how.Admit)
	if short := max(len(candidates)/shortShare, shortLeast, shortKeep*how.Keep); len(candidates) > short {
		if err := newScan(q.bullet, arrangements).shorten(ctx, candidates); err != nil {
			return nil, err
		}
		candidates = candidates[:short]
	}
	found := make([]Found, len(candidates))
	err := eachParallel(ctx, len(candidates), 1, func(i int) {
		it := candidates[i].item
		b, err := Decode(it.packed)
		if err != nil { // Put wrote it
			panic("bullet: gallery holds an unreadable signature: " + err.Error())
		}
		found[i] = Found{it.id, compare(q, NewTemplate(b), arrangements)}
	})
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(f Found) bool { return f.Counted == 0 })
	slices.SortFunc(found, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(how.Keep, len(found))], nil
}

type candidate struct {
	item  *item
	score float64
}

func (g *Gallery) holds(id string) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	_, ok := g.index[id]
	return ok
}

// all are the bullets there are now. They never change; the gallery does.
func (g *Gallery) all() []*item {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return slices.Clone(g.items)
}

// admitted copies out the bullets that class and caller let through.
func (g *Gallery) admitted(lands int, class Class, admit func(id string) bool) []candidate {
	class = class.settled()
	verdicts := map[unique.Handle[Class]]bool{}
	var out []candidate
	for _, it := range g.all() {
		verdict, ok := verdicts[it.class]
		if !ok {
			verdict = class.admits(it.class.Value())
			verdicts[it.class] = verdict
		}
		if verdict && it.lands == lands {
			out = append(out, candidate{item: it})
		}
	}
	if admit != nil {
		// The caller's question may take locks of its own: not under ours.
		out = slices.DeleteFunc(out, func(c candidate) bool { return !admit(c.item.id) })
	}
	return out
}

// scan is a query ready for the first pass.
type scan struct {
	bullet       *Bullet
	arrangements []Arrangement
	probes       [2][]*probe // as recorded, mirrored; nil where a land is not usable
}

func newScan(b *Bullet, arrangements []Arrangement) *scan {
	s := &scan{bullet: b, arrangements: arrangements}
	for side := range s.probes {
		if side == 1 && len(arrangements) == 1 {
			break
		}
		s.probes[side] = make([]*probe, b.Count())
		for i, l := range b.lands {
			if !b.usable(i) {
				continue
			}
			if side == 1 {
				l = l.Mirrored()
			}
			s.probes[side][i] = newProbe(newTernary(l))
		}
	}
	return s
}

// score is the best phase's mean ternary score, −1000 where no phase has enough lands.
func (s *scan) score(it *item) float64 {
	var grids [2][MaxLands][MaxLands]float64
	for side, probes := range s.probes {
		for i, p := range probes {
			if p == nil {
				continue
			}
			for j := range it.codes {
				if it.usable>>j&1 != 0 {
					grids[side][i][j] = fastest.best(p, &it.codes[j])
				}
			}
		}
	}
	best := -1000.0
	for _, how := range s.arrangements {
		side := 0
		if how.Mirrored {
			side = 1
		}
		for phase := range it.lands {
			c := choice{arrangement: how, phase: phase}
			sum := 0.0
			for i := range it.lands {
				if j := c.partner(i, it.lands); s.probes[side][i] != nil && it.usable>>j&1 != 0 {
					sum += grids[side][i][j]
					c.counted++
				}
			}
			if c.counted >= MinLands {
				best = max(best, sum/float64(c.counted))
			}
		}
	}
	return best
}

// shorten orders candidates by the first pass, best first, ties by id.
func (s *scan) shorten(ctx context.Context, candidates []candidate) error {
	err := eachParallel(ctx, len(candidates), 64, func(i int) { candidates[i].score = s.score(candidates[i].item) })
	if err != nil {
		return err
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.item.id, b.item.id))
	})
	return nil
}

// eachParallel calls do for 0 ≤ i < n on all cores, in batches, and stops early
// when the context ends.
func eachParallel(ctx context.Context, n, batch int, do func(i int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
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
