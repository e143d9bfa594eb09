package control

import (
	"context"
	"fmt"
	"net/http"

	"proofmark/node/desk"
	"proofmark/node/membership"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// JoinRequest brings a node into a federation: with the chain of rosters from a member, whose address ends in its peer ID.
type JoinRequest struct {
	Anchor string `json:"anchor"`
	Peer   string `json:"peer"`
}

// Joined is the roster that a node came into, and whether it lists the node's country.
type Joined struct {
	membership.Installed
	Country protocol.Country `json:"country"`
	Listed  bool             `json:"listed"`
}

// RosterChain is every version in force, as signed files.
type RosterChain struct {
	Documents [][]byte `json:"documents"`
	Anchor    string   `json:"anchor"`
}

func (s *Server) routeRosters(mux *http.ServeMux) {
	m := s.services.Membership
	handle(s, mux, "roster.join", s.join)
	handle(s, mux, "roster.resolve", func(ctx context.Context, c call, r InstallRequest) (*membership.Installed, error) {
		return m.Resolve(ctx, c.actor, c.key, r.Documents)
	})
	handle(s, mux, "roster.chain", func(ctx context.Context, c call, _ None) (RosterChain, error) {
		return read1(ctx, s, c, policy.RosterView, policy.KindRoster, "chain of rosters viewed", func(*store.Tx) (RosterChain, error) {
			docs, err := m.Chain()
			return RosterChain{docs, m.Anchor()}, err
		})
	})
}

// join asks a member for the chain and installs it, in as many steps as it takes. Each step is verified before the next is asked for.
func (s *Server) join(ctx context.Context, c call, r JoinRequest) (*Joined, error) {
	m := s.services.Membership
	if err := m.MayInstall(ctx, c.actor); err != nil {
		return nil, err
	}
	if r.Anchor == "" {
		return nil, desk.Invalid("the anchor is missing: it is what makes sure that the member which answers belongs to the federation that you were told of")
	}
	var in *membership.Installed
	for step := 0; ; step++ {
		have := len(m.Hashes())
		docs, versions, err := s.services.Exchange.Visit(ctx, r.Peer, have)
		switch {
		case err != nil:
			return nil, desk.Conflict("%s does not give its roster: %v. A member lets in whom its roster lists: if this country is not listed yet, give its member.jws to the key holders first, or join from a file", r.Peer, err)
		case len(docs) == 0 && have == 0:
			return nil, desk.Conflict("%s has no roster itself: ask another member", r.Peer)
		case len(docs) == 0 && in == nil: // joined before
			if docs, err = m.After(have - 1); err != nil {
				return nil, err
			}
		case len(docs) == 0:
			return s.joined(in), nil
		}
		key := c.key
		if step > 0 && key != "" {
			key = fmt.Sprintf("%s-%d", key, step)
		}
		if in, err = m.Install(ctx, c.actor, key, docs, r.Anchor); err != nil {
			return nil, err
		}
		if len(m.Hashes()) >= versions || len(m.Hashes()) == have {
			return s.joined(in), nil
		}
	}
}

func (s *Server) joined(in *membership.Installed) *Joined {
	j := &Joined{Installed: *in, Country: s.services.Country}
	if r := s.services.Membership.Current(); r != nil {
		_, j.Listed = r.ByCountry(string(j.Country))
	}
	return j
}
