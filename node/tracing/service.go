package tracing

import (
	"context"
	"errors"
	"sync"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// Purpose is the purpose for which firearm records are kept and traced.
const Purpose = "criminal-investigation"

// Service does the tracing of one node. Resume is called once after New and before anybody works with it.
type Service struct {
	desk *desk.Desk
	out  *dispatch.Dispatch

	// importing keeps single additions apart from an import, which checks all its rows first and then stores them in several transactions.
	importing sync.RWMutex

	arrived chan struct{} // there may be requests that own records were not searched for
}

// New returns the service and registers its handlers for trace requests, their status and their answers.
func New(d *desk.Desk, out *dispatch.Dispatch) *Service {
	s := &Service{desk: d, out: out, arrived: make(chan struct{}, 1)}
	out.Handle(protocol.TypeTraceRequest, s.receiveRequest)
	out.Handle(protocol.TypeTraceStatus, s.receiveStatus)
	out.Handle(protocol.TypeTraceAnswer, s.receiveAnswer)
	out.HandleEnding(protocol.TypeTraceRequest, s.endRequest)
	out.HandleEnding(protocol.TypeTraceAnswer, s.endAnswer)
	return s
}

// disclose runs an act that sends a document. What policy refuses to send leaves nothing of the act, so the refusal is recorded by itself.
func (s *Service) disclose(ctx context.Context, act desk.Act, to protocol.Country, fn func(tx *store.Tx) (*Trace, error)) (*Trace, error) {
	var refusal error
	tr, err := desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Trace, error) {
		refusal = nil
		tr, err := fn(tx)
		if errors.Is(err, desk.ErrForbidden) {
			refusal = err
		}
		return tr, err
	})
	if refusal == nil {
		return tr, err
	}
	return nil, errors.Join(err, s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Counterpart: string(to), Decision: "deny", Ground: "policy"},
			AuditBody: protocol.AuditBody{Actor: act.Actor.Name, Kind: act.Resource.Type, Object: act.Resource.ID, Purpose: act.Purpose,
				Event: "refused " + string(act.Action) + ": " + refusal.Error()},
		})
		return nil
	}))
}
