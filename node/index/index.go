// Package index holds a node's signatures in memory, own and foreign, each in the gallery of its region and algorithm, and ranks them against
// one another. It owns what may be compared with what. It refuses to know the store, the network and what a candidate leads to.
package index

import (
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

// facts are Facts with what follows from them.
type facts struct {
	Facts
	bare    bool            // the calibre is a bare bore
	class   correlate.Class // with the calibre's family in the calibre's place
	gallery gallery         // nil where nothing can be compared with it
	held    int
}

// holding is what the index keeps of a signature beside its gallery.
type holding struct {
	*facts
	exhibit string
}

// shareKey: what cannot be compared shares its facts with its like only.
type shareKey struct {
	Facts
	comparable bool
}

// Index is a set of signatures that many queries search at once while it grows and shrinks. Use New.
type Index struct {
	mu        sync.RWMutex
	held      map[string]holding // by signature id
	shared    map[shareKey]*facts
	galleries map[kind]gallery
}

// New returns an empty index.
func New() *Index {
	x := &Index{held: map[string]holding{}, shared: map[shareKey]*facts{}, galleries: map[kind]gallery{}}
	for k, methods := range known {
		x.galleries[k] = methods.empty()
	}
	return x
}

// Hold takes a signature in; one that is held already changes nothing. A signature of an unknown algorithm, or one in which too little is left
// to be compared, is held and counted, and never found. Errors wrap the decoder's.
func (x *Index) Hold(e Entry) error {
	if x.Holds(e.ID) {
		return nil
	}
	k := kind{e.ROI, e.Algorithm}
	x.mu.RLock()
	g := x.galleries[k]
	x.mu.RUnlock()
	f := newFacts(e.Facts)
	if g != nil {
		// Before it is held: whoever sees that it is can search for it.
		ok, err := g.put(e.ID, f.class, e.Bytes)
		if err != nil {
			return fmt.Errorf("hold signature %s: %w", e.ID, err)
		}
		if !ok {
			g = nil
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.enter(e.ID, e.Exhibit, f, g)
	return nil
}

func newFacts(f Facts) *facts {
	return &facts{Facts: f, bare: tracing.Bare(f.Class.Calibre), class: filterClass(f.Class)}
}

// enter books a signature that its gallery holds; the caller has the lock. Signatures with equal facts share them.
func (x *Index) enter(id, exhibit string, f *facts, g gallery) {
	if _, ok := x.held[id]; ok {
		return
	}
	f.gallery = g
	key := shareKey{f.Facts, g != nil}
	if known := x.shared[key]; known != nil {
		f = known
	} else {
		x.shared[key] = f
	}
	f.held++
	x.held[id] = holding{f, exhibit}
}

// Release lets a signature go; one that is not held changes nothing. Searches that have begun may still find it.
func (x *Index) Release(id string) {
	x.mu.Lock()
	h, ok := x.held[id]
	if ok {
		delete(x.held, id)
		h.held--
	}
	x.mu.Unlock()
	if ok && h.gallery != nil {
		h.gallery.remove(id)
	}
}

// Holds reports whether a signature is held.
func (x *Index) Holds(id string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, ok := x.held[id]
	return ok
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
		if f.held > 0 {
			sums[Count{ROI: f.ROI, Algorithm: f.Algorithm, Comparable: f.gallery != nil}] += f.held
		}
	}
	return sorted(sums)
}

// Len is the number of signatures held, and how many of them could be compared with one of this region and algorithm.
func (x *Index) Len(roi correlate.ROI, algorithm string) (all, same int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if g := x.galleries[kind{roi, algorithm}]; g != nil {
		same = g.len()
	}
	return len(x.held), same
}
