package control

import (
	"context"
	"net/http"
	"time"

	"proofmark/node/witness"
)

// WitnessSummary says how the witnessing of audit logs stands, to anybody who may open the socket.
type WitnessSummary struct {
	Wanted   int       `json:"wanted"`   // cosignatures on a checkpoint; 0 where no other member is there to give one
	Cosigned int64     `json:"cosigned"` // entries of this node's audit log that enough members have cosigned, or some
	Enough   bool      `json:"enough"`
	Oldest   time.Time `json:"oldest,omitzero"` // of the cosignatures that are wanted
	Alarms   []string  `json:"alarms,omitempty"`

	Acknowledged int    `json:"acknowledged,omitempty"` // alarms that somebody has taken note of
	Memory       string `json:"memory,omitempty"`       // why this node has forgotten what it cosigned for others, while it asks them
}

// CountryRef names a country.
type CountryRef struct {
	Country string `json:"country"`
}

func (s *Server) routeWitness(mux *http.ServeMux) {
	w := s.services.Witness
	handle(s, mux, "witness.status", func(ctx context.Context, c call, _ None) (*witness.Status, error) { return w.Status(ctx, c.actor) })
	handle(s, mux, "witness.show", func(ctx context.Context, c call, r CountryRef) (*witness.LogView, error) {
		return w.Show(ctx, c.actor, r.Country)
	})
	handle(s, mux, "witness.acknowledge", func(ctx context.Context, c call, r CountryRef) (*witness.Noted, error) {
		return w.Acknowledge(ctx, c.actor, c.key, r.Country)
	})
	handle(s, mux, "witness.save", func(ctx context.Context, c call, _ None) (*witness.CosignedView, error) { return w.Save(ctx, c.actor) })
}

func (s *Server) witnessSummary() (WitnessSummary, error) {
	f, err := s.services.Witness.Figures()
	if err != nil {
		return WitnessSummary{}, err
	}
	out := WitnessSummary{Wanted: f.Wanted, Cosigned: f.Cosigned, Enough: f.Enough, Oldest: f.Oldest, Acknowledged: f.Acknowledged, Memory: f.Memory}
	list, err := s.services.Witness.Alarms()
	for _, a := range list {
		out.Alarms = append(out.Alarms, a.Text())
	}
	return out, err
}
