package ballistics

import (
	"context"
	"errors"
	"slices"
	"time"

	"proofmark/correlate"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// receiveSignature keeps a foreign signature with its expiry and queues its correlation with this country's own exhibits. Its bytes are validated by
// its region and algorithm first; one of an algorithm that is not known here is kept and said to be not comparable.
func (s *Service) receiveSignature(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.SignatureBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	roi, err := correlate.ParseROI(body.ROI)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	notCompared, err := judge(roi, body.Kind, body.Algorithm, body.Signature)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	sig := &Signature{ID: in.Document.ID, Country: in.From, Exhibit: body.Exhibit, ROI: roi, Kind: body.Kind, Origin: body.Origin,
		Class: classOf(body.Calibre, body.FiringPin, body.Pattern), Algorithm: body.Algorithm, Quality: body.Quality, Bytes: body.Signature,
		Handling: in.Handling(), Received: tx.Now(), Expires: in.Terms.RetainUntil,
		Withheld: in.Withheld(),
		Number:   body.ExhibitNumber, Case: body.CaseReference, Agency: body.Agency, Offence: body.Offence, Place: body.Place, Occurred: body.Occurred, Make: makeOf(body),
		NotCompared: notCompared}
	old, err := signatures.Get(tx, sig.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil {
		sig.Received = old.Received
		if (old.NotCompared == "") == (notCompared == "") { // a wider release, or the same again: the facts are brought up to date, nothing is compared twice
			return signatures.Put(tx, sig.ID, sig)
		}
	}
	if notCompared != "" {
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActReceive, Counterpart: string(in.From), Decision: "permit", Ground: "not-comparable"},
			AuditBody: protocol.AuditBody{Actor: desk.Node.Name, Kind: "signature", Object: sig.ID, Event: "signature kept, not compared", Purpose: Purpose,
				Handling: sig.Handling.Codes(), Details: map[string]string{"roi": string(roi), "algorithm": sig.Algorithm, "reason": notCompared}},
		})
		tx.OnCommit(func() {
			s.holdUncompared(sig)
			s.letGoErased(sig.ID) // what follows a later commit may have come first
		})
		return signatures.Put(tx, sig.ID, sig)
	}
	return s.enter(tx, sig)
}

// letGoErased lets go of a signature that was erased before it was held.
func (s *Service) letGoErased(id string) {
	if err := s.desk.Store.View(func(tx *store.Tx) error {
		sig, err := signatures.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) || err == nil && sig.restricted() {
			s.index.Release(id)
			return nil
		}
		return err
	}); err != nil {
		s.desk.Log.Warn("whether a signature is still here cannot be read", "signature", id, "error", err)
	}
}

// holdUncompared has the index count a signature that it cannot search. One that came under an algorithm then unknown may turn out to be none of it.
func (s *Service) holdUncompared(sig *Signature) {
	if err := s.index.Hold(entryOf(sig)); err != nil {
		s.desk.Log.Warn("a signature that is not compared cannot be held", "signature", sig.ID, "error", err)
	}
}

// readmit queues the signatures that were kept without being compared and now can be: this program knows more algorithms than the one before.
func (s *Service) readmit(ctx context.Context) error {
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		for _, sig := range signatures.ByPrefix(tx, "not-compared", "") {
			if sig.restricted() {
				continue // erased, or withdrawn
			}
			why, err := judge(sig.ROI, sig.Kind, sig.Algorithm, sig.Bytes)
			if err != nil {
				why = err.Error() // now that the algorithm is known, it turns out to be none of it
			}
			switch {
			case why == sig.NotCompared:
				continue
			case why != "":
				sig.NotCompared = why
				err = signatures.Put(tx, sig.ID, sig)
			default:
				sig.NotCompared = ""
				err = s.enter(tx, sig)
			}
			if err != nil {
				return err
			}
		}
		return tx.Err()
	})
}

