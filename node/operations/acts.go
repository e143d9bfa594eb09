package operations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// New is what a person gives for an operation.
type NewOperation struct {
	Name       string             `json:"name"`
	Purpose    string             `json:"purpose"`
	LegalBasis string             `json:"legal_basis"`
	From       time.Time          `json:"from,omitzero"` // now, if left out
	Until      time.Time          `json:"until"`
	Members    []protocol.Country `json:"members"` // the own country is added
	Handling   []string           `json:"handling,omitempty"`
}

// Note is an act on an operation with a note or reason.
type Note struct {
	Ref  string `json:"ref"`
	Note string `json:"note,omitempty"`
}

// Propose founds an operation: at once, or, where policy asks for the approval of two people, as a draft that a second person approves.
func (s *Service) Propose(ctx context.Context, who desk.Actor, key string, n NewOperation) (*View, error) {
	members := append(slices.Clone(n.Members), s.desk.Country)
	slices.Sort(members)
	body := &protocol.OperationBody{Name: strings.TrimSpace(n.Name), Purpose: n.Purpose, LegalBasis: n.LegalBasis, Members: slices.Compact(members),
		Handling: append([]string{}, n.Handling...)}
	act := s.act(who, key, policy.OperationPropose, "", n)
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*View, error) {
		now := tx.Now().UTC().Truncate(time.Second)
		body := *body
		if body.From, body.Until = n.From.UTC().Truncate(time.Second), n.Until.UTC().Truncate(time.Second); n.From.IsZero() {
			body.From = now
		}
		if !body.Until.After(now) {
			return nil, desk.Invalid("the operation would end (%s) before it is founded: name a later end with --until", body.Until.Format(time.RFC3339))
		}
		var err error
		if body.Number, err = desk.NextNumber(tx, s.desk.Country, protocol.OperationSeries); err != nil {
			return nil, err
		}
		if err := body.Check(); err != nil {
			return nil, desk.Invalid("%v", err)
		}
		o := &Operation{Number: body.Number, Founder: s.desk.Country, Body: &body, Draft: true, Known: tx.Now()}
		if o.ID, err = protocol.NewDocumentID(s.desk.Country, tx.Now(), tx.Random()); err != nil {
			return nil, err
		}
		if s.needsSecond(tx, who, act) {
			o.Pending = &Pending{What: propose, By: who.Name, At: tx.Now()}
			s.record(tx, o, protocol.ActAlter, who.Name, "operation proposed, awaits a second person", nil)
			return s.shown(tx, o), operations.Put(tx, o.ID, o)
		}
		return s.done(tx, o, s.found(tx, o, who))
	})
}

// Accept joins an operation that another country founded.
func (s *Service) Accept(ctx context.Context, who desk.Actor, key string, n Note) (*View, error) {
	act := s.act(who, key, policy.OperationAccept, n.Ref, n)
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*View, error) {
		o, err := Find(tx, n.Ref)
		if err != nil {
			return nil, err
		}
		if phase := o.Phase(tx.Now(), s.desk.Country); phase != PhaseOffered {
			return nil, desk.Conflict("operation %s is %s: there is nothing to accept", o.Number, phase)
		}
		if o.Pending != nil {
			return nil, desk.Conflict("operation %s awaits a second person since %s accepted it: `proofmark operation approve %s`", o.Number, o.Pending.By, o.Number)
		}
		if s.needsSecond(tx, who, act) {
			o.Pending = &Pending{What: accept, By: who.Name, At: tx.Now(), Note: n.Note}
			s.record(tx, o, protocol.ActAlter, who.Name, "operation to be accepted, awaits a second person", nil)
			return s.shown(tx, o), operations.Put(tx, o.ID, o)
		}
		return s.done(tx, o, s.join(tx, o, n.Note, who.Name))
	})
}

// Approve is the second person's approval of what the first one began.
func (s *Service) Approve(ctx context.Context, who desk.Actor, key, ref string) (*View, error) {
	action := policy.OperationPropose
	pending, err := s.pending(ref)
	if errors.Is(err, desk.ErrNotFound) { // the authorised act says so, and the log keeps who asked
		return desk.Do(ctx, s.desk, s.act(who, key, action, ref, "approve"), func(*store.Tx) (*View, error) { return nil, err })
	}
	if err != nil {
		return nil, err
	}
	if pending.What == accept {
		action = policy.OperationAccept
	}
	act := s.act(who, key, action, ref, "approve")
	act.Describe = func(tx *store.Tx) (policy.Resource, error) { // by then somebody else may have begun it anew
		res, by := act.Resource, pending.By
		if o, err := s.awaiting(tx, ref); err == nil {
			by = o.Pending.By
		}
		res.Attributes = map[string]any{"reviewers": []string{by}}
		return res, nil
	}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*View, error) {
		o, err := s.awaiting(tx, ref)
		if err != nil {
			return nil, err
		}
		first := *o.Pending
		if first.By == who.Name {
			return nil, desk.SamePerson("you began this yourself: a second person approves it")
		}
		if phase := o.Phase(tx.Now(), s.desk.Country); phase != PhaseDraft && phase != PhaseOffered {
			return nil, desk.Conflict("operation %s is %s: it is too late to approve it", o.Number, phase)
		}
		o.Pending = nil
		if first.What == propose {
			if !o.Body.Until.After(tx.Now()) {
				return nil, desk.Conflict("operation %s would have ended on %s: propose it again", o.Number, o.Body.Until.Format(time.RFC3339))
			}
			return s.done(tx, o, s.found(tx, o, who, first.By))
		}
		return s.done(tx, o, s.join(tx, o, first.Note, first.By, who.Name))
	})
}

