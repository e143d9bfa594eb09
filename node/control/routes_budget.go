package control

import (
	"context"
	"net/http"

	"proofmark/node/budget"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// usualPurpose is what people ask for unless they name another purpose.
const usualPurpose = "criminal-investigation"

// BudgetRequest asks how budgets stand.
type BudgetRequest struct {
	Purpose   string `json:"purpose,omitempty"`   // of the own ones; criminal-investigation, if left out
	Countries bool   `json:"countries,omitempty"` // those of other countries instead
}

func (s *Server) routeBudget(mux *http.ServeMux) {
	handle(s, mux, "budget.show", func(ctx context.Context, c call, r BudgetRequest) ([]budget.Spent, error) {
		engine := s.services.Desk.Policy()
		if r.Countries {
			act := desk.Act{Actor: c.actor, Action: policy.PeersView, Resource: policy.Resource{Type: policy.KindPeer}}
			entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindPeer, Event: "budgets of countries viewed"}}
			return list(desk.Read(ctx, s.services.Desk, act, entry, func(tx *store.Tx) ([]budget.Spent, error) { return budget.Countries(tx, engine) }))
		}
		if r.Purpose == "" {
			r.Purpose = usualPurpose
		}
		var out []budget.Spent
		err := s.services.Store.View(func(tx *store.Tx) (err error) { // one's own: nothing of a case
			out, err = budget.Person(tx, engine, c.actor.Name, r.Purpose)
			return err
		})
		return list(out, err)
	})
}
