package control

import (
	"context"
	"net/http"

	"proofmark/node/release"
)

// ScanDecision is one person's decision on a request for a scan.
type ScanDecision struct {
	Ref  string `json:"ref"`
	Code string `json:"code,omitempty"` // of a refusal
	Note string `json:"note,omitempty"`
}

// ScanRef names one received scan.
type ScanRef struct {
	Ref  string `json:"ref"`
	Land int    `json:"land,omitempty"` // of a bullet
}

func (s *Server) routeScans(mux *http.ServeMux) {
	r := s.services.Release
	handle(s, mux, "scan.request", func(ctx context.Context, c call, q release.Ask) (*release.Request, error) {
		return r.Request(ctx, c.actor, c.key, q)
	})
	handle(s, mux, "scan.list", func(ctx context.Context, c call, _ None) ([]*release.Request, error) {
		return list(r.Requests(ctx, c.actor))
	})
	handle(s, mux, "scan.show", func(ctx context.Context, c call, q Ref) (*release.Request, error) { return r.Show(ctx, c.actor, q.Ref) })
	handle(s, mux, "scan.approve", func(ctx context.Context, c call, q ScanDecision) (*release.Request, error) {
		return r.Approve(ctx, c.actor, c.key, q.Ref, q.Note)
	})
	handle(s, mux, "scan.refuse", func(ctx context.Context, c call, q ScanDecision) (*release.Request, error) {
		return r.Refuse(ctx, c.actor, c.key, q.Ref, q.Code, q.Note)
	})
	handle(s, mux, "scan.fetch", func(ctx context.Context, c call, q Ref) (*release.Request, error) {
		return r.FetchNow(ctx, c.actor, q.Ref, c.progress)
	})
	handle(s, mux, "scan.save", func(ctx context.Context, c call, q ScanRef) (*release.Saved, error) {
		return r.Save(ctx, c.actor, q.Ref, q.Land)
	})
}
