package control

import (
	"context"
	"net/http"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

func (s *Server) routeDocuments(mux *http.ServeMux) {
	d := s.services.Dispatch
	handle(s, mux, "document.list", func(ctx context.Context, c call, r dispatch.DocumentFilter) ([]dispatch.Listed, error) {
		return readDocument(ctx, s, c, "", "documents listed", func(tx *store.Tx) ([]dispatch.Listed, error) { return d.List(tx, r) })
	})
	handle(s, mux, "document.show", func(ctx context.Context, c call, r Ref) (*dispatch.Shown, error) {
		return readDocument(ctx, s, c, r.Ref, "document viewed", func(tx *store.Tx) (*dispatch.Shown, error) { return d.Show(tx, r.Ref) })
	})
	handle(s, mux, "document.save", func(ctx context.Context, c call, r Ref) (*dispatch.Saved, error) {
		return readDocument(ctx, s, c, r.Ref, "document saved to a file", func(tx *store.Tx) (*dispatch.Saved, error) { return d.Save(tx, r.Ref) })
	})
}

// readDocument authorises and records a look at a document, or at the list of them.
func readDocument[T any](ctx context.Context, s *Server, c call, id, event string, fn func(*store.Tx) (T, error)) (T, error) {
	act := desk.Act{Actor: c.actor, Action: policy.DocumentView, Resource: policy.Resource{Type: policy.KindDocument, ID: id}}
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindDocument, Object: id, Event: event}}
	return desk.Read(ctx, s.services.Desk, act, entry, fn)
}
