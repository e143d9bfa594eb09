package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"proofmark/node/ballistics"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// findings are all that a request is judged by.
type findings struct {
	own      bool // an own signature that was published and stands
	told     bool // the asking country was told of it
	there    bool // its scans are there
	behind   ballistics.Behind
	attrs    map[string]any
	bound    dispatch.Bound
	event    time.Time
	answer   policy.Decision // may the country be answered at all
	share    policy.Decision // may this scan go to it
	policies []string
}

// outcome is what becomes of a request.
type outcome int

const (
	refuse    outcome = iota
	askPeople         // two people decide
	permit            // released at once
)

// verdict is a judgement with its true ground. Code is what the asking country is told of a refusal.
type verdict struct {
	outcome  outcome
	code     string
	ground   string
	handling protocol.Handling
	retain   time.Duration
	until    time.Time // the end of the operations for which alone it may be released; zero: no such end
}

// judge decides. A country that was never told of an exhibit gets the answer to one that does not exist; so does one that asks for what was withdrawn.
func judge(own protocol.Country, f *findings) verdict {
	switch {
	case !f.own:
		return verdict{code: protocol.ScanUnknown, ground: "no-such-exhibit"}
	case !f.told:
		return verdict{code: protocol.ScanUnknown, ground: "not-told"}
	case len(f.answer.Errors)+len(f.share.Errors) > 0:
		return verdict{code: protocol.ScanPolicy, ground: "policy-error"}
	case !f.answer.Allow || !f.share.Allow:
		return verdict{code: protocol.ScanPolicy, ground: "policy"}
	case !f.there:
		return verdict{code: protocol.ScanUnknown, ground: "no-scan"}
	}
	v := verdict{outcome: permit, ground: "policy",
		handling: protocol.UnionHandling(protocol.MarkedBy(own, slices.Concat(f.answer.Obligations.Handling, f.share.Obligations.Handling)...), f.bound.Handling)}
	for _, d := range []policy.Decision{f.answer, f.share} {
		if d.Obligations.Approval == policy.TwoPerson {
			v.outcome = askPeople
		}
		if r := d.Obligations.RetainFor; r > 0 && (v.retain == 0 || r < v.retain) {
			v.retain = r
		}
		if u := d.Obligations.Until; !u.IsZero() && (v.until.IsZero() || u.Before(v.until)) {
			v.until = u
		}
	}
	return v
}

// look gathers the findings. It takes the same steps in the same order whatever it finds, so that neither its time nor its traces in a cache tell one
// request from another.
func (s *Service) look(tx *store.Tx, r *Request) (*findings, error) {
	f := &findings{}
	s.looked("document")
	doc, err := dispatch.Documents.Get(tx, r.Signature)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	s.looked("scans")
	behind, err := ballistics.ScansBehind(tx, r.Signature)
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, desk.ErrNotFound) {
		return nil, err
	}
	f.own = behind != nil && doc != nil && standing(doc) && doc.Facts != nil
	if behind != nil {
		f.behind = *behind
	}
	s.looked("deliveries")
	for _, d := range dispatch.DeliveriesOf(tx, r.Signature) {
		f.told = f.told || d.Peer == r.Counterpart && (d.State == dispatch.Sent || d.State == dispatch.Delivered)
	}
	s.looked("leads")
	named, err := ballistics.NamedInLead(tx, r.Signature, r.Counterpart)
	if err != nil {
		return nil, err
	}
	f.told = f.told || named
	s.looked("policy")
	f.attrs = map[string]any{"handling": []string{}}
	if f.own {
		f.event = doc.Facts.Event
		for k, v := range doc.Facts.Attributes {
			if v = policy.Native(v); v != nil {
				f.attrs[k] = v
			}
		}
		if f.bound, err = s.out.Bound(tx, doc, r.Counterpart); err != nil {
			return nil, err
		}
		f.attrs["handling"] = f.bound.Handling.Codes()
	}
	principal, err := s.out.Principal(tx, r.Counterpart)
	if err != nil {
		return nil, err
	}
	f.answer, f.share = s.decide(tx, r, f, principal, policy.Answer), s.decide(tx, r, f, principal, policy.Share)
	f.policies = append(desk.PolicyRefs(f.answer), desk.PolicyRefs(f.share)...)
	s.looked("blobs")
	f.there = len(f.behind.Files) > 0
	for _, file := range f.behind.Files {
		has, err := tx.HasBlob(file.Hash)
		if err != nil {
			return nil, err
		}
		f.there = f.there && has
	}
	return f, tx.Err()
}

// standing tells whether an own document is still published.
func standing(doc *dispatch.Record) bool { return doc.Status == dispatch.Own }

