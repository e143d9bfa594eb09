package node

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/crypto"
	"proofmark/node/backup"
	"proofmark/node/ballistics"
	"proofmark/node/bundle"
	"proofmark/node/control"
	"proofmark/node/custody"
	"proofmark/node/dispatch"
	"proofmark/node/operations"
	"proofmark/node/release"
	"proofmark/node/retention"
	"proofmark/node/sharing"
	"proofmark/node/tracing"
	"proofmark/policy"
	"proofmark/protocol"
)

// TestEveryCommandAsksTheDecisionFunction walks over all commands that the node's router serves, each with a request that means something in the middle of
// a bureau's work: permitted to the roles of the table, which is written by hand from the handbook and agrees with the decision function, asked by itself;
// refused to everybody else in words that do not depend on what is there; and each time in the log.
func TestEveryCommandAsksTheDecisionFunction(t *testing.T) {
	w := newWalk(t)
	seen := map[string]bool{"login": true, "status": true} // open: their own tests
	for _, rows := range []func() []row{w.caseRows, w.candidateRows, w.firearmRows, w.scanRows, w.operationRows, w.documentRows, w.approvalRows, w.retentionRows, w.policyRows,
		w.auditRows, w.backupRows, w.memberRows, w.peopleRows} {
		for _, r := range rows() {
			w.step(r)
			seen[r.name] = true
		}
	}
	w.ownSession(seen)
	for _, name := range w.pt.commands() {
		if !seen[name] {
			t.Errorf("the command %s has no row in the walk", name)
		}
	}
	w.strangersAreCounted()
	w.underAnotherPolicy()
	if v := call[control.AuditVerified](t, w.pt.people["aud"], "audit.verify", control.VerifyRequest{}); !v.Verified {
		t.Error(v.Fault)
	}
}

// of makes the same request for everybody.
func of(body any, object string) func(string) request {
	return func(string) request { return request{body: body, object: object} }
}

// absent is a request about an object that is not there.
func absent(body any, object string) func() request {
	return func() request { return request{body: body, object: object} }
}

const (
	noUUID = "01900000-0000-7000-8000-000000005054" // a document's id that nothing has
	noPair = "00000000000000000000000000000000"
)

func (w *walk) caseRows() []row {
	when := time.Now().Add(-48 * time.Hour).UTC().Truncate(time.Second)
	var scan bytes.Buffer
	if err := x3p.Write(&scan, synth.NewMaker(1).Firearm(7).Fire(1, synth.Shot{})); err != nil {
		w.t.Fatal(err)
	}
	acquire := func(exhibit string) request {
		return request{object: exhibit, files: scan.Bytes(), body: ballistics.NewAcquisition{Exhibit: exhibit, ROI: "breech-face", Scans: []ballistics.File{{Name: "a.x3p", Size: int64(scan.Len())}}}}
	}
	return []row{
		{name: "case.add", roles: "t", makes: true, actions: []policy.Action{policy.CaseAdd}, ask: of(ballistics.NewCase{Reference: "PT-1", Agency: "Judicial Police"}, "PT-1")},
		{name: "case.list", roles: "tei", actions: []policy.Action{policy.CaseView}, ask: of(control.None{}, "")},
		{name: "incident.add", roles: "t", actions: []policy.Action{policy.CaseAdd}, ask: of(ballistics.NewIncident{Case: "PT-1", Occurred: protocol.Interval{From: when, To: when.Add(time.Hour)},
			Place: "Secret Street 7", Offence: "homicide"}, ""), nothing: absent(ballistics.NewIncident{Case: "PT-none"}, "PT-none")},
		{name: "incident.list", roles: "tei", actions: []policy.Action{policy.CaseView}, ask: of(control.CaseRef{Case: "PT-1"}, ""), nothing: absent(control.CaseRef{Case: "PT-none"}, "PT-none")},
		{name: "exhibit.add", roles: "t", makes: true, actions: []policy.Action{policy.ExhibitAdd}, ask: of(ballistics.NewExhibit{Number: "PT-E1", Case: "PT-1", Origin: protocol.Evidence, Calibre: "9 mm Luger"}, "PT-E1")},
		{name: "exhibit.list", roles: "te", actions: []policy.Action{policy.ExhibitView}, ask: of(control.CaseRef{Case: "PT-1"}, "")},
		{name: "exhibit.show", roles: "te", actions: []policy.Action{policy.ExhibitView}, ask: of(control.Ref{Ref: "PT-E1"}, "PT-E1"), nothing: absent(control.Ref{Ref: "PT-E0"}, "PT-E0")},
		{name: "acquire", roles: "t", actions: []policy.Action{policy.Acquire}, ask: func(string) request { return acquire("PT-E1") }, nothing: func() request { return acquire("PT-E0") },
			then: w.abroad},
	}
}

