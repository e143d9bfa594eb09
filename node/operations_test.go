package node

import (
	"testing"
	"time"

	"proofmark/correlate/synth"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/node/operations"
	"proofmark/protocol"
)

// TestAnOperationBetweenNodes is an operation over real hosts, stores and command sockets: founded and accepted by two people on each side, one exhibit shared
// for it with its member alone, and ended by its founder, after which no copy is left.
func TestAnOperationBetweenNodes(t *testing.T) {
	pt, es, fr := newBureau(t, "PT"), newBureau(t, "ES"), newBureau(t, "FR")
	for _, b := range []*bureau{pt, es, fr} {
		b.start()
		b.login(map[string]string{"tech": "technician", "op": "ncb-operator", "op2": "ncb-operator", "aud": "auditor"})
	}
	federate(t, pt, es, fr)
	v := call[*operations.View](t, pt.people["op"], "operation.propose", operations.NewOperation{Name: "Converted pistols", Purpose: "find the workshops",
		LegalBasis: "agreement of 3 May 2025", Members: []protocol.Country{"ES"}, Until: time.Now().AddDate(0, 1, 0)})
	v = call[*operations.View](t, pt.people["op2"], "operation.approve", control.Ref{Ref: v.Number})
	seen := func(b *bureau, ready func(v *operations.View) bool) func() bool {
		return func() bool {
			got, err := control.Call[*operations.View](t.Context(), b.people["op"], "operation.show", "", control.Ref{Ref: v.Number})
			return err == nil && ready(got)
		}
	}
	eventually(t, "the operation at ES", seen(es, func(v *operations.View) bool { return v.Phase == operations.PhaseOffered }))
	call[*operations.View](t, es.people["op"], "operation.accept", operations.Note{Ref: v.Number})
	call[*operations.View](t, es.people["op2"], "operation.approve", control.Ref{Ref: v.Number})

	// Tagged before it was scanned: it goes to ES alone.
	maker := synth.NewMaker(1)
	pt.prepare("PT-E1", maker.Firearm(7).Fire(1, synth.Shot{}))
	call[*ballistics.Exhibit](t, pt.people["tech"], "exhibit.tag", ballistics.TagExhibit{Exhibit: "PT-E1", Operation: v.Number})
	shared := pt.enrol("PT-E1", maker.Firearm(7).Fire(1, synth.Shot{}))
	open := pt.enrol("PT-E2", maker.Firearm(8).Fire(1, synth.Shot{}))
	holds := func(b *bureau, id string) bool {
		_, err := control.Call[*dispatch.Shown](t.Context(), b.people["op"], "document.show", "", control.Ref{Ref: id})
		return err == nil
	}
	eventually(t, "what is shared for the operation at ES", func() bool { return holds(es, shared.Signature) })
	eventually(t, "what is shared with all at FR", func() bool { return holds(fr, open.Signature) })
	if holds(fr, shared.Signature) {
		t.Error("FR is in no operation and holds what was shared for it")
	}
	ex := call[*dispatch.Explained](t, pt.people["op"], "policy.explain", control.ExplainRequest{Document: shared.Signature, To: "ES"})
	if !ex.Allow || len(ex.Terms.Operations) != 1 || ex.Terms.RetainUntil.After(v.Body.Until) || len(ex.Sources["operation:"+v.Number]) != 1 {
		t.Errorf("explained: %+v", ex)
	}
	if ex = call[*dispatch.Explained](t, pt.people["op"], "policy.explain", control.ExplainRequest{Document: shared.Signature, To: "FR"}); ex.Allow {
		t.Errorf("explained: %+v", ex)
	}

	call[*operations.View](t, pt.people["op"], "operation.end", operations.Note{Ref: v.Number, Note: "the workshops were found"})
	eventually(t, "the end of the copy at ES", func() bool { return !holds(es, shared.Signature) })
	if !holds(es, open.Signature) {
		t.Error("ES lost what was not shared for the operation")
	}
	if ex = call[*dispatch.Explained](t, pt.people["op"], "policy.explain", control.ExplainRequest{Document: shared.Signature, To: "ES"}); ex.Allow {
		t.Errorf("explained after the end: %+v", ex)
	}
	for _, b := range []*bureau{pt, es} {
		if a := call[control.AuditVerified](t, b.people["aud"], "audit.verify", control.None{}); !a.Verified {
			t.Errorf("%s: audit log: %+v", b.country, a)
		}
	}
}
