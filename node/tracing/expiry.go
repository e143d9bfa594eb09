package tracing

import (
	"errors"

	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// endRequest ends a trace request. One of another country that nobody answered goes whole, with the own records that were proposed for it. What was
// answered stays as this country's record of what it disclosed, without the people and the circumstances of the case abroad. An own request that was
// withdrawn is marked.
func (s *Service) endRequest(tx *store.Tx, e dispatch.Ending) ([]protocol.Remainder, error) {
	tr, err := traces.Get(tx, e.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && (e.Own != (tr.Direction == Outgoing) || !e.Own && tr.Counterpart != e.Issuer) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ended := endedBy(e)
	switch {
	case e.Own, e.Held:
		if !tr.SourceWithdrawn.IsZero() {
			return nil, nil
		}
	case tr.Answer == nil:
		return nil, traces.Delete(tx, tr.ID)
	default:
		r := &tr.Request
		r.LegalJustification, r.Circumstances, r.IntendedUse, r.PriorityReason, r.Narrative, r.Officer, r.Possessor = "", "", "", "", "", "", ""
		r.RecoveryPlace, r.RecoveryDate, tr.Matches, tr.MatchNote, tr.Advice = "", nil, nil, "", nil
	}
	s.ended(tx, tr, e, ended)
	stays := []protocol.Remainder{{What: "trace", Reference: tr.Number, Ground: protocol.GroundOwnRecord, Note: "what was answered"}}
	if e.Own || e.Held {
		stays = nil
	}
	return stays, traces.Put(tx, tr.ID, tr)
}

// endAnswer ends the answer to a request of this country: its content goes, that there was one stays in the own trace. An own answer that was withdrawn
// is marked.
func (s *Service) endAnswer(tx *store.Tx, e dispatch.Ending) ([]protocol.Remainder, error) {
	if e.Document == nil {
		return nil, nil // what is not held any more was erased with its content
	}
	body, err := protocol.BodyOf[protocol.TraceAnswerBody](e.Document)
	if err != nil {
		return nil, nil // nothing was made of what cannot be read
	}
	tr, err := traces.Get(tx, body.Request)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!tr.knows(e.ID) || !e.Own && tr.Counterpart != e.Issuer) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !e.Own && !e.Held {
		tr.Answer, tr.AnswerWithheld = nil, nil
		for i := range tr.Timeline {
			if tr.Timeline[i].Document == e.ID {
				tr.Timeline[i].Note = ""
			}
		}
	}
	if e.Own && e.NeverSent { // it can be answered otherwise
		tr.State, tr.Answer, tr.Record = InProgress, nil, ""
		tr.note(endedBy(e), Step{At: tx.Now(), Country: e.Issuer, Note: "before it was sent"})
		return nil, traces.Put(tx, tr.ID, tr)
	}
	s.ended(tx, tr, e, endedBy(e))
	var stays []protocol.Remainder
	if !e.Own && !e.Held {
		stays = append(stays, protocol.Remainder{What: "trace", Reference: tr.Number, Ground: protocol.GroundOwnRecord, Note: "without the answer"})
	}
	return stays, traces.Put(tx, tr.ID, tr)
}

// ended marks a trace and puts the end of a document into its timeline.
func (s *Service) ended(tx *store.Tx, tr *Trace, e dispatch.Ending, what Event) {
	if e.Cause == dispatch.CauseWithdrawn {
		tr.SourceWithdrawn = tx.Now()
	}
	tr.note(what, Step{At: tx.Now(), Country: e.Issuer, Note: e.Reason})
}

func endedBy(e dispatch.Ending) Event {
	what := "request"
	if e.Type == protocol.TypeTraceAnswer {
		what = "answer"
	}
	if e.Cause == dispatch.CauseWithdrawn {
		return Event(what + " withdrawn")
	}
	return Event(what + " erased: its retention ended")
}
