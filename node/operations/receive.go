package operations

import (
	"errors"
	"slices"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// receiveOperation takes in what another country founded. It puts this country into nothing: people accept it, or not.
func (s *Service) receiveOperation(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.OperationBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	if err := body.CheckFounder(in.From); err != nil {
		return desk.Invalid("%v", err)
	}
	if !slices.Contains(body.Members, s.desk.Country) {
		return desk.Invalid("operation %s does not name %s", body.Number, s.desk.Country)
	}
	for id := range operations.By(tx, byNumber, body.Number) {
		if id != in.Document.ID {
			return desk.Conflict("%s has founded another operation with the number %s", in.From, body.Number)
		}
	}
	if err := tx.Err(); err != nil {
		return err
	}
	o, err := s.known(tx, in.Document.ID, in.From)
	if err != nil || o.Body != nil {
		return err
	}
	o.Body, o.Number = body, body.Number
	o.part(in.From).Accepted = in.Document.Issued
	o.part(in.From).Acceptance = in.Document.ID
	return s.alter(tx, o)
}

// receiveAcceptance notes that a member joined. It may overtake what it accepts, which comes from another country.
func (s *Service) receiveAcceptance(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.OperationAcceptanceBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	o, err := s.about(tx, body.Operation, in.From)
	if err != nil {
		return err
	}
	if o.Founder == in.From {
		return desk.Invalid("%s founded the operation that it accepts", in.From)
	}
	p := o.part(in.From)
	if !p.Accepted.IsZero() {
		return nil // one acceptance counts, the first
	}
	p.Accepted, p.SHA256, p.Acceptance = tx.Now(), body.SHA256, in.Document.ID
	return s.alter(tx, o)
}

// receiveEnd notes that a founder ended an operation, or a member its part.
func (s *Service) receiveEnd(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.OperationEndBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	o, err := s.about(tx, body.Operation, in.From)
	if err != nil {
		return err
	}
	e := &Ended{At: tx.Now(), Reason: body.Reason, Document: in.Document.ID}
	switch p := o.part(in.From); {
	case o.Founder == in.From && o.Ended == nil:
		o.Ended = e
	case o.Founder != in.From && p.Left == nil:
		p.Left = e
	default:
		return nil
	}
	return s.alter(tx, o)
}

// about finds the operation that a member speaks of.
func (s *Service) about(tx *store.Tx, id string, from protocol.Country) (*Operation, error) {
	founder, err := protocol.IssuerOf(id)
	if err != nil {
		return nil, desk.Invalid("operation: %v", err)
	}
	o, err := s.known(tx, id, founder)
	switch {
	case err != nil:
		return nil, err
	case o.Body == nil && founder == s.desk.Country, o.Draft:
		return nil, desk.NotFound("%s speaks of the operation %s, which this country never founded", from, id)
	case o.Body != nil && !slices.Contains(o.Body.Members, from):
		return nil, desk.Invalid("operation %s does not name %s", o.Number, from)
	}
	return o, nil
}

// known is an operation, or an empty one that nobody here has heard of yet.
func (s *Service) known(tx *store.Tx, id string, founder protocol.Country) (*Operation, error) {
	o, err := operations.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return &Operation{ID: id, Founder: founder, Known: tx.Now()}, nil
	}
	return o, err
}
