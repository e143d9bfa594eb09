package ballistics

import (
	"sync/atomic"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/index"
	"proofmark/protocol"
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
	filling  filling
	snapshot Snapshot
	saved    atomic.Int64 // when the last snapshot was begun, nanoseconds

	models   Calibrations
	wake     chan struct{} // there may be jobs
	queue    queue
	encoding chan struct{} // places for scans that are being encoded
}

// New registers the service's handlers with dispatch. Run must be called for correlation to happen.
func New(d *desk.Desk, out *dispatch.Dispatch, now func() time.Time) *Service {
	s := &Service{desk: d, out: out, now: now, models: DefaultCalibrations(), filling: filling{ready: make(chan struct{})}, wake: make(chan struct{}, 1), queue: newQueue(),
		encoding: make(chan struct{}, encodings)}
	s.index = index.New(s.signatureBytes)
	out.Handle(protocol.TypeSignature, s.receiveSignature)
	out.Handle(protocol.TypeLead, s.receiveLead)
	out.Handle(protocol.TypeLeadAck, s.receiveAck)
	out.Handle(protocol.TypeLeadRetraction, s.receiveRetraction)
	out.Handle(protocol.TypeFeedback, s.receiveFeedback)
	out.Handle(protocol.TypeHit, s.receiveHit)
	out.HandleEnding(protocol.TypeSignature, s.endSignature)
	out.HandleEnding(protocol.TypeLead, s.endLead)
	for _, t := range []protocol.Type{protocol.TypeLeadAck, protocol.TypeFeedback, protocol.TypeHit} {
		out.HandleEnding(t, s.endReply)
	}
	return s
}

// UseCalibrations has candidates judged by these models from now on; to be called before Run. Those found before keep what they were given.
func (s *Service) UseCalibrations(m Calibrations) { s.models = m }

// Calibrations that the node goes by.
func (s *Service) Calibrations() Calibrations { return s.models }
