package correlate

import (
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

// Admits tells whether two exhibits may come from one firearm by their class.
func (c Class) Admits(d Class) bool {
	return agree(c.Calibre, d.Calibre) && agree(c.FiringPin, d.FiringPin) && agree(c.Pattern, d.Pattern)
}

func agree(a, b string) bool {
	return a == b || a == "" || b == "" || a == "unknown" || b == "unknown"
}

// Gallery is a set of signatures in memory that many queries search at once while
// it grows and shrinks. It keeps of each its 256 spots, which every scan reads (515
// bytes), its polar code (0.4 kB) and its id. The signatures themselves, about 1 kB,
// are needed of a short list alone: it keeps them too (NewGallery), or fetches them
// (NewFetchingGallery, LoadGallery). The zero value is not ready.
type Gallery struct {
	mu      sync.Mutex // for those who change it
	index   map[string]int32
	classes map[kindClass]*classUse
	now     atomic.Pointer[contents]

	cores    chan struct{}  // a searching goroutine holds one for a stretch of work
	fetch    Fetch          // nil where signatures are kept
	expanded *templateCache // of signatures that are kept
	limits   limits
}

// Fetch reads the binary form of signatures that stand in a gallery: as many as ids,
// in their order, nil for one that is gone. It may be called from any goroutine.
type Fetch func(ctx context.Context, ids []string) ([][]byte, error)

// limits of a search's stages, see Search.
type limits struct {
	short int // entries that are compared finely
	swept int // entries whose whole polar code is looked at
	words int // a gallery up to this size needs no scan
}

// kindClass is a class and the code of the region that the marks are of: marks of
// different regions are never compared.
type kindClass struct {
	Class
	region uint8
}

// classUse is a class that several entries share.
type classUse struct {
	kindClass
	entries int
}

// NewGallery returns an empty gallery that keeps its signatures.
func NewGallery() *Gallery {
	g := NewFetchingGallery(nil)
	g.expanded = newTemplateCache(cachedTemplates)
	return g
}

// NewFetchingGallery returns an empty gallery that fetches the signatures of each
// short list. One that is gone by then is not found.
func NewFetchingGallery(fetch Fetch) *Gallery {
	g := &Gallery{
		fetch: fetch,
		index: map[string]int32{}, classes: map[kindClass]*classUse{},
		cores:  make(chan struct{}, runtime.GOMAXPROCS(0)),
		limits: limits{short: 200, swept: 1024, words: 2048},
	}
	g.now.Store(&contents{last: &block{}})
	return g
}

// Put adds a template or replaces the one of the same id.
func (g *Gallery) Put(id string, c Class, t *Template) {
	e := entry{id: id, polar: packPolar(t.polar()), spots: t.codes.spots, reach: t.sig.reach()}
	if g.fetch == nil {
		e.signature = t.packed
	}
	g.put(kindClass{c, t.sig.region}, e)
}

// PutSignature adds a signature or replaces the one of the same id, without
// keeping a template.
func (g *Gallery) PutSignature(id string, c Class, s *Signature) {
	if g.fetch == nil {
		g.Put(id, c, NewTemplate(s))
		return
	}
	g.Put(id, c, &Template{sig: s}) // its codes do not need its bytes
}

func (g *Gallery) put(c kindClass, e entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e.class = g.use(c)
	v := *g.now.Load()
	if i, ok := g.index[e.id]; ok {
		g.replace(&v, int(i), e)
		g.now.Store(&v)
		return
	}
	g.index[e.id] = int32(v.len())
	if v.last = v.last.with(e); v.last.len() == blockSize {
		v.last.polar = slices.Clone(v.last.polar) // without room for more
		v.full, v.last = append(v.full, v.last), &block{}
	}
	g.now.Store(&v)
}

// replace puts another entry in place i, giving up the class of the old one.
func (g *Gallery) replace(v *contents, i int, e entry) {
	old, at := v.at(i)
	g.leave(old.classes[at])
	b := old.replaced(at, e)
	if i/blockSize < len(v.full) {
		v.full = slices.Clone(v.full)
		v.full[i/blockSize] = b
		return
	}
	v.last = b
}

// Remove takes an entry out; an unknown id changes nothing. Searches that have
// begun still see it.
func (g *Gallery) Remove(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, ok := g.index[id]
	if !ok {
		return
	}
	delete(g.index, id)
	v := *g.now.Load()
	if v.last.len() == 0 {
		n := len(v.full) - 1
		v.full, v.last = v.full[:n:n], v.full[n]
	}
	// The last entry takes the place of the one that goes.
	end := v.len() - 1
	b, at := v.at(end)
	moved := b.entry(at)
	if int(i) != end {
		g.index[moved.id] = i
		moved.class.entries++ // replace gives up the other's class, the cut below this one's
		g.replace(&v, int(i), moved)
	}
	g.leave(moved.class)
	v.last = v.last.clone(at)
	g.now.Store(&v)
}

func (g *Gallery) use(c kindClass) *classUse {
	u := g.classes[c]
	if u == nil {
		u = &classUse{kindClass: c}
		g.classes[c] = u
	}
	u.entries++
	return u
}

func (g *Gallery) leave(u *classUse) {
	if u.entries--; u.entries == 0 {
		delete(g.classes, u.kindClass)
	}
}

// Len is the number of entries.
func (g *Gallery) Len() int { return g.now.Load().len() }

func (g *Gallery) holds(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.index[id]
	return ok
}
