package ballistics

import (
	"context"
	"fmt"
	"sync"
	"time"

	"proofmark/correlate"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/tracing"
	"proofmark/protocol"
	"proofmark/store"
)

// Purpose is the only purpose for which exhibits are acquired and signatures shared.
const Purpose = "criminal-investigation"

// ListLength is how many candidates a signature's ranked list keeps.
const ListLength = 20

// Service does the laboratory's work for one node.
type Service struct {
	desk *desk.Desk
	out  *dispatch.Dispatch
	now  func() time.Time

	gallery *correlate.Gallery
	mu      sync.RWMutex
	held    map[string]*holding // what the gallery holds, by signature id
	wake    chan struct{}       // there may be jobs
	failed  map[string]bool     // jobs that failed in this run; they are tried again after a restart
}

// holding is what decides in memory whether a signature may be compared with another; its marks are in the gallery.
type holding struct {
	country   protocol.Country
	own       bool
	exhibit   string
	roi       correlate.ROI
	kind      string
	origin    string
	algorithm string
	calibre   string
	bare      bool // the calibre is a bare bore
}

// New registers the service's handlers with dispatch. Run must be called for correlation to happen.
func New(d *desk.Desk, out *dispatch.Dispatch, now func() time.Time) *Service {
	s := &Service{desk: d, out: out, now: now, gallery: correlate.NewGallery(),
		held: map[string]*holding{}, wake: make(chan struct{}, 1), failed: map[string]bool{}}
	out.Handle(protocol.TypeSignature, s.receiveSignature)
	out.Handle(protocol.TypeLead, s.receiveLead)
	out.Handle(protocol.TypeLeadAck, s.receiveAck)
	out.Handle(protocol.TypeLeadRetraction, s.receiveRetraction)
	out.Handle(protocol.TypeFeedback, s.receiveFeedback)
	out.Handle(protocol.TypeHit, s.receiveHit)
	return s
}

// Load fills the gallery from the store: at start, before anything else.
func (s *Service) Load(ctx context.Context) error {
	return s.desk.Store.View(func(tx *store.Tx) error {
		for id, sig := range signatures.All(tx) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if sig.Algorithm != correlate.Algorithm || sig.Bytes == nil {
				continue // not comparable here
			}
			if err := s.hold(sig); err != nil {
				return fmt.Errorf("signature %s: %w", id, err)
			}
		}
		return tx.Err()
	})
}

// hold puts a signature into the gallery, which keeps it compactly and makes it ready for comparison when a search comes to it.
func (s *Service) hold(sig *Signature) error {
	if s.holding(sig.ID) != nil {
		return nil
	}
	decoded, err := correlate.DecodeSignature(sig.Bytes)
	if err != nil {
		return err
	}
	h := &holding{country: sig.Country, own: sig.Own, exhibit: sig.Exhibit, roi: sig.ROI, kind: sig.Kind, origin: sig.Origin, algorithm: sig.Algorithm,
		calibre: sig.Class.Calibre, bare: tracing.Bare(sig.Class.Calibre)}
	s.mu.Lock()
	s.held[sig.ID] = h
	s.mu.Unlock()
	s.gallery.PutSignature(sig.ID, filterClass(sig.Class), decoded)
	return nil
}

func (s *Service) holding(id string) *holding {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.held[id]
}

func (s *Service) release(id string) {
	s.mu.Lock()
	delete(s.held, id)
	s.mu.Unlock()
	s.gallery.Remove(id)
}

// mayCompare: the same region of other exhibits; never foreign with foreign, nor, by default, test fire with test fire.
func (a *holding) mayCompare(b *holding) bool {
	return a != nil && b != nil && (a.own || b.own) && a.roi == b.roi && a.kind == b.kind && a.algorithm == b.algorithm &&
		(a.exhibit != b.exhibit || a.country != b.country) && (a.origin != protocol.TestFire || b.origin != protocol.TestFire) &&
		!((a.bare || b.bare) && tracing.Excludes(a.calibre, b.calibre))
}

// filterClass puts the name of its identical family in a calibre's place: 9 mm Luger and 9×19 are one calibre. A bare bore such as "9 mm" filters nothing
// here; mayCompare judges it.
func filterClass(c correlate.Class) correlate.Class {
	if tracing.Bare(c.Calibre) {
		c.Calibre = ""
		return c
	}
	c.Calibre = tracing.Family(c.Calibre)
	return c
}
