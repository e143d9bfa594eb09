package tracing

import (
	"context"
	"errors"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Close ends an own request that has been answered or refused, and tells the country that was asked: it waits for nothing more, and what it answered has been
// read. What is open is not closed but taken back (document withdraw); what is to be asked of another country is a new request that names this one.
func (s *Service) Close(ctx context.Context, who desk.Actor, key, ref, note string) (*Trace, error) {
	act := s.act(who, key, policy.TraceClose, ref, []string{ref, note})
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Trace, error) {
		tr, err := findTrace(tx, ref)
		if err != nil {
			return nil, err
		}
		if tr.Direction != Outgoing {
			return nil, desk.Conflict("trace %s is a request of %s: that country closes it", tr.Number, tr.Counterpart)
		}
		if err := closable(tr); err != nil {
			return nil, err
		}
		body := &protocol.TraceStatusBody{Request: tr.ID, Status: protocol.TraceClosed, Note: note}
		doc, err := s.out.Issue(tx, protocol.TypeTraceStatus, body, s.facts(tr, who))
		if err != nil {
			return nil, err
		}
		s.record(tx, tr, protocol.ActAlter, who, "trace closed", doc)
		if err := tr.advance(Close, Step{At: tx.Now(), By: who.Name, Note: note, Document: doc}); err != nil {
			return nil, err
		}
		if err := s.noteWait(tx, tr, doc); err != nil {
			return nil, err
		}
		return tr, traces.Put(tx, tr.ID, tr)
	})
}

// closable reports why a request cannot be closed now, and what can be done instead.
func closable(tr *Trace) error {
	_, err := next(tr.State, Close)
	switch {
	case err == nil:
		return nil
	case tr.State == Closed:
		return desk.Conflict("trace %s is closed already", tr.Number)
	case !tr.SourceWithdrawn.IsZero():
		return desk.Conflict("trace %s was taken back on %s: there is nothing to close", tr.Number, tr.SourceWithdrawn.Format(time.DateOnly))
	}
	return desk.Conflict("trace %s is %s, and %s has not answered it: a trace is closed when it is answered or refused. `proofmark document withdraw %s --reason CODE` takes it back before", tr.Number, tr.State, tr.Counterpart, tr.ID)
}

// receiveClosed takes in that the country that asked has closed its request. A request that is not here any more, since its terms ended or it was withdrawn,
// has nothing to close.
func (s *Service) receiveClosed(tx *store.Tx, body *protocol.TraceStatusBody, in dispatch.Received) error {
	tr, err := traces.Get(tx, body.Request)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if err := protocol.CheckDocumentID(body.Request, in.From); err != nil {
			return desk.Invalid("%s closes the trace request %s, which is not its own", in.From, body.Request)
		}
		return nil
	case err != nil:
		return err
	case tr.Direction != Incoming || tr.Counterpart != in.From:
		return desk.Invalid("%s closes trace %s, which is not its own request", in.From, tr.Number)
	}
	if step := tr.step(in.Document.ID); step != nil { // a wider release, or the same again
		step.Note, step.Withheld = body.Note, in.Withheld()
		return traces.Put(tx, tr.ID, tr)
	}
	if err := tr.advance(Close, Step{At: tx.Now(), Country: in.From, Note: body.Note, Document: in.Document.ID, Withheld: in.Withheld()}); err != nil {
		return desk.Conflict("trace %s: %v", tr.Number, err)
	}
	return traces.Put(tx, tr.ID, tr)
}