// Reject ends what awaits a second person; whoever began it may take it back.
func (s *Service) Reject(ctx context.Context, who desk.Actor, key string, n Note) (*View, error) {
	return desk.Do(ctx, s.desk, s.act(who, key, policy.OperationAccept, n.Ref, []string{"reject", n.Note}), func(tx *store.Tx) (*View, error) {
		o, err := s.awaiting(tx, n.Ref)
		if err != nil {
			return nil, err
		}
		s.record(tx, o, protocol.ActAlter, who.Name, "operation not approved", map[string]string{"begun_by": o.Pending.By, "note": n.Note})
		o.Pending = nil
		return s.shown(tx, o), operations.Put(tx, o.ID, o)
	})
}

// Leave takes this country out of an operation, for good: nothing more is shared for it, its copies end here, and the other members are told to end
// theirs of what this country shared.
func (s *Service) Leave(ctx context.Context, who desk.Actor, key string, n Note) (*View, error) {
	return s.finish(ctx, who, key, policy.OperationLeave, n, func(tx *store.Tx, o *Operation, e *Ended) error {
		if o.Founder == s.desk.Country {
			return desk.Conflict("this country founded operation %s: `proofmark operation end %s` ends it for all", o.Number, o.Number)
		}
		if p := o.Parts[s.desk.Country]; p == nil || p.Accepted.IsZero() {
			return desk.Conflict("this country is not in operation %s: there is nothing to leave", o.Number)
		}
		o.Parts[s.desk.Country].Left = e
		s.record(tx, o, protocol.ActAlter, who.Name, "operation left", map[string]string{"reason": e.Reason}, e.Document)
		return nil
	})
}

// End ends an operation that this country founded, for all its members.
func (s *Service) End(ctx context.Context, who desk.Actor, key string, n Note) (*View, error) {
	return s.finish(ctx, who, key, policy.OperationEnd, n, func(tx *store.Tx, o *Operation, e *Ended) error {
		if o.Founder != s.desk.Country {
			return desk.Conflict("%s founded operation %s: this country can leave it (`proofmark operation leave %s`)", o.Founder, o.Number, o.Number)
		}
		o.Ended = e
		s.record(tx, o, protocol.ActAlter, who.Name, "operation ended", map[string]string{"reason": e.Reason}, e.Document)
		return nil
	})
}

func (s *Service) finish(ctx context.Context, who desk.Actor, key string, action policy.Action, n Note, fn func(*store.Tx, *Operation, *Ended) error) (*View, error) {
	if strings.TrimSpace(n.Note) == "" {
		return nil, desk.Invalid("say why, the other members are told (--reason TEXT)")
	}
	act := s.act(who, key, action, n.Ref, n)
	act.TwoPeople = false
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*View, error) {
		o, err := Find(tx, n.Ref)
		if err != nil {
			return nil, err
		}
		if phase := o.Phase(tx.Now(), s.desk.Country); o.Draft || phase == PhaseEnded || phase == PhaseLeft {
			return nil, desk.Conflict("operation %s is %s already", o.Number, phase)
		}
		e := &Ended{At: tx.Now(), Reason: n.Note, By: who.Name}
		if e.Document, err = protocol.NewDocumentID(s.desk.Country, tx.Now(), tx.Random()); err != nil {
			return nil, err
		}
		if err := fn(tx, o, e); err != nil {
			return nil, err
		}
		o.Pending = nil
		// It ends here even where policy tells some member nothing of it.
		body := &protocol.OperationEndBody{Operation: o.ID, Reason: n.Note}
		return s.done(tx, o, s.out.IssueAs(tx, e.Document, protocol.TypeOperationEnd, body, s.facts(o, who.Name)))
	})
}

// found issues the document of an operation: this country is its first member.
func (s *Service) found(tx *store.Tx, o *Operation, who desk.Actor, others ...string) error {
	people := append(others, who.Name)
	o.Draft = false
	o.Parts = map[protocol.Country]*Part{s.desk.Country: {Accepted: tx.Now(), Acceptance: o.ID, People: people}}
	if err := s.out.IssueAs(tx, o.ID, protocol.TypeOperation, o.Body, s.facts(o, who.Name)); err != nil {
		return err
	}
	if err := s.told(tx, o, o.ID, o.Body.Members); err != nil {
		return err
	}
	hash, err := s.hash(tx, o.ID)
	if err != nil {
		return err
	}
	o.SHA256 = hash
	s.record(tx, o, protocol.ActAlter, who.Name, "operation founded", map[string]string{"people": strings.Join(people, " "), "sha256": hash}, o.ID)
	return nil
}

