package control

import (
	"context"
	"net/http"
	"time"

	"proofmark/crypto"
	"proofmark/node/identity"
)

// RotateRequest asks for a new key of one use.
type RotateRequest struct {
	Use  crypto.Use `json:"use"`
	Days int        `json:"days"` // of overlap with the old key
}

// AnnounceRequest says where the node is now; without addresses, where its configuration says.
type AnnounceRequest struct {
	Addresses []string `json:"addresses,omitempty"`
}

func (s *Server) routeIdentity(mux *http.ServeMux) {
	id := s.services.Identity
	handle(s, mux, "key.rotate", func(ctx context.Context, c call, r RotateRequest) (*identity.Entry, error) {
		return id.Rotate(ctx, c.actor, c.key, r.Use, time.Duration(r.Days)*24*time.Hour)
	})
	handle(s, mux, "key.renew", func(ctx context.Context, c call, _ None) (*identity.Entry, error) {
		return id.Renew(ctx, c.actor, c.key)
	})
	handle(s, mux, "address.announce", func(ctx context.Context, c call, r AnnounceRequest) (*identity.Entry, error) {
		record, e, err := id.Announcement(ctx, c.actor, r.Addresses)
		if err != nil {
			return nil, err
		}
		// A repetition is another announcement, of the same: it needs no key.
		if _, err := s.services.Membership.Announce(ctx, c.actor, "", record); err != nil {
			return nil, err
		}
		return e, nil
	})
}

// warnings are what a person should know of roster and keys.
func (s *Server) warnings() []string {
	now := s.services.Now()
	return append(s.services.Membership.Warnings(now), s.services.Identity.Warnings(now, s.services.Exchange.PeerID())...)
}
