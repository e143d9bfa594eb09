// Package operations owns the regional operations that this country knows of: who founded each, which members have joined it by their own signed
// acceptance and which have left, what two people here decided, and whether one runs now between two countries. It refuses to know what is shared for it.
package operations

import (
	"context"
	"errors"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Purpose for which documents of operations are exchanged.
const Purpose = "criminal-investigation"

// Operation is what this country knows of one. Its id is that of the document that founded it.
type Operation struct {
	ID      string                     `json:"id"`
	Number  string                     `json:"number,omitempty"`
	Founder protocol.Country           `json:"founder"`
	Body    *protocol.OperationBody    `json:"body,omitempty"`   // nil while only others' words on it have arrived
	SHA256  string                     `json:"sha256,omitempty"` // of the founding document, once this country is in it
	Parts   map[protocol.Country]*Part `json:"parts,omitempty"`

	Draft   bool      `json:"draft,omitempty"`   // proposed here, and nobody else knows of it
	Pending *Pending  `json:"pending,omitempty"` // what a second person is to approve
	Ended   *Ended    `json:"ended,omitempty"`   // by its founder, before its time
	Settled bool      `json:"settled,omitempty"` // it is over here, and what was shared for it was ended
	Known   time.Time `json:"known"`             // since
}

// Part is one member's part in an operation. A member that left has ended it for good.
type Part struct {
	Accepted   time.Time `json:"accepted,omitzero"`
	SHA256     string    `json:"sha256,omitempty"`     // of what it accepted
	Acceptance string    `json:"acceptance,omitempty"` // id of the document
	Left       *Ended    `json:"left,omitempty"`
	Settled    bool      `json:"settled,omitempty"` // what it had shared for the operation was ended here
	People     []string  `json:"people,omitempty"`  // of this country: who accepted
}

// Ended says who ended an operation, or a part in it, and why.
type Ended struct {
	At       time.Time `json:"at"`
	Reason   string    `json:"reason"`
	Document string    `json:"document"`
	By       string    `json:"by,omitempty"` // one of the own people
}

// Pending is an act of one person that a second one is to approve.
type Pending struct {
	What string    `json:"what"` // propose or accept
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// What may be pending.
const (
	propose = "propose"
	accept  = "accept"
)

const (
	byNumber  = "number"
	unsettled = "unsettled" // is not over here yet
)

var operations = store.NewCollection("operation",
	store.Index[Operation]{Name: byNumber, Keys: func(o *Operation) []string {
		if o.Number == "" {
			return nil
		}
		return []string{o.Number}
	}},
	store.Index[Operation]{Name: unsettled, Keys: func(o *Operation) []string {
		if o.Settled || o.Draft || o.Body == nil {
			return nil
		}
		return []string{""}
	}})

// Service keeps the operations of one node.
type Service struct {
	desk    *desk.Desk
	out     *dispatch.Dispatch
	changed func() // other documents may be shared than before
	last    string // pairs that ran at the last tick
}

// New returns the service and registers its handlers; changed is called after a commit that starts or ends an operation with some country.
func New(d *desk.Desk, out *dispatch.Dispatch, changed func()) *Service {
	s := &Service{desk: d, out: out, changed: changed}
	out.Handle(protocol.TypeOperation, s.receiveOperation)
	out.Handle(protocol.TypeOperationAcceptance, s.receiveAcceptance)
	out.Handle(protocol.TypeOperationEnd, s.receiveEnd)
	return s
}

// Running lists the operations that run now with another country and this one in them: what policy is told of that country.
func (s *Service) Running(tx *store.Tx, with protocol.Country) ([]policy.Operation, error) {
	var out []policy.Operation
	for _, o := range operations.By(tx, unsettled, "") {
		if o.runs(tx.Now(), s.desk.Country, with) {
			out = append(out, policy.Operation{Number: o.Number, Until: o.Body.Until, Handling: o.Body.Handling})
		}
	}
	return out, tx.Err()
}

// Find finds an operation by its number or id.
func Find(tx *store.Tx, ref string) (*Operation, error) {
	var found *Operation
	if protocol.CheckID(ref) == nil {
		o, err := operations.Get(tx, ref)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		found = o
	} else {
		for _, o := range operations.By(tx, byNumber, ref) {
			found = o
		}
		if err := tx.Err(); err != nil {
			return nil, err
		}
	}
	if found == nil || found.Body == nil {
		return nil, desk.NotFound("there is no operation %.40q: `proofmark operation list` shows them with their numbers", ref)
	}
	return found, nil
}

// Taggable finds an operation that an exhibit may be tagged with: this country is in it, and it is not over.
func Taggable(tx *store.Tx, own protocol.Country, ref string) (*Operation, error) {
	o, err := Find(tx, ref)
	if err != nil {
		return nil, err
	}
	if !o.in(own) || !o.lasts(tx.Now(), own, own) {
		return nil, desk.Invalid("operation %s is %s: an exhibit is tagged with one that this country is in", o.Number, o.Phase(tx.Now(), own))
	}
	return o, nil
}

func (s *Service) record(tx *store.Tx, o *Operation, action protocol.AuditAction, actor, event string, details map[string]string, documents ...string) {
	e := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: action, Decision: "permit"},
		AuditBody: protocol.AuditBody{Actor: actor, Kind: policy.KindOperation, Object: o.ID, Event: event, Purpose: Purpose, Details: map[string]string{"number": o.Number}, Documents: documents}}
	for k, v := range details {
		e.Details[k] = v
	}
	tx.Audit(e)
}

// alter stores an operation after which other documents may be shared than before.
func (s *Service) alter(tx *store.Tx, o *Operation) error {
	tx.OnCommit(s.changed)
	return operations.Put(tx, o.ID, o)
}

// List lists the operations, drafts among them, in the order of their ids.
func (s *Service) List(ctx context.Context, who desk.Actor) ([]*View, error) {
	return desk.Read(ctx, s.desk, s.view(who, ""), protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindOperation, Event: "operations listed"}},
		func(tx *store.Tx) ([]*View, error) {
			out := []*View{}
			for _, o := range operations.All(tx) {
				if o.Body != nil {
					out = append(out, s.shown(tx, o))
				}
			}
			return out, tx.Err()
		})
}

// Show shows one operation, by number or id.
func (s *Service) Show(ctx context.Context, who desk.Actor, ref string) (*View, error) {
	return desk.Read(ctx, s.desk, s.view(who, ref), protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindOperation, Object: ref, Event: "operation viewed"}},
		func(tx *store.Tx) (*View, error) {
			o, err := Find(tx, ref)
			if err != nil {
				return nil, err
			}
			return s.shown(tx, o), nil
		})
}

func (s *Service) view(who desk.Actor, ref string) desk.Act {
	return desk.Act{Actor: who, Action: policy.OperationView, Resource: policy.Resource{Type: policy.KindOperation, ID: ref}}
}

func (s *Service) shown(tx *store.Tx, o *Operation) *View {
	return o.look(tx.Now(), s.desk.Country)
}
