package control

import (
	"context"
	"net/http"

	"proofmark/node/permission"
)

func (s *Server) routePermissions(mux *http.ServeMux) {
	p := s.services.Permissions
	handle(s, mux, "permission.grant", func(ctx context.Context, c call, g permission.Grant) (*permission.Permission, error) {
		return p.Grant(ctx, c.actor, c.key, g)
	})
	handle(s, mux, "permission.list", func(ctx context.Context, c call, _ None) ([]*permission.Permission, error) {
		return list(p.List(ctx, c.actor))
	})
}
