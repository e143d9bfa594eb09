package control

import (
	"context"
	"net/http"
	"time"

	"proofmark/node/desk"
	"proofmark/node/retention"
)

// DueRequest asks which own records are due, a page at a time.
type DueRequest struct {
	WithinDays int    `json:"within_days,omitempty"`
	Limit      int    `json:"limit,omitempty"`
	After      string `json:"after,omitempty"` // what the page before named as the next
}

// RetentionReview is a person's decision about an own record: either kept until a day, or purged.
type RetentionReview struct {
	Item      string    `json:"item"`
	KeepUntil time.Time `json:"keep_until,omitzero"`
	Purge     bool      `json:"purge,omitempty"`
	Reason    string    `json:"reason"`
}

// furthest bounds how far ahead due records are listed, in days: two centuries.
const furthest = 73000

func (s *Server) routeRetention(mux *http.ServeMux) {
	k := s.services.Retention
	handle(s, mux, "retention.due", func(ctx context.Context, c call, r DueRequest) (*retention.List, error) {
		if r.WithinDays < 0 || r.WithinDays > furthest {
			return nil, desk.Invalid("0 to %d days ahead, not %d", furthest, r.WithinDays)
		}
		if r.Limit < 0 || r.Limit > retention.MaxPage {
			return nil, desk.Invalid("1 to %d records on a page, not %d", retention.MaxPage, r.Limit)
		}
		return k.Due(ctx, c.actor, retention.Page{Within: time.Duration(r.WithinDays) * 24 * time.Hour, Limit: r.Limit, After: r.After})
	})
	handle(s, mux, "retention.review", func(ctx context.Context, c call, r RetentionReview) (*retention.Review, error) {
		if r.Purge != r.KeepUntil.IsZero() {
			return nil, desk.Invalid("a record is kept until a day (--keep-until), or purged (--purge)")
		}
		if r.Purge {
			return k.Purge(ctx, c.actor, c.key, r.Item, r.Reason)
		}
		return k.Keep(ctx, c.actor, c.key, r.Item, r.KeepUntil, r.Reason)
	})
	handle(s, mux, "retention.purge", func(ctx context.Context, c call, _ None) ([]*retention.Review, error) { return k.Purges(ctx, c.actor) })
	handle(s, mux, "retention.proof", func(ctx context.Context, c call, r Ref) (*retention.Proof, error) {
		return k.Proof(ctx, c.actor, r.Ref)
	})
}
