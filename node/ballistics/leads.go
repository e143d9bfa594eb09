package ballistics

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// ReleaseLead sends a lead that two people of this side found: a person's own act, never the software's.
func (s *Service) ReleaseLead(ctx context.Context, who desk.Actor, key, pair, narrative string) (*Lead, error) {
	act := onCandidate(desk.Act{Actor: who, Key: key, Action: policy.LeadRelease, Request: []string{pair, narrative}}, pair)
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Lead, error) {
		c, err := findCandidate(tx, pair)
		if err != nil {
			return nil, err
		}
		if c.Outcome != protocol.VerdictLead {
			return nil, desk.Conflict("candidate %s is not a lead: its review stands at %q; a lead needs the verdict \"lead\" of two people", c.Pair[:12], c.state())
		}
		if c.Country == s.desk.Country {
			return nil, desk.Conflict("both exhibits are this country's own: there is nobody to notify")
		}
		lead, err := leads.Get(tx, c.Pair)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if lead != nil && lead.Sent != nil && lead.Sent.Retracted.IsZero() {
			if narrative != "" && narrative != lead.Sent.Body.Narrative {
				return nil, desk.Conflict("lead %s was released on %s by %s with another narrative, and stands as it was sent: `proofmark lead retract %s`, and release it again, or say it to the bureau of %s",
					lead.Sent.Body.Number, lead.Sent.At.Format(time.DateOnly), lead.Sent.By, c.Pair[:12], lead.Counterpart)
			}
			return lead, nil // released before
		}
		if lead != nil && lead.Counterpart != c.Country {
			return nil, desk.Conflict("the lead of this pair is with %s, the candidate with %s: report this to the administrator", lead.Counterpart, c.Country)
		}
		own, other, err := sides(tx, c)
		switch {
		case err != nil:
			return nil, err
		case !own.Withdrawn.IsZero():
			return nil, desk.Conflict("the signature of exhibit %s was withdrawn on %s: nothing about it leaves this country any more", own.Number, own.Withdrawn.Format(time.DateOnly))
		case !other.Withdrawn.IsZero():
			return nil, desk.Conflict("%s withdrew the signature that this candidate rests on, on %s: ask its bureau before anything is said about it", other.Country, other.Withdrawn.Format(time.DateOnly))
		}
		return s.sendLead(tx, who, c, lead, narrative)
	})
}

func (s *Service) sendLead(tx *store.Tx, who desk.Actor, c *Candidate, lead *Lead, narrative string) (*Lead, error) {
	own, other, err := sides(tx, c)
	if err != nil {
		return nil, err
	}
	rank, err := rankOf(tx, own.ID, c.Pair)
	if err != nil {
		return nil, err
	}
	number, err := desk.NextNumber(tx, s.desk.Country, "L")
	if err != nil {
		return nil, err
	}
	first, second := leadReviews(c.Reviews)
	handling := protocol.UnionHandling(c.Handling.OwnedBy(s.desk.Country), own.handling(), other.handling())
	body := &protocol.LeadBody{Number: number, Pair: c.Pair, Own: protocol.LeadParty{Country: string(own.Country), Origin: own.Origin, Signature: own.ID}, Other: leadSide(other),
		Agency: own.Agency, CaseReference: own.Case, ExhibitNumber: own.Number, ROI: string(c.ROI), Calibre: own.Class.Calibre,
		Algorithm: c.Algorithm, Score: c.Score, LikelihoodRatio: c.LikelihoodRatio, Rank: rank, PrimaryReview: first.At, SecondaryReview: second.At,
		Reviewers: []string{first.By, second.By}, Preserve: true, Caveat: protocol.Caveat, Occurred: own.Occurred, Offence: own.Offence, Place: own.Place,
		Narrative: narrative}
	if body.LinkedCases, err = s.linkedCases(tx, own); err != nil {
		return nil, err
	}
	if own.Origin == protocol.TestFire {
		if e, err := exhibits.Get(tx, own.Exhibit); err == nil {
			if f, err := recovered(tx, e.Firearm); err == nil {
				body.Firearm = &f.FirearmDescription
			}
		}
	}
	facts := dispatch.Facts{To: c.Country, Purpose: Purpose, Kind: policy.Lead, Object: c.Pair, Case: own.Case, Actor: who.Name, TwoPeople: true,
		Attributes: map[string]any{"calibre": own.Class.Calibre, "offence": own.Offence, "origin": own.Origin},
		Handling:   handling, Based: foreignDocuments(own, other)}
	id, err := s.out.Issue(tx, protocol.TypeLead, body, facts)
	if err != nil {
		return nil, err
	}
	if lead == nil {
		lead = &Lead{Pair: c.Pair, Counterpart: c.Country, Own: leadSide(own), State: LeadReleased}
	} else if lead.State == LeadRetracted {
		lead.State = LeadReleased
	}
	lead.Handling = protocol.UnionHandling(lead.Handling, handling)
	lead.Sent = &Notice{Document: id, Body: *body, At: tx.Now(), By: who.Name, Withheld: ofSide(other.Withheld)}
	lead.stamp(tx, "released", who.Name, s.desk.Country)
	tx.Audit(s.leadEntry(lead, who.Name, protocol.ActCombine, "lead released"))
	return lead, leads.Put(tx, c.Pair, lead)
}