// abroad: what is found at the other bureau, and what is sent from there.
func (w *walk) abroad() {
	gun, other := synth.NewMaker(1).Firearm(7), synth.NewMaker(1).Firearm(8)
	w.pt.enrol("PT-E2", gun.Fire(3, synth.Shot{}))
	w.pt.enrol("PT-E3", other.Fire(4, synth.Shot{}))
	theirs := w.es.enrol("ES-E1", gun.Fire(2, synth.Shot{}))
	for _, own := range []string{"PT-E1", "PT-E2", "PT-E3"} {
		eventually(w.t, own+" at ES", func() bool { return w.es.holds(w.signature(own)) })
	}
	for _, own := range []string{"PT-E1", "PT-E2"} {
		for _, b := range []*bureau{w.pt, w.es} {
			eventually(w.t, "the candidate at "+b.country, func() bool {
				_, err := control.Call[*ballistics.CandidateView](w.t.Context(), b.people["tech"], "candidates.show", "", control.Ref{Ref: protocol.PairID(w.signature(own), theirs.Signature)})
				return err == nil
			})
		}
	}
	in := w.pair("PT-E2")
	for _, who := range []string{"tech", "exam1"} {
		call[*ballistics.CandidateView](w.t, w.es.people[who], "candidates.review", ballistics.NewReview{Pair: in, Verdict: protocol.VerdictLead})
	}
	call[*ballistics.Lead](w.t, w.es.people["exam1"], "lead.release", control.LeadRequest{Pair: in})
	eventually(w.t, "the lead of ES", func() bool {
		_, err := control.Call[*ballistics.Lead](w.t.Context(), w.pt.people["inv"], "lead.show", "", control.Ref{Ref: in})
		return err == nil
	})
}

// signature is that of an own exhibit; theirs that of the one of ES.
func (w *walk) signature(exhibit string) string {
	e := call[*ballistics.ExhibitView](w.t, w.pt.people["tech"], "exhibit.show", control.Ref{Ref: exhibit})
	return e.Acquisitions[0].Signature
}

func (w *walk) theirs() string {
	e := call[*ballistics.ExhibitView](w.t, w.es.people["tech"], "exhibit.show", control.Ref{Ref: "ES-E1"})
	return e.Acquisitions[0].Signature
}

func (w *walk) pair(own string) string { return protocol.PairID(w.signature(own), w.theirs()) }

func (w *walk) candidateRows() []row {
	out, in := w.pair("PT-E1"), w.pair("PT-E2")
	view := []policy.Action{policy.CandidatesView}
	lead := func(pair, code, text string) control.LeadRequest {
		return control.LeadRequest{Pair: pair, Code: code, Text: text}
	}
	codes := []string{"USEFUL_LINK", "ARREST", "CHARGE"}
	feedback := row{name: "lead.feedback", roles: "i", actions: []policy.Action{policy.GiveFeedback}, nothing: absent(lead(noPair, "ARREST", ""), noPair)}
	var again []row
	for _, code := range codes {
		f := feedback
		f.ask = of(lead(in, code, "it helped"), in)
		again = append(again, f)
	}
	return append([]row{
		{name: "candidates.list", roles: "te", actions: []policy.Action{policy.CandidatesList}, ask: of(ballistics.CandidateFilter{Exhibit: "PT-E1"}, "PT-E1"),
			nothing: absent(ballistics.CandidateFilter{Exhibit: "PT-E0"}, "PT-E0")},
		{name: "candidates.fused", roles: "te", actions: []policy.Action{policy.CandidatesList}, ask: of(ballistics.CandidateFilter{Exhibit: "PT-E1"}, "PT-E1"),
			nothing: absent(ballistics.CandidateFilter{Exhibit: "PT-E0"}, "PT-E0")},
		{name: "candidates.show", roles: "te", actions: view, ask: of(control.Ref{Ref: out}, out), nothing: absent(control.Ref{Ref: noPair}, noPair)},
		{name: "candidates.picture", roles: "te", actions: view, ask: of(control.Ref{Ref: out}, out), nothing: absent(control.Ref{Ref: noPair}, noPair)},
		{name: "candidates.review", roles: "te", actions: []policy.Action{policy.ReviewPrimary, policy.ReviewSecondary}, ask: of(ballistics.NewReview{Pair: out, Verdict: protocol.VerdictLead}, out),
			nothing: absent(ballistics.NewReview{Pair: noPair, Verdict: protocol.VerdictLead}, noPair)},
		{name: "lead.release", roles: "e", actions: []policy.Action{policy.LeadRelease}, ask: of(lead(out, "", ""), out), nothing: absent(lead(noPair, "", ""), noPair)},
		{name: "lead.list", roles: "eio", actions: []policy.Action{policy.LeadView}, ask: of(control.None{}, "")},
		{name: "lead.show", roles: "eio", actions: []policy.Action{policy.LeadView}, ask: of(control.Ref{Ref: out}, out), nothing: absent(control.Ref{Ref: noPair}, noPair)},
		{name: "lead.ack", roles: "o", actions: []policy.Action{policy.LeadAcknowledge}, ask: of(lead(in, "", "on it"), in), nothing: absent(lead(noPair, "", ""), noPair)},
		{name: "hit.confirm", roles: "e", actions: []policy.Action{policy.HitConfirm, policy.HitVerify}, ask: of(ballistics.NewConfirmation{Pair: in, Conclusion: protocol.Identification,
			Items: []string{"PT-E2", "a cast of ES-E1"}, Where: "LPC Lisbon"}, in), nothing: absent(ballistics.NewConfirmation{Pair: noPair}, noPair)},
		{name: "lead.retract", roles: "e", actions: []policy.Action{policy.LeadRetract}, ask: of(lead(out, "", "two casts were mixed up"), out), nothing: absent(lead(noPair, "", "x"), noPair)},
	}, again...)
}

