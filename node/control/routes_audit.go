package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"proofmark/node/accounting"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// AuditVerified is what a verification of the log found.
type AuditVerified struct {
	From       int64    `json:"from,omitempty"` // entries before this one were covered by the earlier checkpoint and not read again
	Entries    int64    `json:"entries"`
	Erased     int64    `json:"erased"` // entries whose body retention erased
	Root       string   `json:"root"`
	Checkpoint string   `json:"checkpoint"`            // signed note
	Proof      []string `json:"consistency,omitempty"` // that the earlier checkpoint's tree is the beginning of this one, RFC 6962
	Verified   bool     `json:"verified"`
	Fault      string   `json:"fault,omitempty"` // where and what, if not verified
}

// VerifyRequest asks for a verification; with an earlier checkpoint, of what came since.
type VerifyRequest struct {
	Since string `json:"since,omitempty"` // signed note
}

// AuditCheckpoint is the signed head of the log.
type AuditCheckpoint struct {
	Entries    int64  `json:"entries"`
	Root       string `json:"root"`
	Checkpoint string `json:"checkpoint"`
}

// AuditFound is what a query found, the newest first.
type AuditFound struct {
	Entries []store.AuditRecord `json:"entries"`
	Looked  int64               `json:"looked"`         // entries that were read
	Next    int64               `json:"next,omitempty"` // entries below this index may fit too; 0: there are none
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
	Policy      string    `json:"policy,omitempty"`
	Handling    string    `json:"handling,omitempty"`
	Ground      string    `json:"ground,omitempty"`
	Text        string    `json:"text,omitempty"`
	Since       time.Time `json:"since,omitzero"`
	Until       time.Time `json:"until,omitzero"`
	Limit       int       `json:"limit,omitempty"`
	Before      int64     `json:"before,omitempty"` // entries below this index only: the next page
	Look        int64     `json:"look,omitempty"`   // entries to read at most; 0 = defaultLook
}

// Limits of a query that no index narrows down.
const (
	defaultLook = 200_000
	maxFound    = 10_000
)

// TrailRequest asks who ever received an exhibit or asked for it.
type TrailRequest struct {
	Ref  string `json:"ref"`
	Look int    `json:"look,omitempty"` // erased entries to count at most; 0 = 2,000
}

func (s *Server) routeAudit(mux *http.ServeMux) {
	handle(s, mux, "audit.verify", s.auditVerify)
	handle(s, mux, "audit.checkpoint", s.auditCheckpoint)
	handle(s, mux, "audit.find", s.auditFind)
	handle(s, mux, "audit.query", func(ctx context.Context, c call, r AuditRequest) ([]store.AuditRecord, error) { // audit.find without how far it looked
		found, err := s.auditFind(ctx, c, r)
		if err != nil {
			return nil, err
		}
		return found.Entries, nil
	})
	handle(s, mux, "audit.exhibit", func(ctx context.Context, c call, r TrailRequest) (*accounting.Trail, error) {
		return s.services.Accounting.Trail(ctx, c.actor, r.Ref, r.Look)
	})
}

// read1 authorises one view, records it, and runs fn.
func read1[T any](ctx context.Context, s *Server, c call, action policy.Action, kind, event string, fn func(*store.Tx) (T, error)) (T, error) {
	act := desk.Act{Actor: c.actor, Action: action, Resource: policy.Resource{Type: kind}}
	return desk.Read(ctx, s.services.Desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: kind, Event: event}}, fn)
}

