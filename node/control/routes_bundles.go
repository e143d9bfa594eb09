package control

import (
	"context"
	"net/http"

	"proofmark/node/bundle"
)

// BundleRequest names the member that a bundle is for.
type BundleRequest struct {
	To string `json:"to"`
}

func (s *Server) routeBundles(mux *http.ServeMux) {
	b := s.services.Bundles
	handle(s, mux, "bundle.export", func(ctx context.Context, c call, r BundleRequest) (*bundle.Exported, error) {
		return b.Export(ctx, c.actor, r.To)
	})
	handle(s, mux, "bundle.import", func(ctx context.Context, c call, _ None) (*bundle.Imported, error) {
		return b.Import(ctx, c.actor, c.body)
	})
}