func newGun(reference string) tracing.NewFirearm {
	return tracing.NewFirearm{Reference: reference, Status: "stolen", StatusDate: time.Now().AddDate(0, -1, 0),
		FirearmDescription: protocol.FirearmDescription{Kind: "pistol", Make: "Glock", Model: "17", Calibre: "9 mm Luger", Serial: "ABC123"}}
}

func newTrace(to protocol.Country) tracing.NewTrace {
	return tracing.NewTrace{To: to, Firearm: newGun("").FirearmDescription, LegalJustification: "art. 5", Circumstances: "found in a car", IntendedUse: "investigation", Agency: "Judicial Police"}
}

func (w *walk) firearmRows() []row {
	search := []policy.Action{policy.FirearmSearch}
	byOp, byOther := w.answeredByES(), w.answeredByES()
	came := call[*tracing.Trace](w.t, w.es.people["op"], "trace.new", newTrace("PT"))
	eventually(w.t, "the trace of ES", func() bool {
		_, err := control.Call[*tracing.Trace](w.t.Context(), w.pt.people["op"], "trace.show", "", control.Ref{Ref: came.ID})
		return err == nil
	})
	return []row{
		{name: "firearm.add", roles: "o", actions: []policy.Action{policy.FirearmAdd}, ask: of(newGun("PT-F-1"), "PT-F-1")},
		{name: "firearm.import", roles: "o", actions: []policy.Action{policy.FirearmImport}, ask: func(string) request {
			return request{body: control.ImportRequest{Name: "stolen.csv"}, object: "stolen.csv", files: []byte("reference,status,status_date,kind,make,serial\nPT-F-2,stolen,2026-01-02,pistol,Glock,XYZ789\n")}
		}},
		{name: "firearm.search", roles: "o", actions: search, ask: of(tracing.SearchQuery{FirearmDescription: protocol.FirearmDescription{Serial: "ABC123", Make: "Glock"}}, "")},
		{name: "firearm.list", roles: "o", actions: search, ask: of(tracing.FirearmFilter{}, "")},
		{name: "firearm.show", roles: "o", actions: search, ask: of(control.Ref{Ref: "PT-F-1"}, "PT-F-1"), nothing: absent(control.Ref{Ref: "PT-F-0"}, "PT-F-0")},
		{name: "trace.new", roles: "io", actions: []policy.Action{policy.TraceNew}, ask: of(newTrace("ES"), "")},
		{name: "trace.list", roles: "io", actions: []policy.Action{policy.TraceView}, ask: of(tracing.TraceFilter{}, "")},
		{name: "trace.show", roles: "io", actions: []policy.Action{policy.TraceView}, ask: of(control.Ref{Ref: came.ID}, came.ID), nothing: absent(control.Ref{Ref: noUUID}, noUUID)},
		{name: "trace.ack", roles: "o", actions: []policy.Action{policy.TraceAck}, ask: of(control.TraceNote{Ref: came.ID, Note: "seen"}, came.ID), nothing: absent(control.TraceNote{Ref: noUUID}, noUUID)},
		{name: "trace.answer", roles: "o", actions: []policy.Action{policy.TraceRespond}, ask: of(control.TraceAnswer{Ref: came.ID, Answer: tracing.Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}}}, came.ID),
			nothing: absent(control.TraceAnswer{Ref: noUUID, Answer: tracing.Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}}}, noUUID)},
		{name: "trace.close", roles: "io", actions: []policy.Action{policy.TraceClose}, ask: func(who string) request {
			id := byOther
			if who == "op" {
				id = byOp
			}
			return request{body: control.TraceNote{Ref: id, Note: "read"}, object: id}
		}, nothing: absent(control.TraceNote{Ref: noUUID}, noUUID)},
	}
}

