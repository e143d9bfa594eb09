// Package index holds in memory what finds a node's signatures, own and foreign, each in the gallery of its region and algorithm, and ranks them against
// one another; the signatures of a short list are fetched from where they are kept. It owns what may be compared with what, and the snapshot from which it
// is there again after a restart. It refuses to know the store, the network and what a candidate leads to.
package index

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"

	"proofmark/correlate"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

// Entry is a signature as the index takes it in.
type Entry struct {
	ID      string // of the signature document
	Exhibit string // id of the exhibit at its owner
	Facts
	Bytes []byte // the binary form
}

// Facts decide which signatures may be compared; many signatures share them.
type Facts struct {
	Country   protocol.Country
	Own       bool
	ROI       correlate.ROI
	Kind      string // protocol.CartridgeCase or protocol.Bullet
	Origin    string // protocol.Evidence or protocol.TestFire
	Algorithm string
	Class     correlate.Class // as the exhibit's owner wrote it
}

// Digest names all that the index keeps of a signature: 22 characters of a hash. Entries of one digest are held alike.
func (e *Entry) Digest() string {
	sum := e.sum()
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

type digest [16]byte

func (e *Entry) sum() digest {
	head, err := json.Marshal(struct {
		ID, Exhibit string
		Facts
	}{e.ID, e.Exhibit, e.Facts})
	if err != nil {
		panic("index: an entry of texts was not written as JSON: " + err.Error())
	}
	h := sha256.New()
	h.Write(head)
	h.Write([]byte{0})
	h.Write(e.Bytes)
	return digest(h.Sum(nil)[:16])
}

// facts are Facts with what follows from them.
type facts struct {
	Facts
	bare    bool            // the calibre is a bare bore
	class   correlate.Class // with the calibre's family in the calibre's place
	gallery gallery         // nil where nothing can be compared with it
	held    int
}

// shareKey: what cannot be compared shares its facts with its like only.
type shareKey struct {
	Facts
	comparable bool
}

// holding is what the index keeps of a signature beside its gallery.
type holding struct {
	exhibit key
	*facts
	digest digest
}

// Index is a set of signatures that many queries search at once while it grows and shrinks. Use New.
type Index struct {
	mu        sync.RWMutex
	fetch     correlate.Fetch
	held      map[key]holding // by signature id
	odd       map[key]string  // ids of signatures held that are no UUIDs
	shared    map[shareKey]*facts
	galleries map[kind]gallery
	changing  map[string]int      // ids on their way into or out of a gallery, by how many goroutines
	gone      map[string]struct{} // released while the index is being filled; nil after that
	unsure    map[string]struct{} // changed while a snapshot is being written; nil when none is
	changes   int                 // since the last snapshot
	saving    sync.Mutex
}

// New returns an empty index that is being filled: see Filled. fetch reads the binary form of signatures that are held: as many as ids, in their order,
// nil for one that is gone meanwhile, which is not found then.
func New(fetch correlate.Fetch) *Index {
	x := &Index{fetch: fetch, gone: map[string]struct{}{}, changing: map[string]int{}}
	x.clear()
	return x
}

func (x *Index) clear() {
	x.held, x.odd, x.shared, x.galleries = map[key]holding{}, map[key]string{}, map[shareKey]*facts{}, map[kind]gallery{}
	for k, methods := range known {
		x.galleries[k] = methods.empty(x.fetch)
	}
}

// Filled ends the filling: until then, a signature that was released is not taken in again, so that one withdrawn meanwhile does not come back from
// an older sight of the store.
func (x *Index) Filled() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone = nil
}

// Hold takes a signature in; one that is held already changes nothing. A signature of an unknown algorithm, or one in which too little is left
// to be compared, is held and counted, and never found. Errors wrap the decoder's.
func (x *Index) Hold(e Entry) error {
	if x.Holds(e.ID) {
		return nil
	}
	h := holding{exhibit: keyOf(e.Exhibit), facts: newFacts(e.Facts), digest: e.sum()}
	g := x.begin(e.ID, kind{e.ROI, e.Algorithm})
	if g != nil {
		// Before it is held: whoever sees that it is can search for it.
		ok, err := g.put(e.ID, h.class, e.Bytes)
		if err != nil {
			x.end(e.ID)
			return fmt.Errorf("hold signature %s: %w", e.ID, err)
		}
		if !ok {
			g = nil
		}
	}
	x.mu.Lock()
	_, gone := x.gone[e.ID]
	if !gone {
		x.enter(e.ID, h, g)
	}
	x.mu.Unlock()
	if gone && g != nil {
		g.remove(e.ID)
	}
	x.end(e.ID)
	return nil
}