// join issues this country's acceptance.
func (s *Service) join(tx *store.Tx, o *Operation, note string, people ...string) error {
	hash, err := s.hash(tx, o.ID)
	if err != nil {
		return err
	}
	id, err := protocol.NewDocumentID(s.desk.Country, tx.Now(), tx.Random())
	if err != nil {
		return err
	}
	o.SHA256, o.Pending = hash, nil
	o.part(s.desk.Country).Accepted = tx.Now()
	p := o.part(s.desk.Country)
	p.SHA256, p.Acceptance, p.People = hash, id, people
	who := people[len(people)-1]
	body := &protocol.OperationAcceptanceBody{Operation: o.ID, SHA256: hash, Note: note}
	if err := s.out.IssueAs(tx, id, protocol.TypeOperationAcceptance, body, s.facts(o, who)); err != nil {
		return err
	}
	if err := s.told(tx, o, id, []protocol.Country{o.Founder}); err != nil {
		return err
	}
	s.record(tx, o, protocol.ActAlter, who, "operation accepted", map[string]string{"people": strings.Join(people, " "), "sha256": hash}, id)
	return nil
}

// told refuses an act of which policy or roster keeps somebody uninformed who must know.
func (s *Service) told(tx *store.Tx, o *Operation, document string, who []protocol.Country) error {
	state := map[protocol.Country]string{}
	for _, d := range dispatch.DeliveriesOf(tx, document) {
		state[d.Peer] = d.State
	}
	if err := tx.Err(); err != nil {
		return err
	}
	for _, c := range who {
		switch {
		case c == s.desk.Country:
		case state[c] == dispatch.Denied:
			return desk.Forbidden("the sharing policy does not let documents of operation %s go to %s: a rule for OperationDocument permits it (docs/policy.md)", o.Number, c)
		case state[c] == "":
			return desk.Invalid("%s is not an active member of the roster in force; `proofmark roster show` lists the members", c)
		}
	}
	return nil
}

// done stores what an act made of an operation.
func (s *Service) done(tx *store.Tx, o *Operation, err error) (*View, error) {
	if err != nil {
		return nil, err
	}
	return s.shown(tx, o), s.alter(tx, o)
}

func (s *Service) hash(tx *store.Tx, id string) (string, error) {
	rec, err := dispatch.Documents.Get(tx, id)
	if err != nil {
		return "", fmt.Errorf("document that founds the operation: %w", err)
	}
	return protocol.DocumentHash(rec.JWS), nil
}

func (s *Service) facts(o *Operation, actor string) dispatch.Facts {
	members := make([]string, len(o.Body.Members))
	for i, c := range o.Body.Members {
		members[i] = string(c)
	}
	return dispatch.Facts{Among: o.Body.Members, Purpose: Purpose, Kind: policy.KindOperation, Object: o.ID, Actor: actor, Attributes: map[string]any{"members": members}}
}

// act asks for one person; whether a second is needed is looked at beside.
func (s *Service) act(who desk.Actor, key string, action policy.Action, ref string, request any) desk.Act {
	return desk.Act{Actor: who, Key: key, Action: action, Purpose: Purpose, Request: request, TwoPeople: true, Resource: policy.Resource{Type: policy.KindOperation, ID: ref}}
}

func (s *Service) needsSecond(tx *store.Tx, who desk.Actor, a desk.Act) bool {
	dec := s.desk.Policy().Decide(policy.Request{Principal: policy.Principal{User: who.Name, Roles: who.Roles, Country: string(s.desk.Country)}, Action: a.Action,
		Resource: a.Resource, Purpose: a.Purpose, Now: tx.Now()})
	return dec.Obligations.Approval == policy.TwoPerson
}

// pending looks up what awaits a second person, before the act that approves it is authorised.
func (s *Service) pending(ref string) (p Pending, err error) {
	err = s.desk.Store.View(func(tx *store.Tx) error {
		o, err := s.awaiting(tx, ref)
		if errors.Is(err, desk.ErrConflict) && o != nil { // approved meanwhile: the same command again is answered as before
			p, err = Pending{What: accept}, nil
			if o.Founder == s.desk.Country {
				p.What = propose
			}
			return nil
		}
		if err != nil {
			return err
		}
		p = *o.Pending
		return nil
	})
	return p, err
}

func (s *Service) awaiting(tx *store.Tx, ref string) (*Operation, error) {
	o, err := Find(tx, ref)
	if err != nil {
		return nil, err
	}
	if o.Pending == nil {
		return o, desk.Conflict("operation %s is %s: nothing awaits a second person", o.Number, o.Phase(tx.Now(), s.desk.Country))
	}
	return o, nil
}

func (o *Operation) part(c protocol.Country) *Part {
	if o.Parts == nil {
		o.Parts = map[protocol.Country]*Part{}
	}
	if o.Parts[c] == nil {
		o.Parts[c] = &Part{}
	}
	return o.Parts[c]
}