func (s *Service) decide(tx *store.Tx, r *Request, f *findings, principal policy.Principal, action policy.Action) policy.Decision {
	attrs := map[string]any{"owner": string(s.desk.Country), "addressee": string(r.Counterpart)}
	for k, v := range f.attrs {
		attrs[k] = v
	}
	if !f.event.IsZero() {
		attrs["age_days"] = max(0, int64(tx.Now().Sub(f.event)/(24*time.Hour)))
	}
	return s.desk.Policy().Decide(policy.Request{Principal: principal, Action: action,
		Resource: policy.Resource{Type: policy.Scan, ID: r.Signature, Attributes: attrs}, Purpose: r.Purpose, Now: tx.Now(),
		Foreign: f.bound.Foreign, Permissions: f.bound.Permissions})
}

// Judge judges every request that is filed, the oldest first.
func (s *Service) Judge(ctx context.Context) error {
	for ctx.Err() == nil {
		var r *Request
		var f *findings
		err := s.desk.Store.View(func(tx *store.Tx) (err error) {
			for _, filed := range requests.ByPrefix(tx, "filed", "") {
				r = filed
				break
			}
			if r == nil || tx.Err() != nil {
				return tx.Err()
			}
			f, err = s.look(tx, r)
			return err
		})
		if err != nil {
			return fmt.Errorf("judge scan request: %w", err)
		}
		if r == nil {
			return nil
		}
		if err := s.settle(ctx, r, f); err != nil {
			return fmt.Errorf("judge scan request %s of %s: %w", r.Number, r.Counterpart, err)
		}
	}
	return ctx.Err()
}

// settle writes down what becomes of a filed request, by what is found once more: the exhibit may have been withdrawn since f was. Where other scans would be
// released than were measured, the request stays filed and is judged again.
func (s *Service) settle(ctx context.Context, r *Request, f *findings) error {
	var made []protocol.ReleasedScan
	unusable := false
	if judge(s.desk.Country, f).outcome == permit {
		var err error
		switch made, err = s.measure(f.behind.Files); {
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrCorrupt), errors.Is(err, desk.ErrConflict): // one request must not hold up the others
			s.desk.Log.Error("the scans behind a signature cannot be released", "signature", r.Signature, "error", err)
			unusable = true
		case err != nil:
			return err
		}
	}
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		r, err := requests.Get(tx, r.ID)
		if err != nil || r.State != Filed {
			return err
		}
		f, err := s.look(tx, r)
		if err != nil {
			return err
		}
		v := judge(s.desk.Country, f)
		if v.outcome == permit && unusable {
			v = verdict{code: protocol.ScanUnknown, ground: "no-scan"}
		}
		if v.outcome == permit && !same(made, f) {
			return nil
		}
		r.Ground, r.Policies, r.Exhibit, r.Case, r.Handling = v.ground, f.policies, f.behind.Exhibit, f.behind.Case, v.handling
		switch v.outcome {
		case refuse:
			s.refusing(tx, r, v.code, "", desk.Node.Name)
		case askPeople:
			r.State, r.Due = Awaiting, time.Time{}
			r.note(Step{Event: "two people are to decide", At: tx.Now(), By: desk.Node.Name})
			s.record(tx, r, protocol.ActConsult, desk.Node.Name, "scan request awaits the approval of two people", nil)
		case permit:
			err := s.release(tx, r, f, v, made, desk.Node)
			if errors.Is(err, desk.ErrForbidden) || errors.Is(err, desk.ErrInvalid) { // policy or roster changed in between
				r.Ground = "policy"
				s.refusing(tx, r, protocol.ScanPolicy, "", desk.Node.Name)
				err = nil
			}
			if err != nil {
				return err
			}
		}
		return requests.Put(tx, r.ID, r)
	})
}

// refusing settles a refusal, which leaves on its tick: never before one whole tick has passed since the request came, or since a person refused it.
func (s *Service) refusing(tx *store.Tx, r *Request, code, note, by string) {
	r.State = Refusing
	r.Refusal = &Refusal{Code: code, Note: note, By: by, At: tx.Now()}
	if r.Due.IsZero() || !r.Due.After(tx.Now()) {
		r.Due = s.due(tx.Now())
	}
	r.note(Step{Event: "to be refused: " + code + " (" + r.Ground + ")", At: tx.Now(), By: by, Note: note})
	s.entry(tx, r, protocol.AuditHeader{Action: protocol.ActDeny, Decision: "deny", Ground: r.Ground}, by, "scan not released",
		map[string]string{"told": code, "due": r.Due.Format(time.RFC3339)})
	tx.OnCommit(func() { signal(s.wake) })
}