// leadReviews picks the two reviews that agreed on a lead.
func leadReviews(reviews []Review) (first, second Review) {
	var agreed []Review
	for _, r := range reviews {
		if r.Verdict == protocol.VerdictLead {
			agreed = append(agreed, r)
		}
	}
	return agreed[0], agreed[1]
}

// linkedCases lists this country's other cases that are linked to the same exhibit by a decided lead.
func (s *Service) linkedCases(tx *store.Tx, own *Signature) ([]string, error) {
	var out []string
	for _, c := range candidates.ByPrefix(tx, "ranked", own.ID+"/") {
		if c.Outcome != protocol.VerdictLead || c.Country != s.desk.Country {
			continue
		}
		for _, id := range []string{c.A, c.B} {
			sig, err := signatures.Get(tx, id)
			if err != nil {
				return nil, err
			}
			if id != own.ID && sig.Own && sig.Case != own.Case && !slices.Contains(out, sig.Case) {
				out = append(out, sig.Case)
			}
		}
	}
	sort.Strings(out)
	return out, tx.Err()
}

// sides returns a candidate's own signature and the other one.
func sides(tx *store.Tx, c *Candidate) (own, other *Signature, err error) {
	if own, err = signatures.Get(tx, c.A); err != nil {
		return nil, nil, err
	}
	if other, err = signatures.Get(tx, c.B); err != nil {
		return nil, nil, err
	}
	if !own.Own {
		own, other = other, own
	}
	return own, other, nil
}

func leadSide(s *Signature) protocol.LeadSide {
	return protocol.LeadSide{Country: string(s.Country), Agency: s.Agency, CaseReference: s.Case, ExhibitNumber: s.Number, Origin: s.Origin, Signature: s.ID}
}

// sideFields are the fields of a lead's side, in the order of their names.
var sideFields = []string{"agency", "case_reference", "exhibit_number"}

// ofSide is what of a side is withheld.
func ofSide(withheld []string) []string { return protocol.StillWithheld(sideFields, withheld) }

// AcknowledgeLead says to the sender of a lead that a person here took it up, and discloses this side's case.
func (s *Service) AcknowledgeLead(ctx context.Context, who desk.Actor, key, pair, note string) (*Lead, error) {
	return s.onLead(ctx, who, key, pair, policy.LeadAcknowledge, note, func(tx *store.Tx, lead *Lead) error {
		if lead.Received == nil || !lead.Received.Retracted.IsZero() {
			return desk.Conflict("there is no lead of %s to acknowledge for this pair", lead.Counterpart)
		}
		if !lead.Received.Acknowledged.IsZero() {
			return nil
		}
		body := &protocol.LeadAckBody{Lead: lead.Received.Document, Pair: lead.Pair, CaseReference: lead.Own.CaseReference, ExhibitNumber: lead.Own.ExhibitNumber, Note: note}
		id, err := s.out.Issue(tx, protocol.TypeLeadAck, body, s.directed(lead, who, policy.LeadAck))
		if err != nil {
			return err
		}
		lead.Received.AckDocument = id
		lead.Received.Acknowledged, lead.Received.AckBy, lead.Received.AckNote = tx.Now(), who.Name, note
		if lead.State == LeadReceived {
			lead.State = LeadAcknowledged
		}
		lead.stamp(tx, "acknowledged", who.Name, s.desk.Country)
		tx.Audit(s.leadEntry(lead, who.Name, protocol.ActAlter, "lead acknowledged"))
		return nil
	})
}