func (w *walk) scanRows() []row {
	var asked []*release.Request
	for _, own := range []string{"PT-E1", "PT-E2", "PT-E3"} {
		asked = append(asked, call[*release.Request](w.t, w.es.people["exam1"], "scan.request", release.Ask{Signature: w.signature(own), Reason: "compare side by side"}))
	}
	for _, q := range asked {
		eventually(w.t, "a request of ES", func() bool {
			got, err := control.Call[*release.Request](w.t.Context(), w.pt.people["op"], "scan.show", "", control.Ref{Ref: q.ID})
			return err == nil && got.State == release.Awaiting
		})
	}
	theirs := w.theirs()
	var own *release.Request
	ref := func(string) request {
		list := call[[]*release.Request](w.t, w.pt.people["exam2"], "scan.list", control.None{})
		own = list[slices.IndexFunc(list, func(r *release.Request) bool { return strings.HasPrefix(r.Number, "PT-") })]
		return request{body: control.Ref{Ref: own.ID}, object: own.ID}
	}
	released := func() {
		ref("")
		eventually(w.t, "the request at ES", func() bool {
			q, err := control.Call[*release.Request](w.t.Context(), w.es.people["op"], "scan.show", "", control.Ref{Ref: own.ID})
			return err == nil && q.State == release.Awaiting
		})
		for _, who := range []string{"exam1", "op"} {
			call[*release.Request](w.t, w.es.people[who], "scan.approve", control.ScanDecision{Ref: own.ID})
		}
		eventually(w.t, "the scan of ES", func() bool { return w.pt.scan("exam1", own.ID).State == release.Received })
	}
	no := absent(control.Ref{Ref: noUUID}, noUUID)
	refusal := func(who string) request {
		at := map[string]int{"op": 2}[who]
		if at == 0 {
			at = 1
		}
		return request{body: control.ScanDecision{Ref: asked[at].ID, Code: protocol.ScanLaw}, object: asked[at].ID}
	}
	return []row{
		{name: "scan.request", roles: "e", makes: true, actions: []policy.Action{policy.ScanRequest}, ask: of(release.Ask{Signature: theirs, Reason: "compare"}, theirs),
			nothing: absent(release.Ask{Signature: noUUID, Reason: "a guess"}, noUUID), then: released},
		{name: "scan.list", roles: "eo", actions: []policy.Action{policy.ScanView}, ask: of(control.None{}, "")},
		{name: "scan.show", roles: "eo", actions: []policy.Action{policy.ScanView}, ask: ref, nothing: no},
		{name: "scan.fetch", roles: "e", actions: []policy.Action{policy.ScanSave}, ask: ref, nothing: no},
		{name: "scan.save", roles: "e", actions: []policy.Action{policy.ScanSave}, ask: ref, nothing: no},
		{name: "scan.approve", roles: "eo", actions: []policy.Action{policy.ScanApprove}, ask: of(control.ScanDecision{Ref: asked[0].ID}, asked[0].ID), nothing: absent(control.ScanDecision{Ref: noUUID}, noUUID)},
		{name: "scan.refuse", roles: "eo", actions: []policy.Action{policy.ScanRefuse}, ask: refusal, nothing: absent(control.ScanDecision{Ref: noUUID, Code: protocol.ScanLaw}, noUUID)},
	}
}

