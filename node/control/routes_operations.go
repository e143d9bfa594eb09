package control

import (
	"context"
	"net/http"

	"proofmark/node/ballistics"
	"proofmark/node/operations"
)

func (s *Server) routeOperations(mux *http.ServeMux) {
	o := s.services.Operations
	handle(s, mux, "operation.propose", func(ctx context.Context, c call, r operations.NewOperation) (*operations.View, error) {
		return o.Propose(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "operation.accept", func(ctx context.Context, c call, r operations.Note) (*operations.View, error) {
		return o.Accept(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "operation.approve", func(ctx context.Context, c call, r Ref) (*operations.View, error) {
		return o.Approve(ctx, c.actor, c.key, r.Ref)
	})
	handle(s, mux, "operation.reject", func(ctx context.Context, c call, r operations.Note) (*operations.View, error) {
		return o.Reject(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "operation.leave", func(ctx context.Context, c call, r operations.Note) (*operations.View, error) {
		return o.Leave(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "operation.end", func(ctx context.Context, c call, r operations.Note) (*operations.View, error) {
		return o.End(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "operation.list", func(ctx context.Context, c call, _ None) ([]*operations.View, error) {
		return list(o.List(ctx, c.actor))
	})
	handle(s, mux, "operation.show", func(ctx context.Context, c call, r Ref) (*operations.View, error) { return o.Show(ctx, c.actor, r.Ref) })
	handle(s, mux, "exhibit.tag", func(ctx context.Context, c call, r ballistics.TagExhibit) (*ballistics.Exhibit, error) {
		return s.services.Ballistics.TagExhibit(ctx, c.actor, c.key, r)
	})
}