// receiveLead takes in a lead of another country about one of this country's exhibits. A lead may overtake the signature it speaks of: leads travel on
// the urgent channel.
func (s *Service) receiveLead(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.LeadBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	if body.Own.Country != string(in.From) || body.Other.Country != string(s.desk.Country) {
		return desk.Invalid("lead %s links %s and %s, and came from %s", body.Number, body.Own.Country, body.Other.Country, in.From)
	}
	own, err := signatures.Get(tx, body.Other.Signature)
	if errors.Is(err, store.ErrNotFound) || err == nil && !own.Own {
		return desk.NotFound("lead %s speaks of the signature %s, which is not this country's", body.Number, body.Other.Signature)
	}
	if err != nil {
		return err
	}
	if other, err := signatures.Get(tx, body.Own.Signature); err == nil && other.Country != in.From {
		return desk.Invalid("lead %s speaks of a signature of %s as the sender's own", body.Number, other.Country)
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	lead, err := leads.Get(tx, body.Pair)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if lead == nil {
		lead = &Lead{Pair: body.Pair, Counterpart: in.From, Own: leadSide(own), State: LeadReceived}
	}
	if lead.Counterpart != in.From {
		return desk.Conflict("the lead of this pair is with %s", lead.Counterpart)
	}
	if n := lead.notice(in.Document.ID, false); n != nil { // a wider release, or the same again
		n.Body, n.Withheld = *body, in.Withheld()
		lead.Handling = protocol.UnionHandling(lead.Handling, in.Handling())
		return leads.Put(tx, lead.Pair, lead)
	}
	switch {
	case lead.Hit != nil:
		return desk.Conflict("this pair is a hit already")
	case lead.Received != nil && lead.Received.Retracted.IsZero():
		return desk.Conflict("lead %s of this pair stands: a new one takes its retraction first", lead.Received.Body.Number)
	case len(lead.Earlier) == maxEarlier:
		return desk.Conflict("%d leads of this pair were retracted already", maxEarlier)
	case lead.Received != nil:
		lead.Earlier = append(lead.Earlier, *lead.Received)
	}
	if lead.State == LeadRetracted {
		lead.State = LeadReceived
	}
	lead.Handling = protocol.UnionHandling(lead.Handling, own.handling(), in.Handling())
	lead.Received = &Notice{Document: in.Document.ID, Body: *body, At: tx.Now(), Withheld: in.Withheld()}
	lead.stamp(tx, "lead received", "", in.From)
	return leads.Put(tx, lead.Pair, lead)
}

// theirLead finds the lead that a document of its counterpart speaks of, and checks that it does.
func theirLead(tx *store.Tx, in dispatch.Received, pair, document string, mine func(l *Lead) *Notice) (*Lead, *Notice, error) {
	lead, err := leads.Get(tx, pair)
	if errors.Is(err, store.ErrNotFound) || err == nil && lead.Counterpart != in.From {
		return nil, nil, desk.NotFound("there is no lead between the two countries for the pair %.40s", pair)
	}
	if err != nil {
		return nil, nil, err
	}
	n := mine(lead)
	if n == nil || n.Document != document {
		return nil, nil, desk.Invalid("it speaks of the lead document %s, which is not the one exchanged for this pair", document)
	}
	return lead, n, nil
}

// What one pair may collect from the other side.
const (
	maxFeedback = 50
	maxEarlier  = 20
)

func sentNotice(l *Lead) *Notice     { return l.Sent }
func receivedNotice(l *Lead) *Notice { return l.Received }

func (s *Service) receiveAck(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.LeadAckBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	lead, n, err := theirLead(tx, in, body.Pair, body.Lead, sentNotice)
	if err != nil {
		return err
	}
	switch {
	case n.Acknowledged.IsZero():
		n.Acknowledged, n.AckDocument = tx.Now(), in.Document.ID
		if lead.State == LeadReleased {
			lead.State = LeadAcknowledged
		}
		lead.stamp(tx, "acknowledged", "", in.From)
	case n.AckDocument != in.Document.ID:
		return nil
	}
	n.AckNote, n.OtherCase, n.OtherExhibit = body.Note, body.CaseReference, body.ExhibitNumber
	n.Withheld = n.afterAck(in.Withheld())
	lead.Handling = protocol.UnionHandling(lead.Handling, in.Handling())
	return leads.Put(tx, lead.Pair, lead)
}

// afterAck is what the other country withholds of its side once it has acknowledged: what the acknowledgement tells, it told; its agency stands with the
// signature alone.
func (n *Notice) afterAck(withheld []string) []string {
	if slices.Contains(n.Withheld, "agency") {
		withheld = append([]string{"agency"}, withheld...)
	}
	known := n.Body.Other // a signature may have told what the acknowledgement does not
	return slices.DeleteFunc(withheld, func(f string) bool {
		return f == "case_reference" && known.CaseReference != "" || f == "exhibit_number" && known.ExhibitNumber != ""
	})
}

func (s *Service) receiveRetraction(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.LeadRetractionBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	lead, n, err := theirLead(tx, in, body.Pair, body.Lead, receivedNotice)
	if err != nil {
		return err
	}
	if !n.Retracted.IsZero() {
		return nil
	}
	n.Retracted, n.Reason = tx.Now(), body.Reason
	lead.afterRetraction()
	lead.Handling = protocol.UnionHandling(lead.Handling, in.Handling())
	lead.stamp(tx, "retracted by its sender", "", in.From)
	return leads.Put(tx, lead.Pair, lead)
}

func (s *Service) receiveFeedback(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.FeedbackBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	lead, _, err := theirLead(tx, in, body.Pair, body.Lead, sentNotice)
	if err != nil {
		return err
	}
	for i := range lead.Feedback {
		switch f := &lead.Feedback[i]; {
		case f.Document == in.Document.ID: // a wider release
			f.Note, f.Withheld = body.Note, in.Withheld()
			lead.Handling = protocol.UnionHandling(lead.Handling, in.Handling())
			return leads.Put(tx, lead.Pair, lead)
		case f.From == in.From && f.Code == body.Code && f.Note == body.Note && slices.Equal(f.Withheld, in.Withheld()):
			return nil
		}
	}
	if len(lead.Feedback) >= maxFeedback {
		return desk.Conflict("this lead has %d feedbacks already", maxFeedback)
	}
	lead.Feedback = append(lead.Feedback, Feedback{From: in.From, Code: body.Code, Note: body.Note, At: tx.Now(), Document: in.Document.ID, Withheld: in.Withheld()})
	lead.Handling = protocol.UnionHandling(lead.Handling, in.Handling())
	lead.stamp(tx, "feedback "+body.Code, "", in.From)
	return leads.Put(tx, lead.Pair, lead)
}

func (s *Service) receiveHit(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.HitBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	lead, err := leads.Get(tx, body.Pair)
	if errors.Is(err, store.ErrNotFound) || err == nil && lead.Counterpart != in.From {
		return desk.NotFound("there is no lead between the two countries for the pair %.40s", body.Pair)
	}
	if err != nil {
		return err
	}
	stands := func(n *Notice) bool { return n != nil && n.Document == body.Lead && n.Retracted.IsZero() }
	if !stands(lead.Sent) && !stands(lead.Received) {
		return desk.Invalid("it speaks of the lead document %s, which does not stand between the two countries", body.Lead)
	}
	// Held against the document's own time and not against this node's clock: a refusal is for good, and a clock can be set.
	if body.Verified.Before(body.Examined) || body.Verified.After(in.Document.Issued.Add(protocol.MaxClockSkew)) {
		return desk.Invalid("it was verified on %s: before the examination, or after the report itself was issued (%s)", body.Verified.Format(time.DateOnly), in.Document.Issued.UTC().Format(time.RFC3339))
	}
	if lead.Hit != nil && lead.Hit.Document != in.Document.ID {
		return nil // both sides confirmed: the first report stands
	}
	if lead.Hit != nil { // a wider release
		lead.Hit.HitBody, lead.Hit.Withheld = *body, in.Withheld()
		lead.Handling = protocol.UnionHandling(lead.Handling, in.Handling())
		return leads.Put(tx, lead.Pair, lead)
	}
	lead.Hit = &Hit{Document: in.Document.ID, From: in.From, HitBody: *body, At: tx.Now(), Withheld: in.Withheld()}
	lead.State = LeadHit
	lead.Handling = protocol.UnionHandling(lead.Handling, in.Handling())
	lead.stamp(tx, "hit reported", "", in.From)
	return leads.Put(tx, lead.Pair, lead)
}
