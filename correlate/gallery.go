package correlate

import (
	"encoding/binary"
	"fmt"
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
// it grows and shrinks. A signature takes 515 bytes that every scan reads, its
// own bytes, about 0.5 kB of polar code, and its id; templates are made again for
// those on a short list. The zero value is not ready; use NewGallery or
// LoadGallery.
type Gallery struct {
	mu      sync.Mutex // for those who change it
	index   map[string]int
	classes map[kindClass]*classUse
	now     atomic.Pointer[contents]

	cores    chan struct{} // a searching goroutine holds one for a stretch of work
	expanded *templateCache
	limits   limits
}

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

// contents is the gallery at one moment. What it leads to never changes, so a search
// reads it without a lock: a change makes new blocks where it touches old ones.
type contents struct {
	full []*block // of blockSize entries each
	last *block
}

const blockSize = 1024

// block holds entries side by side, the scanned part apart from the rest.
type block struct {
	codes   []spotCode
	reaches []uint8
	records []record
}

// record is what a gallery keeps of an entry beside its spots.
type record struct {
	id    string
	class *classUse
	data  packedEntry
}

// NewGallery returns an empty gallery.
func NewGallery() *Gallery {
	g := &Gallery{
		index: map[string]int{}, classes: map[kindClass]*classUse{},
		cores:    make(chan struct{}, runtime.GOMAXPROCS(0)),
		expanded: newTemplateCache(cachedTemplates),
		limits:   limits{short: 200, swept: 1024, words: 2048},
	}
	g.now.Store(&contents{last: newBlock()})
	return g
}

func newBlock() *block {
	return &block{make([]spotCode, 0, blockSize), make([]uint8, 0, blockSize), make([]record, 0, blockSize)}
}

// clone copies the first n entries, with room for a whole block.
func (b *block) clone(n int) *block {
	c := newBlock()
	return &block{append(c.codes, b.codes[:n]...), append(c.reaches, b.reaches[:n]...), append(c.records, b.records[:n]...)}
}

func (v *contents) len() int { return len(v.full)*blockSize + len(v.last.records) }

// at returns an entry's block and its place there.
func (v *contents) at(i int) (*block, int) {
	if b := i / blockSize; b < len(v.full) {
		return v.full[b], i % blockSize
	}
	return v.last, i % blockSize
}

// Put adds a template or replaces the one of the same id.
func (g *Gallery) Put(id string, c Class, t *Template) {
	code := t.polar()
	g.put(id, c, pack(code, t.packed), t.codes.spots, t.sig.reach())
}

// PutSignature adds a signature or replaces the one of the same id, without
// keeping a template.
func (g *Gallery) PutSignature(id string, c Class, s *Signature) { g.Put(id, c, NewTemplate(s)) }

func (g *Gallery) put(id string, c Class, data packedEntry, code spotCode, r reach) {
	g.mu.Lock()
	defer g.mu.Unlock()
	rec := record{id, g.use(kindClass{c, data.signature()[4]}), data}
	v := *g.now.Load()
	if i, ok := g.index[id]; ok {
		g.replace(&v, i, rec, code, uint8(r))
		g.now.Store(&v)
		return
	}
	g.index[id] = v.len()
	// Older contents do not see beyond their own length, so they share the memory.
	last := &block{append(v.last.codes, code), append(v.last.reaches, uint8(r)), append(v.last.records, rec)}
	if v.last = last; len(last.records) == blockSize {
		v.full, v.last = append(v.full, last), newBlock()
	}
	g.now.Store(&v)
}

// replace puts other contents in place i, giving up the class of the old ones.
func (g *Gallery) replace(v *contents, i int, rec record, code spotCode, r uint8) {
	old, at := v.at(i)
	g.leave(old.records[at].class)
	b := old.clone(len(old.records))
	b.codes[at], b.reaches[at], b.records[at] = code, r, rec
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
	if len(v.last.records) == 0 {
		n := len(v.full) - 1
		v.full, v.last = v.full[:n:n], v.full[n]
	}
	// The last entry takes the place of the one that goes.
	end := v.len() - 1
	b, at := v.at(end)
	moved := b.records[at]
	if i != end {
		g.index[moved.id] = i
		moved.class.entries++ // replace gives up the other's class, the cut below this one's
		g.replace(&v, i, moved, b.codes[at], b.reaches[at])
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

// Template makes the template of an entry; false where there is none.
func (g *Gallery) Template(id string) (*Template, bool) {
	g.mu.Lock()
	i, ok := g.index[id]
	v := g.now.Load()
	g.mu.Unlock()
	if !ok {
		return nil, false
	}
	b, at := v.at(i)
	return g.expanded.template(b.records[at].data), true
}

// packedEntry is an entry as a gallery keeps it, in one piece of memory: the
// first and the last used ring, their polar code, the signature's bytes.
type packedEntry []byte

const ringBytes = 2 * ringWords * 8

func pack(code *polarCode, signature []byte) packedEntry {
	from, to := code.span()
	p := make(packedEntry, 0, 2+(to-from)*ringBytes+len(signature))
	p = append(p, byte(from), byte(to))
	for r := from; r < to; r++ {
		for w := range ringWords {
			p = binary.LittleEndian.AppendUint64(p, code.sign[r][w])
			p = binary.LittleEndian.AppendUint64(p, code.mask[r][w])
		}
	}
	return append(p, signature...)
}

func (p packedEntry) span() (from, to int) { return int(p[0]), int(p[1]) }

func (p packedEntry) signature() []byte {
	from, to := p.span()
	return p[2+(to-from)*ringBytes:]
}

// code unpacks the polar code.
func (p packedEntry) code(c *polarCode) {
	*c = polarCode{}
	from, to := p.span()
	rest := p[2:]
	for r := from; r < to; r++ {
		for w := range ringWords {
			c.sign[r][w], c.mask[r][w] = binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
			rest = rest[16:]
		}
	}
}

// template expands an entry. Its bytes were checked when they came in.
func (p packedEntry) template() *Template {
	bytes := p.signature()
	s, err := parseHeader(bytes)
	if err != nil {
		panic(fmt.Sprintf("correlate: gallery holds an unreadable signature: %v", err))
	}
	s.decode(bytes)
	t := newTemplate(s, bytes)
	t.codes.polar = new(polarCode)
	p.code(t.codes.polar)
	return t
}
