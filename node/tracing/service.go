package tracing

import (
	"sync"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
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
