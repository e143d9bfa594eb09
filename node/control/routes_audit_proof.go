package control

import (
	"context"
	"io"
	"net/http"

	"proofmark/crypto/proof"
	"proofmark/node/accounting"
	"proofmark/node/desk"
	"proofmark/protocol"
)

// ChannelRef names the other country of a channel.
type ChannelRef struct {
	With string `json:"with"`
}

func (s *Server) routeAuditProof(mux *http.ServeMux) {
	k := s.services.Accounting
	handle(s, mux, "audit.prove", func(ctx context.Context, c call, r accounting.ProveRequest) (*accounting.Proved, error) {
		return k.Prove(ctx, c.actor, r)
	})
	handleDownload(s, mux, "audit.statement", func(ctx context.Context, c call, r ChannelRef, w io.Writer) (*accounting.StatementMade, error) {
		with, err := protocol.ParseCountry(r.With)
		if err != nil {
			return nil, desk.Invalid("%v", err)
		}
		return k.Statement(ctx, c.actor, with, w)
	})
	handleDownload(s, mux, "audit.report", func(ctx context.Context, c call, r accounting.ReportRequest, w io.Writer) (*accounting.Reported, error) {
		return k.Report(ctx, c.actor, r, w)
	})
	handle(s, mux, "audit.reconcile", func(ctx context.Context, c call, r ChannelRef) (*proof.Reconciliation, error) {
		with, err := protocol.ParseCountry(r.With)
		if err != nil {
			return nil, desk.Invalid("%v", err)
		}
		return k.Reconcile(ctx, c.actor, with, c.progress)
	})
}
