package node

import (
	"errors"
	"sync/atomic"
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
// for it with its member alone, and ended by the clock while its member is away: what waits for the member is not sent, and no copy is left.
func TestAnOperationBetweenNodes(t *testing.T) {
	pt, es, fr := newBureau(t, "PT"), newBureau(t, "ES"), newBureau(t, "FR")
	var later atomic.Int64 // of the three clocks, beyond the machine's
	roles := map[string]string{"tech": "technician", "op": "ncb-operator", "op2": "ncb-operator", "aud": "auditor"}
	for _, b := range []*bureau{pt, es, fr} {
		b.now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		b.start()
		b.login(roles)
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

	es.halt()
	pt.prepare("PT-E3", maker.Firearm(9).Fire(1, synth.Shot{}))
	call[*ballistics.Exhibit](t, pt.people["tech"], "exhibit.tag", ballistics.TagExhibit{Exhibit: "PT-E3", Operation: v.Number})
	late := pt.enrol("PT-E3", maker.Firearm(9).Fire(1, synth.Shot{}))
	toES := func(id string) (state string) {
		shown := call[*dispatch.Shown](t, pt.people["op"], "document.show", control.Ref{Ref: id})
		for _, dl := range shown.Deliveries {
			if dl.Peer == "ES" {
				state = dl.State
			}
		}
		return state
	}
	if state := toES(late.Signature); state != dispatch.Queued {
		t.Fatalf("what is shared while ES is away: %s", state)
	}
	later.Store(int64(40 * 24 * time.Hour))
	es.start()
	for _, b := range []*bureau{pt, es} { // sessions are over
		for name := range roles {
			b.people[name] = b.session(control.LoginRequest{Name: name, Secret: testSecret + " " + name})
		}
	}
	after := pt.enrol("PT-E4", maker.Firearm(10).Fire(1, synth.Shot{}))
	eventually(t, "what is shared with all after the end, at ES", func() bool { return holds(es, after.Signature) })
	eventually(t, "the end of the copy at ES", func() bool {
		if err := errors.Join(es.node.operations.Tick(t.Context()), es.node.dispatch.Expire(t.Context())); err != nil {
			t.Fatal(err)
		}
		return !holds(es, shared.Signature)
	})
	eventually(t, "that what waited for ES is kept back", func() bool { return toES(late.Signature) == dispatch.Denied })
	if holds(es, late.Signature) {
		t.Error("what waited for ES went out after the operation's end")
	}
	if got := call[*operations.View](t, es.people["op"], "operation.show", control.Ref{Ref: v.Number}); got.Phase != operations.PhaseEnded {
		t.Errorf("the operation is %s", got.Phase)
	}
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
