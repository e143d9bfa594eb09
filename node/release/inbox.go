package release

import (
	"proofmark/node/budget"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// receiveRequest files a request and does nothing else: the receipt that goes back after it must not tell by its time what was found. It is judged
// afterwards, beside.
func (s *Service) receiveRequest(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.ScanRequestBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	if has, err := requests.Has(tx, in.Document.ID); err != nil || has {
		return err
	}
	if err := protocol.CheckNumber(body.Number, in.From, "S"); err != nil {
		return desk.Invalid("%v", err)
	}
	b := s.desk.Policy().CountryBudget(policy.AsksScan, string(in.From), in.Document.Purpose)
	if s.quota > 0 {
		b.Limit = s.quota
	}
	spent, within, err := budget.Spend(tx, budget.Who{Country: in.From}, policy.AsksScan, b)
	if err != nil {
		return err
	}
	if spent.Refused > (answered-1)*max(b.Limit, 1) {
		s.tally.note(in.From, "quota", "a scan request far beyond the budget, not answered", s.now()) // the document is refused: nothing is committed here
		return desk.Forbidden("too many scan requests of %s: the budget is %d in %s", in.From, b.Limit, budget.Span(b.Per))
	}
	r := &Request{ID: in.Document.ID, Number: body.Number, Direction: Incoming, Counterpart: in.From, State: Filed, Signature: body.Signature, Purpose: in.Document.Purpose,
		Reason: body.Reason, Created: tx.Now(), Due: s.due(tx.Now())}
	r.note(Step{Event: "received", At: tx.Now(), Country: in.From, Document: r.ID})
	if !within {
		r.State, r.Ground, r.Refusal = Refusing, "quota", &Refusal{Code: protocol.ScanQuota, By: desk.Node.Name, At: tx.Now()}
	}
	tx.OnCommit(func() {
		signal(s.filed)
		signal(s.wake)
	})
	return requests.Insert(tx, r.ID, r)
}
