package control

import (
	"context"
	"net/http"

	"proofmark/node/budget"
	"proofmark/node/desk"
	"proofmark/node/exchange"
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

// Peer is another member: how the exchange with it stands, and how often it has asked here.
type Peer struct {
	exchange.PeerStatus
	Budgets []budget.Spent `json:"budgets,omitempty"`
}

// peers lists the other members with their budgets.
func (s *Server) peers(tx *store.Tx) ([]Peer, error) {
	spent, err := budget.Countries(tx, s.services.Desk.Policy())
	if err != nil {
		return nil, err
	}
	out := []Peer{}
	for _, p := range s.services.Exchange.Peers() {
		with := Peer{PeerStatus: p}
		for _, b := range spent {
			if b.Country == p.Country {
				with.Budgets = append(with.Budgets, b)
			}
		}
		out = append(out, with)
	}
	return out, nil
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
