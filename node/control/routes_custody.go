package control

import (
	"context"
	"io"
	"net/http"

	"proofmark/node/custody"
	"proofmark/protocol"
)

// CustodyRef names copies that are kept for a country, or one of them.
type CustodyRef struct {
	Owner string `json:"owner"`
	ID    string `json:"id,omitempty"`    // of the backup
	Chain string `json:"chain,omitempty"` // one that another followed, by the beginning of its id
}

// CustodyHolders names members; none: all that have confirmed copies.
type CustodyHolders struct {
	Holders []string `json:"holders,omitempty"`
}

func (s *Server) routeCustody(mux *http.ServeMux) {
	k := s.services.Custody
	handle(s, mux, "custody.send", func(ctx context.Context, c call, r custody.Request) ([]custody.Sent, error) {
		return k.Send(ctx, c.actor, r, c.progress)
	})
	handle(s, mux, "custody.status", func(ctx context.Context, c call, _ None) ([]custody.AtHolder, error) { return k.Status(ctx, c.actor) })
	handle(s, mux, "custody.ready", func(ctx context.Context, c call, r CustodyHolders) ([]protocol.Country, error) {
		return k.Ready(ctx, c.actor, r.Holders)
	})
	handle(s, mux, "custody.check", func(ctx context.Context, c call, r CustodyHolders) ([]custody.Check, error) {
		return k.Check(ctx, c.actor, r.Holders)
	})
	handle(s, mux, "custody.list", func(ctx context.Context, c call, _ None) ([]custody.Holding, error) { return k.List(ctx, c.actor) })
	handle(s, mux, "custody.begin", func(ctx context.Context, c call, r CustodyRef) (*custody.Export, error) {
		return k.Begin(ctx, c.actor, r.Owner, r.Chain)
	})
	handleDownload(s, mux, "custody.fetch", func(ctx context.Context, c call, r CustodyRef, w io.Writer) (*protocol.CustodyReceipt, error) {
		return k.Fetch(ctx, c.actor, r.Owner, r.ID, w)
	})
}
