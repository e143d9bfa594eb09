package control

import (
	"time"

	"proofmark/node/budget"
	"proofmark/node/dispatch"
	"proofmark/node/exchange"
	"proofmark/store"
)

// Peer is another member: how the exchange with it stands, and how often it has asked here.
type Peer struct {
	exchange.PeerStatus
	Budgets []budget.Spent `json:"budgets,omitempty"`
	Stopped bool           `json:"stopped,omitempty"` // signed statements contradict each other: nothing is exchanged before people have acted; the last error says why
}

// tell puts this node's own reason for a stop before whatever was last said on a connection, by itself or by the other side.
func (p *Peer) tell(s *dispatch.Stop) {
	if s == nil {
		return
	}
	p.Stopped, p.LastError, p.ToDo, p.NextTry = true, dispatch.ErrStopped.Error()+": "+s.Text, "what the message says; `proofmark audit query --text stopped` shows what was signed", time.Time{}
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
		stop, err := dispatch.StopOf(tx, p.Country)
		if err != nil {
			return nil, err
		}
		with.tell(stop)
		out = append(out, with)
	}
	return out, nil
}

// stopped says what stops the exchange, for whoever looks at the node's state.
func (s *Server) stopped() (out []string, err error) {
	err = s.services.Store.View(func(tx *store.Tx) error {
		out = nil
		for _, stop := range dispatch.Stops.All(tx) {
			out = append(out, dispatch.ErrStopped.Error()+": "+stop.Text)
		}
		return tx.Err()
	})
	return out, err
}