// begin says that a gallery is about to change: a snapshot that is written meanwhile must not be trusted for this id.
func (x *Index) begin(id string, k kind) gallery {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.changing[id]++
	if x.unsure != nil {
		x.unsure[id] = struct{}{}
	}
	return x.galleries[k]
}

func (x *Index) end(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.changing[id]--; x.changing[id] == 0 {
		delete(x.changing, id)
	}
}

func newFacts(f Facts) *facts {
	return &facts{Facts: f, bare: tracing.Bare(f.Class.Calibre), class: filterClass(f.Class)}
}

// enter books a signature that its gallery holds; the caller has the lock. Signatures with equal facts share them.
func (x *Index) enter(id string, h holding, g gallery) {
	k := keyOf(id)
	if _, ok := x.held[k]; ok {
		return
	}
	share := shareKey{h.Facts, g != nil}
	if f := x.shared[share]; f != nil {
		h.facts = f
	} else {
		h.gallery = g
		x.shared[share] = h.facts
	}
	x.book(k, id, h)
	x.changes++
}

func (x *Index) book(k key, id string, h holding) {
	h.facts.held++
	x.held[k] = h
	if k.hashed() {
		x.odd[k] = id
	}
}

// idOf is the id that a key was made of.
func (x *Index) idOf(k key) string {
	if k.hashed() {
		return x.odd[k]
	}
	return k.String()
}

// Release lets a signature go for good; one that is not held changes nothing. Searches that have begun may still find it.
func (x *Index) Release(id string) {
	x.mu.Lock()
	if x.gone != nil {
		x.gone[id] = struct{}{}
	}
	x.mu.Unlock()
	x.Drop(id)
}

// Drop lets a signature go that may come back in another form.
func (x *Index) Drop(id string) {
	x.mu.Lock()
	k := keyOf(id)
	h, ok := x.held[k]
	if ok {
		x.leave(k, h)
		x.changing[id]++
		if x.unsure != nil {
			x.unsure[id] = struct{}{}
		}
	}
	x.mu.Unlock()
	if ok {
		if h.gallery != nil {
			h.gallery.remove(id)
		}
		x.end(id)
	}
}

// leave strikes a signature off the books; the caller has the lock.
func (x *Index) leave(k key, h holding) {
	delete(x.held, k)
	delete(x.odd, k)
	if h.held--; h.held == 0 {
		delete(x.shared, shareKey{h.Facts, h.gallery != nil})
	}
	x.changes++
}

// Holds reports whether a signature is held.
func (x *Index) Holds(id string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, ok := x.held[keyOf(id)]
	return ok
}

// HoldsAs reports whether a signature is held as an entry of this digest.
func (x *Index) HoldsAs(id, digest string) bool {
	x.mu.RLock()
	h, ok := x.held[keyOf(id)]
	x.mu.RUnlock()
	return ok && base64.RawURLEncoding.EncodeToString(h.digest[:]) == digest
}

// IDs are the signatures held, in no order.
func (x *Index) IDs() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ids := make([]string, 0, len(x.held))
	for k := range x.held {
		ids = append(ids, x.idOf(k))
	}
	return ids
}

// Count says how many signatures of one region and algorithm are held.
type Count struct {
	ROI        correlate.ROI `json:"roi"`
	Algorithm  string        `json:"algorithm"`
	Comparable bool          `json:"comparable"` // false: of an algorithm that this program does not know, or with too little left on them
	Signatures int           `json:"signatures"`
}

// Counts says what is held, by region, then algorithm, what can be compared first.
func (x *Index) Counts() []Count {
	x.mu.RLock()
	defer x.mu.RUnlock()
	sums := map[Count]int{}
	for _, f := range x.shared {
		sums[Count{ROI: f.ROI, Algorithm: f.Algorithm, Comparable: f.gallery != nil}] += f.held
	}
	return sorted(sums)
}

// Len is the number of signatures held, and how many of them can be compared with one of this region and algorithm.
func (x *Index) Len(roi correlate.ROI, algorithm string) (all, same int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if g := x.galleries[kind{roi, algorithm}]; g != nil {
		same = g.len()
	}
	return len(x.held), same
}
