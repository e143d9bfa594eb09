package tracing

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Answer is what a person answers to an incoming trace request: from a record, or with an outcome and its reasons.
type Answer struct {
	Record        string   `json:"record,omitempty"`  // own firearm record, by reference or id
	Outcome       string   `json:"outcome,omitempty"` // COMPLETED if left empty and a record is named
	Reasons       []string `json:"reasons,omitempty"`
	Diversion     string   `json:"point_of_diversion,omitempty"` // from the record's chain of custody if left empty
	WithPurchaser bool     `json:"with_purchaser,omitempty"`     // the first purchaser's name is personal data: it leaves only if the person says so
	Note          string   `json:"note,omitempty"`
	// BasedOn are traces and documents of other countries that the answer was made of beside the own records: what their owners demand binds it.
	BasedOn []string `json:"based_on,omitempty"`
}

// check reports what a person must add or change.
func (a Answer) check() error {
	switch {
	case a.Record == "" && a.Outcome == "":
		return desk.Invalid("an answer names the record that the firearm was found in, or an outcome (%s) with its reasons", strings.Join(protocol.TraceOutcomes, ", "))
	case !slices.Contains(protocol.TraceOutcomes, cmp.Or(a.Outcome, "COMPLETED")):
		return desk.Invalid("outcome %s is not one of %s", shorten(a.Outcome), strings.Join(protocol.TraceOutcomes, ", "))
	case a.Record == "" && a.Outcome == "COMPLETED":
		return desk.Invalid("a completed trace names the record that it was found in")
	case a.Record != "" && a.Outcome == "UNSUCCESSFUL":
		return desk.Invalid("an unsuccessful trace names no record: answer PARTIAL, or leave the record out")
	case a.Record == "" && len(a.Reasons) == 0:
		return desk.Invalid("an answer without a record says why: reasons are %s", strings.Join(protocol.TraceReasons, ", "))
	}
	return nil
}

// Answer sends the answer to an incoming trace request that has been acknowledged. Policy is asked whether this country answers that one.
func (s *Service) Answer(ctx context.Context, who desk.Actor, key, ref string, a Answer) (*Trace, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	act := s.act(who, key, policy.TraceRespond, ref, []any{ref, a})
	return s.answering(ctx, act, ref, func(tx *store.Tx, tr *Trace) error {
		if tr.State == Submitted {
			return desk.Conflict("trace %s is not acknowledged yet: `proofmark trace ack %s` tells %s that it is looked at", tr.Number, tr.Number, tr.Counterpart)
		}
		body, err := compose(tx, tr, a)
		if err != nil {
			return err
		}
		more, based, err := s.basis(tx, a.BasedOn)
		if err != nil {
			return err
		}
		tr.Handling, tr.Based = protocol.UnionHandling(tr.Handling, more), append(tr.Based, based...)
		handling, two, err := s.mayAnswer(tx, tr)
		if err != nil {
			return err
		}
		event := answers[body.Outcome]
		if tr.State == Acknowledged {
			if err := tr.advance(Begin, Step{At: tx.Now(), By: who.Name}); err != nil {
				return err
			}
		}
		if _, err := next(tr.State, event); err != nil {
			return desk.Conflict("trace %s: %v", tr.Number, err)
		}
		facts := s.facts(tr, who)
		facts.Handling, facts.NeedsTwo = handling, two
		doc, err := s.out.Issue(tx, protocol.TypeTraceAnswer, body, facts)
		if err != nil {
			return err
		}
		tr.Answer, tr.Record = body, body.Record
		s.record(tx, tr, protocol.ActAlter, who, "trace request answered: "+body.Outcome, doc)
		if err := tr.advance(event, Step{At: tx.Now(), By: who.Name, Note: a.Note, Document: doc}); err != nil {
			return err
		}
		return s.noteWait(tx, tr, doc)
	})
}

// compose makes the answer's body from the record that the person picked.
func compose(tx *store.Tx, tr *Trace, a Answer) (*protocol.TraceAnswerBody, error) {
	body := &protocol.TraceAnswerBody{Request: tr.ID, Outcome: cmp.Or(a.Outcome, "COMPLETED"), Reasons: a.Reasons, Diversion: a.Diversion, Note: a.Note}
	if a.Record == "" {
		return body, nil
	}
	f, err := Lookup(tx, a.Record)
	if err != nil {
		return nil, err
	}
	body.Firearm, body.Record, body.Status = &f.FirearmDescription, f.Reference, f.Status
	body.Chain = forAnswer(f.Custody, a.WithPurchaser)
	body.TimeToCrime = timeToCrime(tr.Request.RecoveryDate, f.FirstRetailSale)
	body.Diversion = cmp.Or(a.Diversion, diversion(f))
	return body, nil
}

// mayAnswer asks policy whether this country answers the requester, and returns the handling codes that the answer must carry, and
// whether two people must approve it first.
func (s *Service) mayAnswer(tx *store.Tx, tr *Trace) (handling protocol.Handling, two bool, err error) {
	principal, err := s.out.Principal(tx, tr.Counterpart)
	if err != nil {
		return nil, false, err
	}
	dec := s.desk.Policy().Decide(policy.Request{
		Principal: principal,
		Action:    policy.Answer,
		Resource:  policy.Resource{Type: policy.TraceRequest, ID: tr.ID, Attributes: s.attributes(tr)},
		Purpose:   Purpose,
		Now:       tx.Now(),
	})
	switch {
	case len(dec.Errors) > 0:
		return nil, false, desk.Withheld(tr.Counterpart, dec, "the policy on answering %s could not be evaluated: %s", tr.Counterpart, strings.Join(dec.Errors, "; "))
	case !dec.Allow:
		return nil, false, desk.Withheld(tr.Counterpart, dec, "policy does not let trace requests of %s be answered (%s)", tr.Counterpart, cmp.Or(strings.Join(desk.PolicyRefs(dec), ", "), "no policy permits it"))
	}
	handling = protocol.UnionHandling(tr.Handling, protocol.MarkedBy(s.desk.Country, dec.Obligations.Handling...))
	return handling, dec.Obligations.Approval == policy.TwoPerson, nil
}
