package control

import (
	"context"
	"errors"
	"net/http"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

func (s *Server) routeApprovals(mux *http.ServeMux) {
	d := s.services.Dispatch
	handle(s, mux, "approval.list", func(ctx context.Context, c call, _ None) ([]*dispatch.Waiting, error) {
		return readApprovals(ctx, s, c, "", func(tx *store.Tx) ([]*dispatch.Waiting, error) { return d.Approvals(tx) })
	})
	handle(s, mux, "approval.show", func(ctx context.Context, c call, r Ref) (*dispatch.Waiting, error) {
		return readApprovals(ctx, s, c, r.Ref, func(tx *store.Tx) (*dispatch.Waiting, error) { return d.ShowApproval(tx, r.Ref) })
	})
	handle(s, mux, "approval.approve", func(ctx context.Context, c call, r dispatch.ApprovalRef) (*dispatch.Waiting, error) {
		return desk.Do(ctx, s.services.Desk, s.decision(c, r, "approve"), func(tx *store.Tx) (*dispatch.Waiting, error) { return d.Approve(tx, c.actor, r) })
	})
	handle(s, mux, "approval.refuse", func(ctx context.Context, c call, r dispatch.ApprovalRef) (*dispatch.Waiting, error) {
		act := s.decision(c, r, "refuse")
		act.Describe = nil // whoever proposed a document, or approved it, may stop it
		return desk.Do(ctx, s.services.Desk, act, func(tx *store.Tx) (*dispatch.Waiting, error) { return d.Disapprove(tx, c.actor, r) })
	})
}

// decision is one person's act on what waits.
func (s *Server) decision(c call, r dispatch.ApprovalRef, what string) desk.Act {
	return desk.Act{Actor: c.actor, Key: c.key, Action: policy.DocumentApprove, Request: []any{what, r}, Resource: policy.Resource{Type: policy.KindDocument, ID: r.Document},
		Describe: func(tx *store.Tx) (policy.Resource, error) {
			res := policy.Resource{Type: policy.KindDocument, ID: r.Document[:min(len(r.Document), 60)]}
			rec, people, err := s.services.Dispatch.Deciders(tx, r)
			if err == nil {
				res.ID = rec.ID
				res.Attributes = map[string]any{"reviewers": people, "owner": string(s.services.Country)}
			}
			if errors.Is(err, desk.ErrNotFound) || errors.Is(err, desk.ErrConflict) || errors.Is(err, desk.ErrInvalid) {
				err = nil // the authorised act itself says so
			}
			return res, err
		}}
}

// held finds what a command issued that waits for two people. The command is done: where this cannot be read, that is logged and fails nothing.
func (s *Server) held(c call) (out []*dispatch.Waiting) {
	if c.key == "" {
		return nil
	}
	if err := s.services.Store.View(func(tx *store.Tx) (err error) {
		out, err = s.services.Dispatch.HeldOf(tx, c.actor.Name, c.key)
		return err
	}); err != nil {
		s.services.Log.Error("find what waits for two people", "error", err)
	}
	return out
}

// readApprovals shows what waits, to whoever may approve it.
func readApprovals[T any](ctx context.Context, s *Server, c call, id string, fn func(tx *store.Tx) (T, error)) (T, error) {
	act := desk.Act{Actor: c.actor, Action: policy.DocumentApprove, Resource: policy.Resource{Type: policy.KindDocument, ID: id}}
	event := "approvals listed"
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindDocument, Object: id, Event: event}}
	if id != "" {
		entry.Event, entry.Documents = "document viewed that waits for approval", []string{id}
	}
	return desk.Read(ctx, s.services.Desk, act, entry, fn)
}
