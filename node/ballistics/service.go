package ballistics

import (
	"context"
	"fmt"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/index"
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

	index    *index.Index
	wake     chan struct{}   // there may be jobs
	encoding chan struct{}   // places for scans that are being encoded
	failed   map[string]bool // jobs that failed in this run; they are tried again after a restart
}

// New registers the service's handlers with dispatch. Run must be called for correlation to happen.
func New(d *desk.Desk, out *dispatch.Dispatch, now func() time.Time) *Service {
	s := &Service{desk: d, out: out, now: now, index: index.New(), wake: make(chan struct{}, 1), encoding: make(chan struct{}, encodings), failed: map[string]bool{}}
	out.Handle(protocol.TypeSignature, s.receiveSignature)
	out.Handle(protocol.TypeLead, s.receiveLead)
	out.Handle(protocol.TypeLeadAck, s.receiveAck)
	out.Handle(protocol.TypeLeadRetraction, s.receiveRetraction)
	out.Handle(protocol.TypeFeedback, s.receiveFeedback)
	out.Handle(protocol.TypeHit, s.receiveHit)
	return s
}

// Load fills the index from the store: at start, before anything else.
func (s *Service) Load(ctx context.Context) error {
	if err := s.readmit(ctx); err != nil {
		return fmt.Errorf("look again at signatures that were not compared: %w", err)
	}
	return s.desk.Store.View(func(tx *store.Tx) error {
		for _, sig := range signatures.All(tx) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if sig.Bytes == nil {
				continue // erased, and kept only because people reviewed a candidate of it
			}
			if sig.NotCompared != "" {
				s.holdUncompared(sig) // whose bytes may be anything
				continue
			}
			if err := s.index.Hold(entryOf(sig)); err != nil {
				return err
			}
		}
		return tx.Err()
	})
}

// entryOf is a signature as the index takes it in.
func entryOf(sig *Signature) index.Entry {
	return index.Entry{ID: sig.ID, Exhibit: sig.Exhibit, Bytes: sig.Bytes, Facts: index.Facts{Country: sig.Country, Own: sig.Own, ROI: sig.ROI, Kind: sig.Kind,
		Origin: sig.Origin, Algorithm: sig.Algorithm, Class: sig.Class}}
}
