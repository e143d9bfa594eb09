// Package permission owns what countries permit each other about information that their handling codes restrict: permissions granted to a holder, and
// those received, by which alone H2 information is passed on. It knows neither what the information is nor the transfers that rest on it.
package permission

import (
	"context"
	"errors"
	"slices"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// purpose of granting: what the information itself is shared for.
const purpose = "criminal-investigation"

// Permission is one that was granted or received. Its id is that of its document, which proves it.
type Permission struct {
	ID        string             `json:"id"`
	From      protocol.Country   `json:"from"` // the owner of the information
	For       protocol.Country   `json:"for"`  // the holder who may now do what is permitted
	Document  string             `json:"document"`
	Use       string             `json:"use"`          // one of protocol.PermissionUses
	To        []protocol.Country `json:"to,omitempty"` // onward: who may get it
	Until     time.Time          `json:"until"`
	Note      string             `json:"note,omitempty"`
	Withheld  []string           `json:"withheld,omitempty"` // fields of a foreign one that its country's policy withholds
	By        string             `json:"by,omitempty"`       // who granted an own one
	At        time.Time          `json:"at"`                 // granted, as its owner says
	Withdrawn time.Time          `json:"withdrawn,omitzero"`
}

var permissions = store.NewCollection("permission",
	store.Index[Permission]{Name: "about", Keys: func(p *Permission) []string { return []string{string(p.From) + "/" + p.Document} }})

// Service grants permissions and finds them.
type Service struct {
	desk *desk.Desk
	out  *dispatch.Dispatch
}

// New registers the service with dispatch, which asks it whenever something restricted would be passed on.
func New(d *desk.Desk, out *dispatch.Dispatch) *Service {
	s := &Service{desk: d, out: out}
	out.Handle(protocol.TypePermission, s.receive)
	out.HandleEnding(protocol.TypePermission, s.end)
	out.UsePermissions(s.Onward)
	out.UseCourtPermissions(s.Court)
	return s
}

// Grant is what a person permits.
type Grant struct {
	Document string             `json:"document"` // an own document that the holder has, or one of the holder's that was made of this country's information
	For      protocol.Country   `json:"for"`
	Use      string             `json:"use"`
	To       []protocol.Country `json:"to,omitempty"`
	Until    time.Time          `json:"until"`
	Note     string             `json:"note,omitempty"`
}

// Grant permits a holder what a handling code of this country forbids without permission. It is a signed document, which policy lets go or not, and which
// can be withdrawn.
func (s *Service) Grant(ctx context.Context, who desk.Actor, key string, g Grant) (*Permission, error) {
	body := &protocol.PermissionBody{Document: g.Document, Use: g.Use, To: g.To, Until: g.Until.UTC().Truncate(time.Second), Note: g.Note}
	if err := body.Check(); err != nil {
		return nil, desk.Invalid("%v", err)
	}
	if slices.Contains(g.To, g.For) || slices.Contains(g.To, s.desk.Country) {
		return nil, desk.Invalid("name the countries that may newly get it: %s has it, and it is %s's own", g.For, s.desk.Country)
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.PermissionGrant, Purpose: purpose, Request: g, Resource: policy.Resource{Type: policy.Permission, ID: g.Document}}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Permission, error) {
		if !body.Until.After(tx.Now()) {
			return nil, desk.Invalid("the permission would end on %s, which is past", body.Until.Format(time.DateOnly))
		}
		doc, err := dispatch.Documents.Get(tx, g.Document)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil, desk.NotFound("there is no document %.80s in this node; `proofmark document list` shows them", g.Document)
		case err != nil:
			return nil, err
		case doc.Status == dispatch.Recalled:
			return nil, desk.Conflict("document %s was withdrawn: nobody is to hold it", g.Document)
		case doc.Status != dispatch.Own && doc.Issuer != g.For:
			return nil, desk.Invalid("document %s is of %s: only %s can be permitted something about it", g.Document, doc.Issuer, doc.Issuer)
		case doc.Status == dispatch.Own && !sentTo(tx, g.Document, g.For):
			return nil, desk.Conflict("document %s was not sent to %s, which is not to learn of it by a permission: `proofmark document show %s` says who has it", g.Document, g.For, g.Document)
		}
		facts := dispatch.Facts{To: g.For, Purpose: purpose, Kind: policy.Permission, Object: g.Document, Actor: who.Name}
		id, err := s.out.Issue(tx, protocol.TypePermission, body, facts)
		if err != nil {
			return nil, err
		}
		p := &Permission{ID: id, From: s.desk.Country, For: g.For, Document: g.Document, Use: g.Use, To: g.To, Until: body.Until, Note: g.Note, By: who.Name, At: tx.Now()}
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActAlter, Counterpart: string(g.For), Decision: "permit", Ground: "permission"},
			AuditBody: protocol.AuditBody{Actor: who.Name, Kind: policy.Permission, Object: id, Event: "permission granted: " + g.Use, Purpose: purpose, Documents: []string{id, g.Document},
				Details: map[string]string{"to": joined(g.To), "until": body.Until.Format(time.DateOnly)}}})
		return p, permissions.Insert(tx, id, p)
	})
}