func (w *walk) operationRows() []row {
	propose := func(name string) operations.NewOperation {
		return operations.NewOperation{Name: name, Purpose: "find the workshops", LegalBasis: "agreement of 3 May 2025", Members: []protocol.Country{"ES", "PT"}, Until: time.Now().AddDate(0, 1, 0)}
	}
	theirs := call[*operations.View](w.t, w.es.people["op"], "operation.propose", propose("Theirs"))
	call[*operations.View](w.t, w.es.people["op2"], "operation.approve", control.Ref{Ref: theirs.Number})
	var own, other *operations.View
	for _, v := range []**operations.View{&own, &other} {
		*v = call[*operations.View](w.t, w.pt.people["op2"], "operation.propose", propose("Ours"))
	}
	eventually(w.t, "the operation of ES", func() bool {
		_, err := control.Call[*operations.View](w.t.Context(), w.pt.people["op"], "operation.show", "", control.Ref{Ref: theirs.Number})
		return err == nil
	})
	call[*ballistics.Exhibit](w.t, w.pt.people["tech"], "exhibit.add", ballistics.NewExhibit{Number: "PT-E9", Case: "PT-1", Origin: protocol.Evidence, Calibre: "9 mm Luger"})
	note := func(v *operations.View) operations.Note { return operations.Note{Ref: v.Number, Note: "agreed"} }
	no := absent(operations.Note{Ref: "PT-O-2026-999999", Note: "x"}, "PT-O-2026-999999")
	both := []policy.Action{policy.OperationPropose, policy.OperationAccept}
	tag := func(who string) request {
		return request{body: ballistics.TagExhibit{Exhibit: "PT-E9", Operation: own.Number, Remove: who == "exam1"}, object: "PT-E9"}
	}
	return []row{
		{name: "operation.propose", roles: "o", makes: true, actions: both[:1], ask: of(propose("A third"), "A third")},
		{name: "operation.approve", roles: "o", actions: both, ask: of(control.Ref{Ref: own.Number}, own.Number), nothing: absent(control.Ref{Ref: "PT-O-2026-999999"}, "PT-O-2026-999999")},
		{name: "operation.reject", roles: "o", actions: both[1:], ask: of(note(other), other.Number), nothing: no},
		{name: "operation.accept", roles: "o", actions: both[1:], ask: of(note(theirs), theirs.Number), nothing: no,
			then: func() {
				call[*operations.View](w.t, w.pt.people["op2"], "operation.approve", control.Ref{Ref: theirs.Number})
			}},
		{name: "operation.list", roles: "teio", actions: []policy.Action{policy.OperationView}, ask: of(control.None{}, "")},
		{name: "operation.show", roles: "teio", actions: []policy.Action{policy.OperationView}, ask: of(control.Ref{Ref: own.Number}, own.Number),
			nothing: absent(control.Ref{Ref: "PT-O-2026-999999"}, "PT-O-2026-999999")},
		{name: "exhibit.tag", roles: "te", actions: []policy.Action{policy.ExhibitTag}, ask: tag, nothing: absent(ballistics.TagExhibit{Exhibit: "PT-E0", Operation: own.Number}, "PT-E0")},
		{name: "operation.leave", roles: "o", actions: []policy.Action{policy.OperationLeave}, ask: of(note(theirs), theirs.Number), nothing: no},
		{name: "operation.end", roles: "o", actions: []policy.Action{policy.OperationEnd}, ask: of(note(own), own.Number), nothing: no},
	}
}

func (w *walk) documentRows() []row {
	view := []policy.Action{policy.DocumentView}
	own, foreign := w.signature("PT-E3"), w.theirs()
	taken := dispatch.Withdrawal{Reason: protocol.ReasonEnteredInError, Note: "mixed up"}
	withdraw := func(id string) control.WithdrawRequest { return control.WithdrawRequest{Ref: id, Withdrawal: taken} }
	grant := map[string]any{"document": w.signature("PT-E1"), "for": "ES", "use": protocol.UseOnward, "to": []string{"FR"}, "until": time.Now().AddDate(0, 1, 0)}
	no := absent(control.Ref{Ref: noUUID}, noUUID)
	review := []policy.Action{policy.RetentionReview}
	theirs := call[*bundle.Exported](w.t, w.es.people["op"], "bundle.export", control.BundleRequest{To: "PT"})
	return []row{
		{name: "document.list", roles: "o", actions: view, ask: of(dispatch.DocumentFilter{}, "")},
		{name: "document.show", roles: "o", actions: view, ask: of(control.Ref{Ref: own}, own), nothing: no},
		{name: "document.save", roles: "o", actions: view, ask: of(control.Ref{Ref: own}, own), nothing: no},
		{name: "policy.explain", roles: "o", actions: []policy.Action{policy.PolicyView}, ask: of(control.ExplainRequest{Document: own, To: "ES"}, own), nothing: absent(control.ExplainRequest{Document: noUUID, To: "ES"}, noUUID)},
		{name: "permission.grant", roles: "o", actions: []policy.Action{policy.PermissionGrant}, ask: of(grant, w.signature("PT-E1")), nothing: absent(map[string]any{"document": noUUID}, noUUID)},
		{name: "permission.list", roles: "o", actions: view, ask: of(control.None{}, "")},
		{name: "document.hold", roles: "o", actions: review, ask: of(control.HoldRequest{Ref: foreign, Ground: "court order"}, foreign), nothing: absent(control.HoldRequest{Ref: noUUID, Ground: "x"}, noUUID)},
		{name: "document.release", roles: "o", actions: review, ask: of(control.Ref{Ref: foreign}, foreign), nothing: no},
		{name: "document.withdraw", roles: "e", hidden: "i", seen: "o", actions: []policy.Action{policy.ExhibitWithdraw}, ask: of(withdraw(own), own), nothing: absent(withdraw(noUUID), noUUID)},
		{name: "document.withdrawals", roles: "o", actions: view, ask: of(dispatch.RecallFilter{}, "")},
		{name: "exhibit.withdraw", roles: "e", makes: true, actions: []policy.Action{policy.ExhibitWithdraw}, ask: of(ballistics.WithdrawExhibit{Exhibit: "PT-E2", Withdrawal: taken}, "PT-E2"),
			nothing: absent(ballistics.WithdrawExhibit{Exhibit: "PT-E0", Withdrawal: taken}, "PT-E0")},
		{name: "bundle.export", roles: "o", actions: []policy.Action{policy.BundleExport}, ask: of(control.BundleRequest{To: "ES"}, "ES"), nothing: absent(control.BundleRequest{To: "FR"}, "FR")},
		{name: "bundle.import", roles: "o", actions: []policy.Action{policy.BundleImport}, ask: func(string) request { return request{body: control.None{}, files: []byte(theirs.File)} }},
	}
}

