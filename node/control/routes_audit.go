package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// AuditVerified is what a verification of the whole log found.
type AuditVerified struct {
	Entries    int64  `json:"entries"`
	Erased     int64  `json:"erased"` // entries whose body retention erased
	Root       string `json:"root"`
	Checkpoint string `json:"checkpoint"` // signed note
	Verified   bool   `json:"verified"`
	Fault      string `json:"fault,omitempty"` // where and what, if not verified
}

// AuditRequest chooses entries of the log.
type AuditRequest struct {
	Actor       string    `json:"actor,omitempty"`
	Action      string    `json:"action,omitempty"`
	Object      string    `json:"object,omitempty"`
	Counterpart string    `json:"counterpart,omitempty"`
	Decision    string    `json:"decision,omitempty"`
	Kind        string    `json:"kind,omitempty"`
	Case        string    `json:"case,omitempty"`
	Purpose     string    `json:"purpose,omitempty"`
	Text        string    `json:"text,omitempty"`
	Since       time.Time `json:"since,omitzero"`
	Until       time.Time `json:"until,omitzero"`
	Limit       int       `json:"limit,omitempty"`
	Before      int64     `json:"before,omitempty"` // entries below this index only: the next page
}

func (s *Server) routeAudit(mux *http.ServeMux) {
	handle(s, mux, "audit.verify", s.auditVerify)
	handle(s, mux, "audit.query", s.auditQuery)
}

// read1 authorises one view, records it, and runs fn.
func read1[T any](ctx context.Context, s *Server, c call, action policy.Action, kind, event string, fn func(*store.Tx) (T, error)) (T, error) {
	act := desk.Act{Actor: c.actor, Action: action, Resource: policy.Resource{Type: kind}}
	return desk.Read(ctx, s.services.Desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: kind, Event: event}}, fn)
}

func (s *Server) auditVerify(ctx context.Context, c call, _ None) (AuditVerified, error) {
	var out AuditVerified
	if _, err := read1(ctx, s, c, policy.AuditVerify, policy.KindAudit, "audit log verified", func(*store.Tx) (None, error) { return None{}, nil }); err != nil {
		return out, err
	}
	v, err := s.services.LogVerifier()
	if err != nil {
		return out, err
	}
	report, err := s.services.Store.VerifyAudit(ctx, v, c.progress)
	var fault *store.AuditFault
	if errors.As(err, &fault) {
		return AuditVerified{Fault: fault.Error()}, nil
	}
	if err != nil {
		return out, err
	}
	return AuditVerified{Entries: report.Size, Erased: report.Erased, Root: report.Root.String(), Checkpoint: string(report.Checkpoint), Verified: true}, nil
}

func (s *Server) auditQuery(ctx context.Context, c call, r AuditRequest) ([]store.AuditRecord, error) {
	asked, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	size, err := s.services.Store.AuditSize() // the query's own entry is not among what it finds
	if err != nil {
		return nil, err
	}
	act := desk.Act{Actor: c.actor, Action: policy.AuditQuery, Resource: policy.Resource{Type: policy.KindAudit}}
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindAudit, Event: "audit log queried", Details: map[string]string{"query": string(asked)}}}
	if _, err := desk.Read(ctx, s.services.Desk, act, entry, func(*store.Tx) (None, error) { return None{}, nil }); err != nil {
		return nil, err
	}
	q := store.AuditQuery{Actor: r.Actor, Action: r.Action, Object: r.Object, Counterpart: r.Counterpart, Decision: r.Decision, Kind: r.Kind, Case: r.Case,
		Purpose: r.Purpose, Text: r.Text, Since: r.Since, Until: r.Until, Limit: r.Limit, Before: r.Before}
	if q.Before <= 0 {
		q.Before = max(size, 1)
	}
	if q.Limit <= 0 || q.Limit > 10000 {
		q.Limit = 100
	}
	records, err := s.services.Store.QueryAudit(ctx, q)
	if records == nil {
		records = []store.AuditRecord{}
	}
	return records, err
}