// sentTo says whether a country was sent a document, or will be as soon as it can be reached.
func sentTo(tx *store.Tx, document string, to protocol.Country) bool {
	for _, dl := range dispatch.DeliveriesOf(tx, document) {
		if dl.Peer == to {
			return dl.State == dispatch.Queued || dl.State == dispatch.Sent || dl.State == dispatch.Delivered
		}
	}
	return false
}

// receive keeps what another country permits this one.
func (s *Service) receive(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.PermissionBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	p, err := permissions.Get(tx, in.Document.ID)
	if errors.Is(err, store.ErrNotFound) {
		p, err = &Permission{ID: in.Document.ID, At: in.Document.Issued}, nil
	}
	if err != nil {
		return err
	}
	p.From, p.For, p.Document, p.Use, p.To, p.Until, p.Note = in.From, s.desk.Country, body.Document, body.Use, body.To, body.Until, body.Note
	p.Withheld = in.Withheld()
	if err := permissions.Put(tx, p.ID, p); err != nil {
		return err
	}
	return s.out.OfferAgain(tx, p.Document, p.To) // what was kept back for want of it
}

// end: a permission that was taken back, or whose copy expired, permits nothing any more. An own one stays as the record of what was permitted when.
func (s *Service) end(tx *store.Tx, e dispatch.Ending) ([]protocol.Remainder, error) {
	p, err := permissions.Get(tx, e.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && p.From != e.Issuer {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !e.Own && !e.Held {
		return nil, permissions.Delete(tx, e.ID)
	}
	if p.Withdrawn.IsZero() {
		p.Withdrawn = tx.Now()
	}
	return nil, permissions.Put(tx, p.ID, p)
}

// Onward finds the permission of an owner that something about one of the documents named is passed on to a country now; "" where there is none.
func (s *Service) Onward(tx *store.Tx, owner, to protocol.Country, about []string) (string, error) {
	for _, document := range about {
		for _, p := range permissions.By(tx, "about", string(owner)+"/"+document) {
			if p.covers(owner, s.desk.Country, to, tx.Now()) {
				return p.ID, tx.Err()
			}
		}
	}
	return "", tx.Err()
}

// Court finds the permission of an owner that what is about one of the documents named is used in court by this country now; nil where there is none.
func (s *Service) Court(tx *store.Tx, owner protocol.Country, about []string) (*protocol.Court, error) {
	for _, document := range about {
		for _, p := range permissions.By(tx, "about", string(owner)+"/"+document) {
			if p.Use == protocol.UseCourt && p.holds(owner, s.desk.Country, tx.Now()) {
				return &protocol.Court{Owner: owner, Holder: p.For, Document: document, Permission: p.ID, Granted: p.At, Until: p.Until}, tx.Err()
			}
		}
	}
	return nil, tx.Err()
}

// holds tells whether a permission of an owner for a holder is in force at a time.
func (p *Permission) holds(owner, holder protocol.Country, now time.Time) bool {
	return p.From == owner && p.For == holder && p.Withdrawn.IsZero() && now.Before(p.Until)
}

// covers tells whether a permission of an owner lets a holder pass something on to a country at a time.
func (p *Permission) covers(owner, holder, to protocol.Country, now time.Time) bool {
	return p.Use == protocol.UseOnward && p.holds(owner, holder, now) && slices.Contains(p.To, to)
}

// List shows the permissions of both directions, the newest last.
func (s *Service) List(ctx context.Context, who desk.Actor) ([]*Permission, error) {
	act := desk.Act{Actor: who, Action: policy.DocumentView, Resource: policy.Resource{Type: policy.Permission}}
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.Permission, Event: "permissions listed"}}
	return desk.Read(ctx, s.desk, act, entry, func(tx *store.Tx) ([]*Permission, error) {
		out := []*Permission{}
		for _, p := range permissions.All(tx) {
			out = append(out, p)
		}
		return out, tx.Err()
	})
}

func joined(list []protocol.Country) string {
	s := ""
	for i, c := range list {
		if i > 0 {
			s += " "
		}
		s += string(c)
	}
	return s
}