// RetractLead takes back a lead that this side sent.
func (s *Service) RetractLead(ctx context.Context, who desk.Actor, key, pair, reason string) (*Lead, error) {
	if err := needed("reason", reason); err != nil {
		return nil, err
	}
	return s.onLead(ctx, who, key, pair, policy.LeadRetract, reason, func(tx *store.Tx, lead *Lead) error {
		if lead.Sent == nil {
			return desk.Conflict("this side sent no lead for this pair; only the sender can retract")
		}
		if !lead.Sent.Retracted.IsZero() {
			return nil
		}
		if lead.Hit != nil {
			return desk.Conflict("the lead was confirmed as a hit: it cannot be retracted")
		}
		body := &protocol.LeadRetractionBody{Lead: lead.Sent.Document, Pair: lead.Pair, Reason: reason}
		if _, err := s.out.Issue(tx, protocol.TypeLeadRetraction, body, s.directed(lead, who, policy.LeadRetraction)); err != nil {
			return err
		}
		lead.Sent.Retracted, lead.Sent.Reason = tx.Now(), reason
		lead.afterRetraction()
		lead.stamp(tx, "retracted", who.Name, s.desk.Country)
		tx.Audit(s.leadEntry(lead, who.Name, protocol.ActAlter, "lead retracted"))
		return nil
	})
}

// GiveFeedback tells the sender of a lead what came of it.
func (s *Service) GiveFeedback(ctx context.Context, who desk.Actor, key, pair, code, note string) (*Lead, error) {
	if !slices.Contains(protocol.FeedbackCodes, code) {
		return nil, desk.Invalid("feedback %.40q is not one of %v", code, protocol.FeedbackCodes)
	}
	return s.onLead(ctx, who, key, pair, policy.GiveFeedback, code+"\x00"+note, func(tx *store.Tx, lead *Lead) error {
		if lead.Received == nil {
			return desk.Conflict("%s sent no lead for this pair: feedback goes to the sender of a lead", lead.Counterpart)
		}
		for _, f := range lead.Feedback {
			if f.From == s.desk.Country && f.Code == code && f.Note == note {
				return nil
			}
		}
		body := &protocol.FeedbackBody{Lead: lead.Received.Document, Pair: lead.Pair, Code: code, Note: note}
		id, err := s.out.Issue(tx, protocol.TypeFeedback, body, s.directed(lead, who, policy.Feedback))
		if err != nil {
			return err
		}
		lead.Feedback = append(lead.Feedback, Feedback{From: s.desk.Country, Code: code, Note: note, At: tx.Now(), By: who.Name, Document: id})
		lead.stamp(tx, "feedback "+code, who.Name, s.desk.Country)
		tx.Audit(s.leadEntry(lead, who.Name, protocol.ActAlter, "feedback given"))
		return nil
	})
}

// onLead runs one act on a lead and keeps the lead.
func (s *Service) onLead(ctx context.Context, who desk.Actor, key, pair string, action policy.Action, request any, change func(tx *store.Tx, lead *Lead) error) (*Lead, error) {
	act := desk.Act{Actor: who, Key: key, Action: action, Purpose: Purpose, Request: []any{pair, request}, Resource: policy.Resource{Type: policy.Lead, ID: asked(pair)},
		Hidden: &desk.Hidden{Absent: noLead(pair), View: policy.LeadView},
		Describe: func(tx *store.Tx) (policy.Resource, error) {
			lead, err := findLead(tx, pair)
			if err != nil {
				return policy.Resource{}, err
			}
			attrs := map[string]any{"handling": lead.Handling.Codes()}
			if lead.Confirmation != nil {
				attrs["reviewers"] = []string{lead.Confirmation.By}
			}
			return policy.Resource{Type: policy.Lead, ID: lead.Pair, Attributes: attrs}, nil
		}}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Lead, error) {
		lead, err := findLead(tx, pair)
		if err != nil {
			return nil, err
		}
		if err := change(tx, lead); err != nil {
			return nil, err
		}
		return lead, leads.Put(tx, lead.Pair, lead)
	})
}

