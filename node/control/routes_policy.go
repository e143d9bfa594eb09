package control

import (
	"context"
	"net/http"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/sharing"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// ExplainRequest asks why an own document goes, or does not go, to a country.
type ExplainRequest struct {
	Document string           `json:"document"`
	To       protocol.Country `json:"to"`
}

// CompareRequest asks what other policies would decide differently about the own documents after an id.
type CompareRequest struct {
	Was   map[string]string `json:"was,omitempty"` // files; none: the policy in force
	Now   map[string]string `json:"now"`
	After string            `json:"after,omitempty"`
}

func (s *Server) routePolicy(mux *http.ServeMux) {
	d := s.services.Dispatch
	handle(s, mux, "policy.explain", func(ctx context.Context, c call, r ExplainRequest) (*dispatch.Explained, error) {
		if _, err := protocol.ParseCountry(string(r.To)); err != nil {
			return nil, desk.Invalid("%v", err)
		}
		entry := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Counterpart: string(r.To)},
			AuditBody: protocol.AuditBody{Kind: policy.KindDocument, Object: r.Document, Event: "sharing explained"}}
		return readPolicy(ctx, s, c, entry, func(tx *store.Tx) (*dispatch.Explained, error) { return d.Explain(tx, r.Document, r.To) })
	})
	handle(s, mux, "policy.compare", func(ctx context.Context, c call, r CompareRequest) (*dispatch.PolicyChange, error) {
		now, err := policy.LoadTexts(r.Now)
		if err != nil {
			return nil, desk.Invalid("%v", err)
		}
		was := s.services.Desk.Policy()
		if len(r.Was) > 0 {
			if was, err = policy.LoadTexts(r.Was); err != nil {
				return nil, desk.Invalid("%v", err)
			}
		}
		entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindPolicy, Object: now.Version(), Event: "policies compared",
			Details: map[string]string{"old": was.Version(), "new": now.Version(), "after": r.After}}}
		return readPolicy(ctx, s, c, entry, func(tx *store.Tx) (*dispatch.PolicyChange, error) { return d.ComparePolicies(tx, was, now, r.After) })
	})
}

// PolicyFiles are policies to put in force, with the cases beside them.
type PolicyFiles struct {
	Files map[string]string `json:"files"`
	Note  string            `json:"note,omitempty"`
}

// PolicyVersion names a proposal by the beginning of its version.
type PolicyVersion struct {
	Version string `json:"version"`
	Note    string `json:"note,omitempty"`
}

func (s *Server) routeSharing(mux *http.ServeMux) {
	sh := s.services.Sharing
	handle(s, mux, "policy.apply", func(ctx context.Context, c call, r PolicyFiles) (*sharing.Proposal, error) {
		return sh.Apply(ctx, c.actor, c.key, r.Files, r.Note)
	})
	handle(s, mux, "policy.approve", func(ctx context.Context, c call, r PolicyVersion) (*sharing.Proposal, error) {
		return sh.Approve(ctx, c.actor, c.key, r.Version)
	})
	handle(s, mux, "policy.reject", func(ctx context.Context, c call, r PolicyVersion) (*sharing.Proposal, error) {
		return sh.Reject(ctx, c.actor, c.key, r.Version, r.Note)
	})
	handle(s, mux, "policy.proposals", func(ctx context.Context, c call, _ None) ([]*sharing.Proposal, error) {
		entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindPolicy, Event: "proposed policies listed"}}
		return readPolicy(ctx, s, c, entry, sh.List)
	})
	handle(s, mux, "policy.show", func(ctx context.Context, c call, r PolicyVersion) (*sharing.Proposal, error) {
		entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindPolicy, Object: r.Version, Event: "proposed policy viewed"}}
		return readPolicy(ctx, s, c, entry, func(*store.Tx) (*sharing.Proposal, error) { return sh.Get(r.Version) })
	})
}

func readPolicy[T any](ctx context.Context, s *Server, c call, entry protocol.AuditEntry, fn func(*store.Tx) (T, error)) (T, error) {
	act := desk.Act{Actor: c.actor, Action: policy.PolicyView, Resource: policy.Resource{Type: policy.KindPolicy}}
	return desk.Read(ctx, s.services.Desk, act, entry, fn)
}
