package control

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"proofmark/crypto/extract"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// ExportRequest chooses what is exported: as a query does, without a text, a limit and pages.
type ExportRequest struct {
	AuditRequest
	CSV bool `json:"csv,omitempty"` // a table; otherwise JSON lines
}

// Exported says what an export holds.
type Exported struct {
	Rows    int64  `json:"rows"`
	Entries int64  `json:"entries"` // of the log that its checkpoint covers
	Root    string `json:"root"`

	Handling protocol.Handling `json:"handling,omitempty"` // of all rows, each of which says its own
	protocol.Said
}

// Marks implements protocol.Marked.
func (e *Exported) Marks() (protocol.Handling, []string) { return e.Handling, nil }

func (s *Server) routeAuditExport(mux *http.ServeMux) {
	handleDownload(s, mux, "audit.export", s.auditExport)
}

// auditExport writes the chosen entries as an extract, from one snapshot of the log. The export's own entry is in the checkpoint beside it.
func (s *Server) auditExport(ctx context.Context, c call, r ExportRequest, w io.Writer) (*Exported, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	asked, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	act := desk.Act{Actor: c.actor, Action: policy.AuditExport, Resource: policy.Resource{Type: policy.KindAudit}}
	entry := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Counterpart: r.Counterpart},
		AuditBody: protocol.AuditBody{Kind: policy.KindAudit, Event: "audit log exported", Details: map[string]string{"query": string(asked)}}}
	return desk.Read(ctx, s.services.Desk, act, entry, func(tx *store.Tx) (*Exported, error) {
		note, err := tx.Checkpoint()
		if err != nil {
			return nil, err
		}
		size, root, err := store.ParseCheckpoint(note)
		if err != nil {
			return nil, err
		}
		x, err := extract.NewWriter(w, note, size, tx.AuditHashes(), asked, r.CSV)
		if err != nil {
			return nil, err
		}
		if err := tx.WalkAudit(ctx, r.query(), nil, x.Add); err != nil {
			return nil, err
		}
		return &Exported{Rows: x.Rows(), Entries: size, Root: root.String(), Handling: x.Handling()}, x.Close()
	})
}
