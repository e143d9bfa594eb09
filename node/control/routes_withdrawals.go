package control

import (
	"context"
	"errors"
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
	// Which permission is needed, the document's type says. What is not there, or not to be withdrawn, is said by the authorised act itself.
	may := dispatch.WithdrawActions()
	action := may[0]
	err := s.services.Store.View(func(tx *store.Tx) error {
		found, err := d.WithdrawAction(tx, r.Ref)
		if err == nil {
			action = found
		}
		return err
	})
	if err != nil && !errors.Is(err, desk.ErrNotFound) && !errors.Is(err, desk.ErrConflict) && !errors.Is(err, desk.ErrInvalid) {
		return nil, err
	}
	asked := policy.Resource{Type: policy.KindDocument, ID: r.Ref[:min(len(r.Ref), 80)]}
	act := desk.Act{Actor: c.actor, Key: c.key, Action: action, Resource: asked, Request: r, Small: true,
		Hidden: &desk.Hidden{Absent: dispatch.NoDocument(r.Ref), View: policy.DocumentView, Any: may}}
	if err != nil {
		act.Describe = func(*store.Tx) (policy.Resource, error) { return asked, err }
	}
	return desk.Do(ctx, s.services.Desk, act, func(tx *store.Tx) (*dispatch.Recall, error) { return d.Withdraw(tx, c.actor, r.Ref, r.Withdrawal) })
}

// onDocument is a person's act on a document; what it did leaves its own entries.
func onDocument[T any](ctx context.Context, s *Server, c call, action policy.Action, id string, request any, fn func(tx *store.Tx) (T, error)) (T, error) {
	act := desk.Act{Actor: c.actor, Key: c.key, Action: action, Resource: policy.Resource{Type: policy.KindDocument, ID: id}, Request: request}
	return desk.Do(ctx, s.services.Desk, act, fn)
}
