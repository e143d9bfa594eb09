package tracing

import (
	"errors"

	"proofmark/node/budget"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// answeredBeyond is how many times the budget is answered with a refusal; what comes beyond that is refused without one, and kept as any refused document.
const answeredBeyond = 3

// within counts a request against its country's budget for its purpose, before anything is looked up. What is far beyond it is an error: the document is
// refused unanswered.
func (s *Service) within(tx *store.Tx, in dispatch.Received) (bool, error) {
	b := s.desk.Policy().CountryBudget(policy.AsksTrace, string(in.From), in.Document.Purpose)
	spent, ok, err := budget.Spend(tx, budget.Who{Country: in.From}, policy.AsksTrace, b)
	if err == nil && spent.Refused > answeredBeyond*max(b.Limit, 1) {
		err = desk.Forbidden("too many trace requests of %s: the budget is %d in %s", in.From, b.Limit, budget.Span(b.Per))
	}
	return ok, err
}

// tooMany refuses a request. Own records are not searched, now or later, and the answer is the same for every request: it leaves with what is queued in the
// transaction that took the request in, so that neither its content nor its time can tell anything of a record.
func (s *Service) tooMany(tx *store.Tx, tr *Trace) error {
	body := &protocol.TraceStatusBody{Request: tr.ID, Status: protocol.TraceTooMany}
	doc, err := s.out.Issue(tx, protocol.TypeTraceStatus, body, dispatch.Facts{To: tr.Counterpart, Purpose: Purpose, Kind: policy.KindTrace, Object: tr.ID, Actor: desk.Node.Name})
	if errors.Is(err, desk.ErrForbidden) || errors.Is(err, desk.ErrInvalid) { // nothing goes to this country now
		doc, err = "", nil
	}
	if err != nil {
		return err
	}
	if err := tr.advance(Refuse, Step{At: tx.Now(), By: desk.Node.Name, Document: doc}); err != nil {
		return err
	}
	tr.MatchNote = "own records were not searched: the country has asked too often"
	return traces.Insert(tx, tr.ID, tr)
}
