package control

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"proofmark/node/backup"
)

// RecoveryRequest gives the node the public part of its recovery key.
type RecoveryRequest struct {
	Key     json.RawMessage `json:"key"`
	Replace bool            `json:"replace,omitempty"`
}

func (s *Server) routeBackup(mux *http.ServeMux) {
	b := s.services.Backup
	handle(s, mux, "recovery.set", func(ctx context.Context, c call, r RecoveryRequest) (*backup.RecoveryState, error) {
		return b.SetRecovery(ctx, c.actor, c.key, r.Key, r.Replace)
	})
	handle(s, mux, "recovery.show", func(ctx context.Context, c call, _ None) (*backup.RecoveryState, error) {
		return b.Recovery(ctx, c.actor)
	})
	handleDownload(s, mux, "backup.create", func(ctx context.Context, c call, r backup.Request, w io.Writer) (*backup.Made, error) {
		return b.Create(ctx, c.actor, r, w, nil)
	})
}
