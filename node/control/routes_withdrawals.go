package control

import (
	"context"
	"net/http"

	"proofmark/node/ballistics"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/store"
)

// WithdrawRequest takes back a document.
type WithdrawRequest struct {
	Ref string `json:"ref"`
	dispatch.Withdrawal
}

// HoldRequest puts a document under a legal hold.
type HoldRequest struct {
	Ref    string `json:"ref"`
	Ground string `json:"ground"`
}

func (s *Server) routeWithdrawals(mux *http.ServeMux) {
	d := s.services.Dispatch
	handle(s, mux, "document.withdraw", s.withdraw)
	handle(s, mux, "document.hold", func(ctx context.Context, c call, r HoldRequest) (*dispatch.Shown, error) {
		return onDocument(ctx, s, c, policy.RetentionReview, r.Ref, r, func(tx *store.Tx) (*dispatch.Shown, error) { return d.Hold(tx, c.actor, r.Ref, r.Ground) })
	})
	handle(s, mux, "document.release", func(ctx context.Context, c call, r Ref) (*dispatch.Shown, error) {
		return onDocument(ctx, s, c, policy.RetentionReview, r.Ref, r, func(tx *store.Tx) (*dispatch.Shown, error) { return d.Release(tx, c.actor, r.Ref) })
	})
	handle(s, mux, "document.withdrawals", func(ctx context.Context, c call, r dispatch.RecallFilter) ([]*dispatch.Recall, error) {
		return readDocument(ctx, s, c, "", "withdrawals listed", func(tx *store.Tx) ([]*dispatch.Recall, error) { return d.Recalls(tx, r) })
	})
	handle(s, mux, "exhibit.withdraw", func(ctx context.Context, c call, r ballistics.WithdrawExhibit) ([]*dispatch.Recall, error) {
		return s.services.Ballistics.WithdrawExhibit(ctx, c.actor, c.key, r)
	})
}

// withdraw asks for the permission that issuing a document of the type needs.
func (s *Server) withdraw(ctx context.Context, c call, r WithdrawRequest) (*dispatch.Recall, error) {
	d := s.services.Dispatch
	if err := r.Check(); err != nil {
		return nil, err
	}
	var action policy.Action
	if err := s.services.Store.View(func(tx *store.Tx) (err error) {
		action, err = d.WithdrawAction(tx, r.Ref)
		return err
	}); err != nil {
		return nil, err
	}
	act := desk.Act{Actor: c.actor, Key: c.key, Action: action, Resource: policy.Resource{Type: policy.KindDocument, ID: r.Ref}, Request: r, Small: true}
	return desk.Do(ctx, s.services.Desk, act, func(tx *store.Tx) (*dispatch.Recall, error) { return d.Withdraw(tx, c.actor, r.Ref, r.Withdrawal) })
}

// onDocument is a person's act on a document; what it did leaves its own entries.
func onDocument[T any](ctx context.Context, s *Server, c call, action policy.Action, id string, request any, fn func(tx *store.Tx) (T, error)) (T, error) {
	act := desk.Act{Actor: c.actor, Key: c.key, Action: action, Resource: policy.Resource{Type: policy.KindDocument, ID: id}, Request: request}
	return desk.Do(ctx, s.services.Desk, act, fn)
}