func (w *walk) approvalRows() []row {
	approve := []policy.Action{policy.DocumentApprove}
	var waiting []string
	for _, v := range call[[]*dispatch.Waiting](w.t, w.pt.people["op2"], "approval.list", control.None{}) {
		waiting = append(waiting, v.Document)
	}
	if len(waiting) < 3 {
		w.t.Fatalf("%d documents wait for two people", len(waiting))
	}
	refuse := func(who string) request {
		id := waiting[map[string]int{"op": 1, "exam1": 2}[who]]
		return request{body: dispatch.ApprovalRef{Document: id, Note: "not now"}, object: id}
	}
	no := absent(dispatch.ApprovalRef{Document: noUUID, Note: "x"}, noUUID)
	return []row{
		{name: "approval.list", roles: "eo", actions: approve, ask: of(control.None{}, "")},
		{name: "approval.show", roles: "eo", actions: approve, ask: of(control.Ref{Ref: waiting[0]}, waiting[0]), nothing: absent(control.Ref{Ref: noUUID}, noUUID)},
		{name: "approval.approve", roles: "eo", actions: approve, ask: of(dispatch.ApprovalRef{Document: waiting[0]}, waiting[0]), nothing: no},
		{name: "approval.refuse", roles: "eo", actions: approve, ask: refuse, nothing: no},
	}
}

func (w *walk) retentionRows() []row {
	review, purge := []policy.Action{policy.RetentionReview}, []policy.Action{policy.RetentionPurge}
	gone := func() {
		call[*retention.Review](w.t, w.pt.people["op2"], "retention.review", control.RetentionReview{Item: "firearm/PT-F-2", Purge: true, Reason: "agreed"})
		eventually(w.t, "the purge", func() bool {
			list := call[[]*retention.Review](w.t, w.pt.people["op2"], "retention.purge", control.None{})
			return len(list) == 1 && list[0].State == retention.Purged
		})
	}
	proof := func(string) request {
		list := call[[]*retention.Review](w.t, w.pt.people["op2"], "retention.purge", control.None{})
		return request{body: control.Ref{Ref: list[0].ID}, object: list[0].ID}
	}
	return []row{
		{name: "retention.due", roles: "o", actions: review, ask: of(control.DueRequest{WithinDays: 36500}, "")},
		{name: "retention.review", roles: "o", actions: review, ask: of(control.RetentionReview{Item: "firearm/PT-F-1", KeepUntil: time.Now().AddDate(50, 0, 0), Reason: "a cold case"}, ""),
			nothing: absent(control.RetentionReview{Item: "firearm/PT-F-0", KeepUntil: time.Now().AddDate(50, 0, 0), Reason: "x"}, "firearm/PT-F-0")},
		{name: "retention.review", roles: "o", actions: purge, ask: of(control.RetentionReview{Item: "firearm/PT-F-2", Purge: true, Reason: "over"}, ""),
			nothing: absent(control.RetentionReview{Item: "firearm/PT-F-0", Purge: true, Reason: "x"}, "firearm/PT-F-0"), then: gone},
		{name: "retention.purge", roles: "o", actions: purge, ask: of(control.None{}, "")},
		{name: "retention.proof", roles: "o", actions: review, ask: proof, nothing: absent(control.Ref{Ref: "firearm/x"}, "firearm/x")},
	}
}

