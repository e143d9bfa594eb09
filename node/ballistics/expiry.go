package ballistics

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// endSignature erases a foreign signature whose document ends: its bytes, gallery entry, job, and the candidates that nobody reviewed. What people
// reviewed, and leads and hits already exchanged, are this country's own case records: they stay, marked where the owner withdrew their source. An own
// signature that was withdrawn stays in this country's own casework and is marked: nothing about it leaves any more.
func (s *Service) endSignature(tx *store.Tx, e dispatch.Ending) ([]protocol.Remainder, error) {
	sig, err := signatures.Get(tx, e.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if sig != nil && (sig.Own != e.Own || sig.Country != e.Issuer) {
		return nil, nil // not that country's
	}
	var stays []protocol.Remainder
	if sig != nil {
		reviewed, err := s.endHeld(tx, sig, e)
		if err != nil {
			return nil, err
		}
		if reviewed {
			stays = append(stays, protocol.Remainder{What: "review", Ground: protocol.GroundOwnRecord, Note: "without the signature"})
		}
	}
	if e.Own || e.Cause != dispatch.CauseWithdrawn {
		return stays, nil
	}
	marked, err := s.markLeads(tx, "signature", e, func(l *Lead) bool { return l.Counterpart == e.Issuer }, "signature withdrawn by its owner")
	return append(stays, marked...), err
}

// endHeld erases or marks a signature that is here; reviewed tells that people reviewed a candidate of it, which stays.
func (s *Service) endHeld(tx *store.Tx, sig *Signature, e dispatch.Ending) (reviewed bool, err error) {
	if e.Cause == dispatch.CauseWithdrawn && sig.Withdrawn.IsZero() {
		sig.Withdrawn = tx.Now()
		if err := s.endReviews(tx, sig); err != nil {
			return false, err
		}
	}
	if e.Own {
		return false, signatures.Put(tx, sig.ID, sig)
	}
	if has, err := jobs.Has(tx, sig.ID); err != nil {
		return false, err
	} else if has {
		if err := jobs.Delete(tx, sig.ID); err != nil {
			return false, err
		}
	}
	tx.OnCommit(func() { s.index.Release(sig.ID) })
	if e.Held {
		return false, signatures.Put(tx, sig.ID, sig)
	}
	var open []string
	for pair, c := range candidates.ByPrefix(tx, "ranked", sig.ID+"/") {
		if len(c.Reviews) == 0 {
			open = append(open, pair)
		} else {
			reviewed = true
		}
	}
	if err := tx.Err(); err != nil {
		return false, err
	}
	for _, pair := range open {
		if err := candidates.Delete(tx, pair); err != nil {
			return false, err
		}
	}
	if !reviewed {
		return false, signatures.Delete(tx, sig.ID)
	}
	// What people reviewed stays; the facts it rests on are kept with the review, not the signature's bytes.
	sig.Bytes, sig.Expires = nil, time.Time{}
	return true, signatures.Put(tx, sig.ID, sig)
}

// endReviews takes the undecided candidates across a border of a withdrawn signature off the worklist: no lead can come of them.
func (s *Service) endReviews(tx *store.Tx, sig *Signature) error {
	var open []*Candidate
	for _, c := range candidates.ByPrefix(tx, "ranked", sig.ID+"/") {
		if c.Outcome == "" && c.Country != s.desk.Country && c.SourceWithdrawn.IsZero() {
			open = append(open, c)
		}
	}
	if err := tx.Err(); err != nil {
		return err
	}
	for _, c := range open {
		c.SourceWithdrawn = sig.Withdrawn
		if err := candidates.Put(tx, c.Pair, c); err != nil {
			return err
		}
	}
	return nil
}

// restricted tells that a signature may not be compared: its owner withdrew it, and a legal hold keeps it, or nothing of it but facts is left.
func (s *Signature) restricted() bool { return s.Bytes == nil || !s.Own && !s.Withdrawn.IsZero() }

// markLeads marks the leads found under the ended document in an index, and names them.
func (s *Service) markLeads(tx *store.Tx, index string, e dispatch.Ending, takes func(l *Lead) bool, event string) ([]protocol.Remainder, error) {
	var found []*Lead
	for _, l := range leads.By(tx, index, e.ID) {
		if takes(l) {
			found = append(found, l)
		}
	}
	if err := tx.Err(); err != nil {
		return nil, err
	}
	var stays []protocol.Remainder
	for _, l := range found {
		stays = append(stays, l.remainder())
		if slices.ContainsFunc(l.Timeline, func(st Stamp) bool { return st.Event == event && st.Country == e.Issuer }) && !l.SourceWithdrawn.IsZero() {
			continue // marked before
		}
		l.sourceWithdrawn(tx, event, e.Issuer)
		if err := leads.Put(tx, l.Pair, l); err != nil {
			return nil, err
		}
	}
	return stays, nil
}

func (l *Lead) sourceWithdrawn(tx *store.Tx, event string, by protocol.Country) {
	if l.SourceWithdrawn.IsZero() {
		l.SourceWithdrawn = tx.Now()
	}
	l.stamp(tx, event, "", by)
}

// remainder names a lead, or the hit that it became, by the numbers that both sides know.
func (l *Lead) remainder() protocol.Remainder {
	r := protocol.Remainder{What: "lead", Ground: protocol.GroundOwnRecord, Note: "marked: source withdrawn"}
	if l.Hit != nil {
		r.What = "hit"
	}
	for _, n := range []*Notice{l.Sent, l.Received} {
		if n != nil {
			r.Reference = n.Body.Number
		}
	}
	return r
}

// endLead ends a lead notification. The lead is a case record of both countries and stays. Withdrawn, it does not stand any more and is marked; once its
// retention has ended, what the sender disclosed of its case beside the link itself is blanked.
func (s *Service) endLead(tx *store.Tx, e dispatch.Ending) ([]protocol.Remainder, error) {
	var found []*Lead
	for _, l := range leads.By(tx, "document", e.ID) {
		if e.Own || l.Counterpart == e.Issuer {
			found = append(found, l)
		}
	}
	if err := tx.Err(); err != nil {
		return nil, err
	}
	var stays []protocol.Remainder
	for _, l := range found {
		n := l.notice(e.ID, e.Own)
		if n == nil {
			continue
		}
		if e.Cause == dispatch.CauseWithdrawn {
			stays = append(stays, l.remainder())
			if !n.Withdrawn.IsZero() {
				continue
			}
			n.Withdrawn = tx.Now()
			if n.Retracted.IsZero() {
				n.Retracted, n.Reason = tx.Now(), "withdrawn: "+e.Reason
				l.afterRetraction()
			}
			if e.Own {
				l.stamp(tx, "lead document withdrawn", "", s.desk.Country)
			} else {
				l.sourceWithdrawn(tx, "lead document withdrawn by its sender", e.Issuer)
			}
		} else {
			b := &n.Body
			b.LikelihoodRatio, b.Firearm, b.Occurred, b.Narrative, b.Offence, b.Place, b.LinkedCases = nil, nil, nil, "", "", "", nil
			l.stamp(tx, "retention of the notification ended", "", "")
		}
		if err := leads.Put(tx, l.Pair, l); err != nil {
			return nil, err
		}
	}
	return stays, nil
}

// notice is the notification with a document's id: of this country where own, otherwise of the other one.
func (l *Lead) notice(document string, own bool) *Notice {
	if own {
		if l.Sent != nil && l.Sent.Document == document {
			return l.Sent
		}
		return nil
	}
	if l.Received != nil && l.Received.Document == document {
		return l.Received
	}
	for i := range l.Earlier {
		if l.Earlier[i].Document == document {
			return &l.Earlier[i]
		}
	}
	return nil
}

// endReply ends what was written about a lead: an acknowledgement, feedback or the report of a hit. The words of the first two go; that there was a hit
// stays, for both sides confirmed or reviewed it, and is marked.
func (s *Service) endReply(tx *store.Tx, e dispatch.Ending) ([]protocol.Remainder, error) {
	if e.Held || e.Document == nil {
		return nil, nil
	}
	pair, change, err := s.replyOf(e)
	if err != nil {
		return nil, nil // its body cannot be read: nothing was made of it
	}
	l, err := leads.Get(tx, pair)
	if errors.Is(err, store.ErrNotFound) || err == nil && !e.Own && l.Counterpart != e.Issuer {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !change(l) {
		return nil, nil
	}
	what := string(e.Type) + " " + string(e.Cause)
	if e.Cause == dispatch.CauseWithdrawn && e.Type == protocol.TypeHit && !e.Own {
		l.sourceWithdrawn(tx, what, e.Issuer)
	} else {
		l.stamp(tx, what, "", cmp.Or(e.Issuer, s.desk.Country))
	}
	var stays []protocol.Remainder
	if e.Type == protocol.TypeHit {
		stays = append(stays, l.remainder())
	}
	return stays, leads.Put(tx, l.Pair, l)
}

// replyOf reads which lead a reply is about, and returns what takes the reply out of it; change reports whether it was there.
func (s *Service) replyOf(e dispatch.Ending) (pair string, change func(l *Lead) bool, err error) {
	switch e.Type {
	case protocol.TypeLeadAck:
		b, err := protocol.BodyOf[protocol.LeadAckBody](e.Document)
		if err != nil {
			return "", nil, err
		}
		return b.Pair, func(l *Lead) bool {
			n := l.Sent
			if e.Own {
				n = l.Received
			}
			if n == nil || n.Document != b.Lead || n.Acknowledged.IsZero() {
				return false
			}
			if !e.Own {
				n.AckNote, n.OtherCase, n.OtherExhibit = "", "", ""
			}
			return true
		}, nil
	case protocol.TypeFeedback:
		b, err := protocol.BodyOf[protocol.FeedbackBody](e.Document)
		if err != nil {
			return "", nil, err
		}
		return b.Pair, func(l *Lead) bool {
			i := slices.IndexFunc(l.Feedback, func(f Feedback) bool { return f.Document == e.ID })
			if i >= 0 {
				l.Feedback = slices.Delete(l.Feedback, i, i+1)
			}
			return i >= 0
		}, nil
	}
	b, err := protocol.BodyOf[protocol.HitBody](e.Document)
	if err != nil {
		return "", nil, err
	}
	return b.Pair, func(l *Lead) bool { return l.Hit != nil && l.Hit.Document == e.ID }, nil
}

// leadSignatures are the signatures of a lead's two sides, under which it is found when one of them is withdrawn.
func leadSignatures(l *Lead) []string {
	out := []string{l.Own.Signature}
	if l.Sent != nil {
		out = append(out, l.Sent.Body.Other.Signature)
	}
	if l.Received != nil {
		out = append(out, l.Received.Body.Own.Signature)
	}
	return out
}

// leadDocuments are the notifications of a lead.
func leadDocuments(l *Lead) []string {
	var out []string
	for _, n := range []*Notice{l.Sent, l.Received} {
		if n != nil {
			out = append(out, n.Document)
		}
	}
	for i := range l.Earlier {
		out = append(out, l.Earlier[i].Document)
	}
	return out
}
