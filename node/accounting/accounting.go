// Package accounting owns what this node hands out of its audit log for others to check: proofs of entries, statements of one channel, reports on a
// period, and the comparison of its own statement with a member's. It refuses to know how any of them is checked, or how bytes travel.
package accounting

import (
	"context"
	"io"
	"sync"
	"time"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Options assemble a Service.
type Options struct {
	Desk     *desk.Desk
	Dispatch *dispatch.Dispatch
	Signer   func() *crypto.Signer
	Roster   func() *roster.Roster // in force; nil: none yet
	Now      func() time.Time
	Random   io.Reader

	// Fetch asks a member for a page of its statement and returns it as it came. It may be nil.
	Fetch func(ctx context.Context, from protocol.Country, ask []byte) ([]byte, error)

	// Cosigned returns the last checkpoint that other members have cosigned, a signed note; nil where there is none.
	Cosigned func(tx *store.Tx) ([]byte, error)
}

// Service is one node's accounting.
type Service struct {
	o Options

	mu    sync.Mutex
	begun map[protocol.Country][]time.Time // statements that members have asked for, of the last hour
}

// New returns a Service.
func New(o Options) *Service { return &Service{o: o, begun: map[protocol.Country][]time.Time{}} }

// read authorises an act of oversight and makes its entry durable; what is shown is read afterwards.
func (s *Service) read(ctx context.Context, who desk.Actor, action policy.Action, e protocol.AuditEntry) error {
	act := desk.Act{Actor: who, Action: action, Resource: policy.Resource{Type: policy.KindAudit}}
	e.Kind = policy.KindAudit
	_, err := desk.Read(ctx, s.o.Desk, act, e, nothing)
	return err
}