func (w *walk) policyRows() []row {
	see, change := []policy.Action{policy.PolicyView}, []policy.Action{policy.PolicyApply}
	files := func(n int) map[string]string {
		out := w.pt.policyFiles()
		delete(out, policy.CasesFile)
		out["99-more.cedar"] = fmt.Sprintf("@id(\"more-%d\") forbid (principal == Country::\"ZZ\", action, resource);\n", n)
		return out
	}
	propose := func(n int) string {
		return call[*sharing.Proposal](w.t, w.pt.people["op2"], "policy.apply", control.PolicyFiles{Files: files(n), Note: "more"}).Version
	}
	one, two := propose(1), propose(2)
	no := absent(control.PolicyVersion{Version: "000000000000"}, "000000000000")
	return []row{
		{name: "policy.compare", roles: "o", actions: see, ask: of(control.CompareRequest{Now: files(3)}, "")},
		{name: "policy.apply", roles: "o", actions: change, ask: of(control.PolicyFiles{Files: files(3), Note: "more"}, "")},
		{name: "policy.proposals", roles: "o", actions: see, ask: of(control.None{}, "")},
		{name: "policy.show", roles: "o", actions: see, ask: of(control.PolicyVersion{Version: one}, one), nothing: no},
		{name: "policy.reject", roles: "o", actions: change, ask: of(control.PolicyVersion{Version: two, Note: "no"}, two), nothing: no},
		{name: "policy.approve", roles: "o", actions: change, ask: of(control.PolicyVersion{Version: one}, one), nothing: no},
	}
}

func (w *walk) auditRows() []row {
	verify, query, reconcile := []policy.Action{policy.AuditVerify}, []policy.Action{policy.AuditQuery}, []policy.Action{policy.AuditReconcile}
	seen := []policy.Action{policy.PeersView, policy.AuditVerify}
	today := time.Now().UTC()
	export := func(string) request {
		return request{body: control.ExportRequest{AuditRequest: control.AuditRequest{Kind: policy.KindCase}}, why: "asked for by the data protection officer"}
	}
	return []row{
		{name: "audit.verify", roles: "a", actions: verify, ask: of(control.VerifyRequest{}, "")},
		{name: "audit.checkpoint", roles: "a", actions: verify, ask: of(control.None{}, "")},
		{name: "audit.find", roles: "a", actions: query, ask: of(control.AuditRequest{Actor: "tech"}, "")},
		{name: "audit.query", roles: "a", actions: query, ask: of(control.AuditRequest{Actor: "tech"}, "")},
		{name: "audit.exhibit", roles: "a", actions: query, ask: of(control.Ref{Ref: "PT-E1"}, "PT-E1"), nothing: absent(control.Ref{Ref: "PT-E0"}, "PT-E0")},
		{name: "audit.export", roles: "a", actions: []policy.Action{policy.AuditExport}, ask: export},
		{name: "audit.prove", roles: "a", actions: []policy.Action{policy.AuditProve}, ask: of(map[string]any{"index": 3}, "")},
		{name: "audit.report", roles: "a", actions: []policy.Action{policy.AuditReport}, ask: of(map[string]string{"from": today.AddDate(0, 0, -1).Format(time.DateOnly), "to": today.AddDate(0, 0, 1).Format(time.DateOnly)}, "")},
		{name: "audit.statement", roles: "ao", actions: reconcile, ask: of(control.ChannelRef{With: "ES"}, "")},
		{name: "audit.reconcile", roles: "ao", actions: reconcile, ask: of(control.ChannelRef{With: "ES"}, "")},
		{name: "witness.status", roles: "oad", actions: seen, ask: of(control.None{}, "")},
		{name: "witness.show", roles: "oad", actions: seen, ask: of(control.CountryRef{Country: "ES"}, "ES"), nothing: absent(control.CountryRef{Country: "FR"}, "FR")},
		{name: "witness.acknowledge", roles: "ao", actions: []policy.Action{policy.WitnessAcknowledge}, status: http.StatusNotFound, // nothing alarms
			ask: func(string) request {
				return request{body: control.CountryRef{Country: "ES"}, object: "ES", why: "a drill"}
			},
			nothing: absent(control.CountryRef{Country: "FR"}, "FR")},
		{name: "witness.save", roles: "oad", actions: seen, ask: of(control.None{}, "")},
	}
}

