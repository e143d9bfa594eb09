package tracing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

const (
	maxMatches        = 20  // own records proposed for an incoming request
	examinedOnArrival = 500 // records compared for it (about 40 µs each)
)

// receiveRequest keeps a request of another country. It answers nothing and searches nothing: the receipt that goes back after it must not tell by its
// time whether, or how many, own records agree with a serial number. SearchArrived does that afterwards.
func (s *Service) receiveRequest(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.TraceRequestBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	tr, err := traces.Get(tx, in.Document.ID)
	switch {
	case err == nil:
		return s.widen(tx, tr, body, in)
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	if err := protocol.CheckNumber(body.Number, in.From, "T"); err != nil {
		return desk.Invalid("%v", err)
	}
	tr = &Trace{ID: in.Document.ID, Number: body.Number, Direction: Incoming, Counterpart: in.From, State: Draft, Request: *body, Withheld: in.Withheld(), Undisclosed: in.Document.Withheld,
		Handling: in.Handling(), RetainUntil: in.Terms.RetainUntil, Created: tx.Now(), Advice: adviceOn(body, in)}
	if err := tr.advance(Submit, Step{At: in.Document.Issued, Country: in.From, Document: tr.ID}); err != nil {
		return err
	}
	tr.note(received, Step{At: tx.Now(), By: desk.Node.Name})
	within, err := s.within(tx, in)
	if err != nil {
		return err
	}
	if !within {
		return s.tooMany(tx, tr)
	}
	tr.Unsearched, tr.MatchNote = true, "own records are being searched"
	tx.OnCommit(s.wake)
	return traces.Insert(tx, tr.ID, tr)
}

// wake has arrived requests searched for.
func (s *Service) wake() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// Run searches own records for what arrives, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.SearchArrived(ctx); err != nil && ctx.Err() == nil {
			s.desk.Log.Error("search own records for an incoming trace request", "error", err)
		}
		timer := time.NewTimer(time.Minute)
		select {
		case <-ctx.Done():
		case <-s.arrived:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// SearchArrived proposes own records for every request that has arrived since the last time. The search is done beside the store's writer, where nobody
// waits for it.
func (s *Service) SearchArrived(ctx context.Context) error {
	for ctx.Err() == nil {
		var tr *Trace
		err := s.desk.Store.View(func(tx *store.Tx) error {
			for _, t := range traces.By(tx, "unsearched", "") {
				tr = t
				break
			}
			if tr == nil || tx.Err() != nil {
				return tx.Err()
			}
			return propose(tx, tr)
		})
		if err != nil || tr == nil {
			return err
		}
		if err := s.desk.Store.Update(ctx, func(tx *store.Tx) error { return s.proposed(tx, tr) }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// proposed writes down what a search found.
func (s *Service) proposed(tx *store.Tx, found *Trace) error {
	tr, err := traces.Get(tx, found.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !tr.Unsearched {
		return nil
	}
	if err != nil {
		return err
	}
	tr.Unsearched, tr.Matches, tr.MatchNote = false, found.Matches, found.MatchNote
	tr.note(searchedOnArrive, Step{At: tx.Now(), By: desk.Node.Name, Note: tr.MatchNote})
	e := entry(protocol.ActConsult, desk.Node.Name, policy.KindTrace, tr.ID, "", string(searchedOnArrive), "number", tr.Number, "proposals", count(len(tr.Matches)))
	e.Counterpart, e.Documents = string(tr.Counterpart), []string{tr.ID}
	tx.Audit(e)
	return traces.Put(tx, tr.ID, tr)
}

// adviceOn says what the answering country should know of a request's description: what is withheld is not called missing.
func adviceOn(body *protocol.TraceRequestBody, in dispatch.Received) []string {
	recovered, withheld := body.RecoveryDate, slices.Contains(in.Withheld(), "recovery_date")
	if withheld {
		recovered = &protocol.Interval{}
	}
	out := append(missing(body.Firearm), advice(body.Firearm, recovered)...)
	if withheld {
		out = append(out, fmt.Sprintf("the date of recovery is withheld by %s's policy: there is no time to crime", in.From))
	}
	return out
}

// widen takes in what a later release of the same request discloses; the same request again changes nothing.
func (s *Service) widen(tx *store.Tx, tr *Trace, body *protocol.TraceRequestBody, in dispatch.Received) error {
	if tr.Direction != Incoming || tr.Counterpart != in.From {
		return desk.Conflict("trace %s is not a request of %s", tr.ID, in.From)
	}
	more := in.Document.Withheld < tr.Undisclosed
	if !more && slices.Equal(in.Withheld(), tr.Withheld) {
		return nil
	}
	tr.Withheld, tr.Undisclosed = in.Withheld(), in.Document.Withheld
	if !more { // that nothing of it is withheld any more: there never was anything
		return traces.Put(tx, tr.ID, tr)
	}
	tr.Request, tr.RetainUntil, tr.Advice = *body, in.Terms.RetainUntil, adviceOn(body, in)
	tr.Handling = protocol.UnionHandling(tr.Handling, in.Handling())
	tr.note(released, Step{At: tx.Now(), Country: in.From})
	return traces.Put(tx, tr.ID, tr)
}

// propose searches the own records for what a request describes.
func propose(tx *store.Tx, tr *Trace) error {
	serial, err := ParseSerial(tr.Request.Firearm.Serial, tr.Request.Firearm.SerialState)
	switch {
	case err != nil:
		tr.MatchNote = "own records could not be searched: serial: " + err.Error()
		return nil
	case serial.Canonical == "":
		tr.MatchNote = "own records could not be searched: the request has no serial number"
		return nil
	case len(probes(serial.Folded)) == 0:
		tr.MatchNote = fmt.Sprintf("own records could not be searched: fewer than %d characters of the serial number are readable in a row", minReadableRun)
		return nil
	}
	hits, all, err := search(tx, tr.Request.Firearm, maxMatches, examinedOnArrival)
	if err != nil {
		return err
	}
	for _, h := range hits {
		tr.Matches = append(tr.Matches, Match{Reference: h.Firearm.Reference, Status: h.Firearm.Status, Firearm: h.Firearm.FirearmDescription, Rung: h.Rung, Why: h.Why, Remarks: h.Remarks})
	}
	switch {
	case !all:
		tr.MatchNote = fmt.Sprintf("more than %d own records agree with the readable characters: the best %d of those compared are shown; search again with what else is known", examinedOnArrival, len(hits))
	case len(hits) == 0:
		tr.MatchNote = "no own record was found on any rung of the search ladder"
	default:
		tr.MatchNote = fmt.Sprintf("own records proposed: %d, the surest by: %s", len(hits), hits[0].Rung)
	}
	return nil
}

// asked finds the own request that a foreign document speaks of and checks that its issuer is the country that was asked.
func asked(tx *store.Tx, request string, in dispatch.Received) (*Trace, error) {
	tr, err := traces.Get(tx, request)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, desk.NotFound("%s speaks of the trace request %s, which this country never made", in.From, request)
	case err != nil:
		return nil, err
	case tr.Direction != Outgoing:
		return nil, desk.Invalid("%s speaks of trace %s, which is a request of %s and not of this country", in.From, tr.Number, tr.Counterpart)
	case tr.Counterpart != in.From:
		return nil, desk.Invalid("trace %s was sent to %s; %s has no say in it", tr.Number, tr.Counterpart, in.From)
	}
	return tr, nil
}

func (s *Service) receiveStatus(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.TraceStatusBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	if body.Status == protocol.TraceClosed {
		return s.receiveClosed(tx, body, in)
	}
	tr, err := asked(tx, body.Request, in)
	if err != nil {
		return err
	}
	if step := tr.step(in.Document.ID); step != nil { // a wider release, or the same again
		step.Note, step.Withheld = body.Note, in.Withheld()
		return traces.Put(tx, tr.ID, tr)
	}
	event, known := map[string]Event{protocol.TraceAcknowledged: Acknowledge, protocol.TraceTooMany: Refuse}[body.Status]
	if !known {
		return desk.Invalid("trace %s: this version knows no status %q", tr.Number, body.Status)
	}
	if err := tr.advance(event, Step{At: tx.Now(), Country: in.From, Note: body.Note, Document: in.Document.ID, Withheld: in.Withheld()}); err != nil {
		return desk.Conflict("trace %s: %v", tr.Number, err)
	}
	return traces.Put(tx, tr.ID, tr)
}

// noteOf is what of an answer's withheld fields stands in a timeline.
func noteOf(withheld []string) []string { return protocol.StillWithheld([]string{"note"}, withheld) }

func (s *Service) receiveAnswer(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.TraceAnswerBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	tr, err := asked(tx, body.Request, in)
	if err != nil {
		return err
	}
	if step := tr.step(in.Document.ID); step != nil { // a wider release, or the same again
		step.Note, step.Withheld = body.Note, noteOf(in.Withheld())
		tr.Answer, tr.AnswerWithheld, tr.RetainUntil = body, in.Withheld(), in.Terms.RetainUntil
		tr.Handling = protocol.UnionHandling(tr.Handling, in.Handling())
		return traces.Put(tx, tr.ID, tr)
	}
	step := Step{At: tx.Now(), Country: in.From, Note: body.Note, Document: in.Document.ID, Withheld: noteOf(in.Withheld())}
	if tr.State == Acknowledged { // the other country began before it could answer, and had no need to say so
		if err := tr.advance(Begin, Step{At: tx.Now(), Country: in.From}); err != nil {
			return err
		}
	}
	if err := tr.advance(answers[body.Outcome], step); err != nil {
		return desk.Conflict("trace %s: %v", tr.Number, err)
	}
	tr.Answer, tr.AnswerWithheld = body, in.Withheld()
	tr.RetainUntil = in.Terms.RetainUntil
	tr.Handling = protocol.UnionHandling(tr.Handling, in.Handling())
	return traces.Put(tx, tr.ID, tr)
}