func (s *Server) auditVerify(ctx context.Context, c call, r VerifyRequest) (AuditVerified, error) {
	var out AuditVerified
	if len(r.Since) > maxCheckpoint {
		return out, desk.Invalid("the earlier checkpoint has %d bytes, the limit is %d: it is another file", len(r.Since), maxCheckpoint)
	}
	event := "audit log verified"
	if r.Since != "" {
		event = "audit log verified since an earlier checkpoint"
	}
	if _, err := read1(ctx, s, c, policy.AuditVerify, policy.KindAudit, event, func(*store.Tx) (None, error) { return None{}, nil }); err != nil {
		return out, err
	}
	v, err := s.services.LogVerifier()
	if err != nil {
		return out, err
	}
	var report store.AuditReport
	if r.Since == "" {
		report, err = s.services.Store.VerifyAudit(ctx, v, c.progress)
	} else {
		report, err = s.services.Store.VerifyAuditSince(ctx, v, []byte(r.Since), c.progress)
	}
	var fault *store.AuditFault
	if errors.As(err, &fault) {
		return AuditVerified{Fault: fault.Error()}, nil
	}
	if err != nil {
		return out, err
	}
	out = AuditVerified{From: report.From, Entries: report.Size, Erased: report.Erased, Root: report.Root.String(), Checkpoint: string(report.Checkpoint), Verified: true}
	for _, h := range report.Proof {
		out.Proof = append(out.Proof, h.String())
	}
	return out, nil
}

// maxCheckpoint bounds a signed note: three lines and the signatures of this node and its witnesses.
const maxCheckpoint = 64 << 10

func (s *Server) auditCheckpoint(ctx context.Context, c call, _ None) (AuditCheckpoint, error) {
	return read1(ctx, s, c, policy.AuditVerify, policy.KindAudit, "audit checkpoint saved", func(tx *store.Tx) (AuditCheckpoint, error) {
		note, err := tx.Checkpoint()
		if err != nil {
			return AuditCheckpoint{}, err
		}
		size, root, err := store.ParseCheckpoint(note)
		return AuditCheckpoint{Entries: size, Root: root.String(), Checkpoint: string(note)}, err
	})
}

// check refuses words that no entry can have: to such a question "no entry fits" would be taken for an answer.
func (r *AuditRequest) check() error {
	if _, err := protocol.ParseCountry(r.Counterpart); r.Counterpart != "" && err != nil {
		return desk.Invalid("counterpart: %v", err)
	}
	for _, c := range []struct {
		name, word string
		known      []string
	}{
		{"action", r.Action, protocol.AuditActions},
		{"decision", r.Decision, []string{"permit", "deny"}},
		{"handling", r.Handling, protocol.HandlingCodes},
	} {
		if c.word != "" && !slices.Contains(c.known, c.word) {
			return desk.Invalid("%s: %.40q is none of %s", c.name, c.word, strings.Join(c.known, ", "))
		}
	}
	if !r.Since.IsZero() && !r.Until.IsZero() && !r.Since.Before(r.Until) {
		return desk.Invalid("the period ends (%s) before it begins (%s)", r.Until.Format(time.DateOnly), r.Since.Format(time.DateOnly))
	}
	return nil
}

// query is the part of a request that selects.
func (r *AuditRequest) query() store.AuditQuery {
	return store.AuditQuery{Actor: r.Actor, Action: r.Action, Object: r.Object, Counterpart: r.Counterpart, Decision: r.Decision, Ground: r.Ground, Kind: r.Kind,
		Case: r.Case, Purpose: r.Purpose, Policy: r.Policy, Handling: r.Handling, Text: r.Text, Since: r.Since, Until: r.Until}
}

func (s *Server) auditFind(ctx context.Context, c call, r AuditRequest) (*AuditFound, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
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
	q := r.query()
	if q.Before = r.Before; q.Before <= 0 {
		q.Before = max(size, 1)
	}
	want, look := r.Limit, r.Look
	if want <= 0 || want > maxFound {
		want = 100
	}
	if look <= 0 {
		look = defaultLook
	}
	found := &AuditFound{Entries: []store.AuditRecord{}}
	for {
		q.Limit = want - len(found.Entries)
		page, err := s.services.Store.FindAudit(ctx, q)
		if err != nil {
			return nil, err
		}
		found.Entries = append(found.Entries, page.Records...)
		found.Looked += int64(page.Looked)
		if found.Next = page.Next; page.Next == 0 || len(found.Entries) == want || found.Looked >= look {
			return found, nil
		}
		q.Before = page.Next
		c.progress(size-page.Next, size)
	}
}