func (w *walk) backupRows() []row {
	manage := []policy.Action{policy.NodeManage}
	key, err := crypto.NewRecoveryKey(rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	folder, theirs := shortTemp(w.t), shortTemp(w.t)
	other, err := crypto.NewRecoveryKey(rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	call[*backup.RecoveryState](w.t, w.es.people["admin"], "recovery.set", control.RecoveryRequest{Key: other.JWK()})
	w.es.backUpInto(theirs, true)
	sent := call[[]custody.Sent](w.t, w.es.people["admin"], "custody.send", custody.Request{Folder: theirs, Holders: []string{"PT"}})
	if len(sent) != 1 || sent[0].Fault != "" {
		w.t.Fatalf("%+v", sent)
	}
	kept := sent[0].Newest.ID
	return []row{
		{name: "recovery.set", roles: "d", actions: manage, ask: of(control.RecoveryRequest{Key: json.RawMessage(key.JWK())}, "")},
		{name: "recovery.show", roles: "d", actions: manage, ask: of(control.None{}, "")},
		{name: "backup.create", roles: "d", actions: manage, ask: of(backup.Request{}, ""), then: func() { w.pt.backUpInto(folder, true) }},
		{name: "custody.ready", roles: "d", actions: manage, ask: of(control.CustodyHolders{Holders: []string{"ES"}}, "")},
		{name: "custody.send", roles: "d", actions: manage, ask: of(custody.Request{Folder: folder, Holders: []string{"ES"}}, "")},
		{name: "custody.status", roles: "d", actions: manage, ask: of(control.None{}, "")},
		{name: "custody.check", roles: "d", actions: manage, ask: of(control.CustodyHolders{Holders: []string{"ES"}}, "")},
		{name: "custody.list", roles: "d", actions: manage, ask: of(control.None{}, "")},
		{name: "custody.begin", roles: "d", actions: manage, ask: of(control.CustodyRef{Owner: "ES"}, "ES"), nothing: absent(control.CustodyRef{Owner: "FR"}, "FR")},
		{name: "custody.fetch", roles: "d", actions: manage, ask: of(control.CustodyRef{Owner: "ES", ID: kept}, kept), nothing: absent(control.CustodyRef{Owner: "ES", ID: "x"}, "x")},
	}
}

func (w *walk) memberRows() []row {
	roster, manage := []policy.Action{policy.RosterManage}, []policy.Action{policy.NodeManage}
	chain := call[control.RosterChain](w.t, w.es.people["admin"], "roster.chain", control.None{})
	install := control.InstallRequest(chain)
	status := call[control.Status](w.t, w.es.people["admin"], "status", control.None{})
	peer := status.Addresses[0]
	if !strings.Contains(peer, "/p2p/") {
		peer += "/p2p/" + status.PeerID
	}
	return []row{
		{name: "peers", roles: "od", actions: []policy.Action{policy.PeersView}, ask: of(control.None{}, "")},
		{name: "roster.show", roles: "od", actions: []policy.Action{policy.RosterView}, ask: of(control.None{}, "")},
		{name: "roster.chain", roles: "od", actions: []policy.Action{policy.RosterView}, ask: of(control.None{}, "")},
		{name: "roster.install", roles: "d", actions: roster, ask: of(install, "")},
		{name: "roster.resolve", roles: "d", actions: roster, ask: of(control.InstallRequest{Documents: chain.Documents}, "")},
		{name: "roster.join", roles: "d", actions: roster, ask: of(control.JoinRequest{Anchor: chain.Anchor, Peer: peer}, "")},
		{name: "address.announce", roles: "d", actions: manage, ask: of(control.AnnounceRequest{}, "")},
		{name: "key.rotate", roles: "d", actions: manage, ask: of(control.RotateRequest{Use: crypto.ForSealing, Days: 30}, "")},
		{name: "key.renew", roles: "d", actions: manage, ask: of(control.None{}, "")},
	}
}

func (w *walk) peopleRows() []row {
	manage := []policy.Action{policy.UserManage}
	user := func(name string, roles ...string) func(string) request {
		return of(control.UserRequest{Name: name, Roles: roles}, name)
	}
	no := absent(control.UserRequest{Name: "nobody"}, "nobody")
	return []row{
		{name: "user.add", roles: "d", actions: manage, ask: user("newcomer", policy.Technician)},
		{name: "user.list", roles: "d", actions: manage, ask: of(control.None{}, "")},
		{name: "user.roles", roles: "d", actions: manage, ask: user("newcomer", policy.Examiner), nothing: absent(control.UserRequest{Name: "nobody", Roles: []string{policy.Examiner}}, "nobody")},
		{name: "user.code", roles: "d", actions: manage, ask: user("newcomer"), nothing: no},
		{name: "user.disable", roles: "d", actions: manage, ask: user("newcomer"), nothing: no},
		{name: "user.enable", roles: "d", actions: manage, ask: user("newcomer"), nothing: no},
	}
}