// Leads lists the leads of both directions, the latest event first.
func (s *Service) Leads(ctx context.Context, who desk.Actor) ([]*Lead, error) {
	act := desk.Act{Actor: who, Action: policy.LeadView, Resource: policy.Resource{Type: policy.Lead}, Purpose: Purpose}
	return desk.Read(ctx, s.desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.Lead, Event: "leads listed"}},
		func(tx *store.Tx) ([]*Lead, error) {
			out, err := all(tx, leads)
			sort.SliceStable(out, func(i, j int) bool {
				a, b := out[i].Timeline, out[j].Timeline
				return a[len(a)-1].At.After(b[len(b)-1].At)
			})
			return out, err
		})
}

// Lead shows one lead by its pair, the beginning of it, or a lead number of either side.
func (s *Service) Lead(ctx context.Context, who desk.Actor, ref string) (*Lead, error) {
	act := desk.Act{Actor: who, Action: policy.LeadView, Resource: policy.Resource{Type: policy.Lead, ID: ref}, Purpose: Purpose}
	return desk.Read(ctx, s.desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.Lead, Object: ref, Event: "lead viewed"}},
		func(tx *store.Tx) (*Lead, error) { return findLead(tx, ref) })
}

// findLead accepts what people type: a number that this country gave, one that the other country gave, the pair, or an unambiguous beginning of it.
func findLead(tx *store.Tx, ref string) (*Lead, error) {
	if lead, err := leads.Get(tx, ref); err == nil {
		return lead, nil
	}
	var own, theirs, pairs []*Lead
	for _, l := range leads.All(tx) {
		switch {
		case l.Sent != nil && l.Sent.Body.Number == ref:
			own = append(own, l)
		case l.Received != nil && l.Received.Body.Number == ref:
			theirs = append(theirs, l)
		case len(ref) >= 6 && strings.HasPrefix(l.Pair, ref):
			pairs = append(pairs, l)
		}
	}
	if err := tx.Err(); err != nil {
		return nil, err
	}
	for _, found := range [][]*Lead{own, theirs, pairs} {
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return nil, desk.Invalid("%q names %d leads: give the whole pair, as `proofmark --json lead list` shows it", ref, len(found))
		}
	}
	return nil, noLead(ref)
}

func noLead(ref string) error {
	return desk.Absent(ref, "lead", "lead list")
}

// directed says what policy and log must know of a document about a lead.
func (s *Service) directed(lead *Lead, who desk.Actor, kind string) dispatch.Facts {
	return dispatch.Facts{To: lead.Counterpart, Purpose: Purpose, Kind: kind, Object: lead.Pair, Actor: who.Name,
		Handling: lead.Handling, Based: lead.foreignDocuments(s.desk.Country)}
}

// foreignDocuments are those of two signatures that came from abroad.
func foreignDocuments(sides ...*Signature) []string {
	var out []string
	for _, s := range sides {
		if !s.Own {
			out = append(out, s.ID)
		}
	}
	return out
}

// foreignDocuments are those that a lead rests on and another country issued.
func (l *Lead) foreignDocuments(own protocol.Country) []string {
	var out []string
	for _, id := range slices.Concat(leadSignatures(l), leadDocuments(l)) {
		if protocol.CheckDocumentID(id, own) != nil {
			out = append(out, id)
		}
	}
	return out
}

func (l *Lead) stamp(tx *store.Tx, event, by string, country protocol.Country) {
	l.Timeline = append(l.Timeline, Stamp{Event: event, At: tx.Now(), By: by, Country: country})
}

// afterRetraction: a lead that crossed with one of the other side still stands.
func (l *Lead) afterRetraction() {
	standing := func(n *Notice) bool { return n != nil && n.Retracted.IsZero() }
	switch {
	case l.State == LeadHit:
	case standing(l.Sent):
		l.State = LeadReleased
		if !l.Sent.Acknowledged.IsZero() {
			l.State = LeadAcknowledged
		}
	case standing(l.Received):
		l.State = LeadReceived
		if !l.Received.Acknowledged.IsZero() {
			l.State = LeadAcknowledged
		}
	default:
		l.State = LeadRetracted
	}
}

func (s *Service) leadEntry(lead *Lead, actor string, action protocol.AuditAction, event string) protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: action, Counterpart: string(lead.Counterpart), Decision: "permit", Ground: "policy"},
		AuditBody: protocol.AuditBody{Actor: actor, Kind: policy.Lead, Object: lead.Pair, Event: event, Purpose: Purpose, Handling: lead.Handling.Codes(),
			Details: map[string]string{"state": string(lead.State)}},
	}
}
