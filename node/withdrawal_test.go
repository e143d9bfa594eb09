package node

import (
	"slices"
	"strings"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// entries are those of a bureau's log that match.
func (b *bureau) entries(match func(r store.AuditRecord) bool) (out []store.AuditRecord) {
	b.t.Helper()
	all, err := b.node.store.QueryAudit(b.t.Context(), store.AuditQuery{Limit: 100_000})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range all {
		if match(r) {
			out = append(out, r)
		}
	}
	return out
}

// TestAWithdrawalIsProvedOnBothLogs is a withdrawal between two countries over real hosts, stores and command sockets: the owner's command, the erasure at
// the holder, what stays there, the confirmation, and the entries that match.
func TestAWithdrawalIsProvedOnBothLogs(t *testing.T) {
	pt, es := newBureau(t, "PT"), newBureau(t, "ES")
	for _, b := range []*bureau{pt, es} {
		b.start()
		b.login(roles)
	}
	federate(t, pt, es)
	gun := synth.NewMaker(1).Firearm(7)
	a := pt.enrol("PT-E1", gun.Fire(1, synth.Shot{}))
	other := pt.enrol("PT-E2", gun.Fire(3, synth.Shot{}))
	b := es.enrol("ES-E1", gun.Fire(2, synth.Shot{}))
	pair, open := protocol.PairID(a.Signature, b.Signature), protocol.PairID(other.Signature, b.Signature)
	eventually(t, "the candidates at ES", func() bool {
		list := es.candidates(b.Signature)
		has := func(p string) bool {
			return slices.ContainsFunc(list, func(v *ballistics.CandidateView) bool { return v.Pair == p })
		}
		return has(pair) && has(open)
	})
	for _, who := range []string{"tech", "exam1"} {
		call[*ballistics.CandidateView](t, es.people[who], "candidates.review", ballistics.NewReview{Pair: pair, Verdict: protocol.VerdictLead})
	}
	lead := call[*ballistics.Lead](t, es.people["exam1"], "lead.release", control.LeadRequest{Pair: pair})
	eventually(t, "the lead at PT", func() bool {
		l, err := control.Call[*ballistics.Lead](t.Context(), pt.people["inv"], "lead.show", "", control.Ref{Ref: pair})
		return err == nil && l.State == ballistics.LeadReceived
	})

	// Whoever may: an examiner, and nobody of another country, who is told no more than of a document that is not there, as examiners see no documents.
	fine := dispatch.Withdrawal{Reason: protocol.ReasonEnteredInError, Note: "two exhibits were mixed up"}
	if _, err := control.Call[*dispatch.Recall](t.Context(), pt.people["tech"], "document.withdraw", "", control.WithdrawRequest{Ref: a.Signature, Withdrawal: fine}); err == nil {
		t.Error("a technician withdrew")
	}
	if _, err := control.Call[*dispatch.Recall](t.Context(), es.people["exam1"], "document.withdraw", "", control.WithdrawRequest{Ref: a.Signature, Withdrawal: fine}); err == nil || !strings.Contains(err.Error(), "there is no document") {
		t.Errorf("a holder withdrew: %v", err)
	}
	r := call[*dispatch.Recall](t, pt.people["exam1"], "document.withdraw", control.WithdrawRequest{Ref: a.Signature, Withdrawal: fine})
	list := call[[]*dispatch.Recall](t, pt.people["exam1"], "exhibit.withdraw", ballistics.WithdrawExhibit{Exhibit: "PT-E2", Withdrawal: fine})
	if len(list) != 1 || list[0].Document != other.Signature {
		t.Errorf("withdrawn of PT-E2: %+v", list)
	}
	for _, id := range []string{a.Signature, other.Signature} {
		eventually(t, "the confirmation", func() bool {
			d := call[*dispatch.Shown](t, pt.people["op"], "document.show", control.Ref{Ref: id})
			return d.Status == dispatch.Recalled && len(d.Holders) == 1 && d.Holders[0].State == dispatch.HolderErased && !d.Holders[0].At.IsZero()
		})
	}
	d := call[*dispatch.Shown](t, pt.people["op"], "document.show", control.Ref{Ref: a.Signature})
	named := slices.ContainsFunc(d.Holders[0].Stays, func(r protocol.Remainder) bool {
		return r.What == "lead" && r.Reference == lead.Sent.Body.Number && r.Ground == protocol.GroundOwnRecord
	})
	if !named {
		t.Errorf("the lead that stays is not named: %+v", d.Holders[0].Stays)
	}
	if all := call[[]*dispatch.Recall](t, pt.people["op"], "document.withdrawals", dispatch.RecallFilter{}); len(all) != 2 || all[0].Withdrawal != r.Withdrawal {
		t.Errorf("listed: %+v", all)
	}

	// At the holder: signatures and the candidate that nobody reviewed are gone, what people decided is marked.
	kept := es.candidates(b.Signature)
	if len(kept) != 1 || kept[0].Pair != pair || kept[0].Other.Withdrawn.IsZero() || kept[0].Outcome != protocol.VerdictLead {
		t.Errorf("candidates at ES: %+v", kept)
	}
	marked := call[*ballistics.Lead](t, es.people["inv"], "lead.show", control.Ref{Ref: pair})
	if marked.SourceWithdrawn.IsZero() || marked.State != ballistics.LeadReleased {
		t.Errorf("the lead at ES: %s, withdrawn %v", marked.State, marked.SourceWithdrawn)
	}
	if _, err := control.Call[*dispatch.Shown](t.Context(), es.people["op"], "document.show", "", control.Ref{Ref: a.Signature}); err == nil || !strings.Contains(err.Error(), "was withdrawn by PT") {
		t.Errorf("ES still shows it: %v", err)
	}
	if _, err := control.Call[*ballistics.Picture](t.Context(), es.people["exam1"], "candidates.picture", "", control.Ref{Ref: pair}); err == nil || !strings.Contains(err.Error(), "no longer held") {
		t.Errorf("drawn of what was erased: %v", err)
	}

	// The two logs, entry by entry: each thing once on its side, and the same hashes, numbers and ids on both.
	for _, id := range []string{a.Signature, other.Signature} {
		one := func(b *bureau, what string, match func(r store.AuditRecord) bool) store.AuditRecord {
			t.Helper()
			found := b.entries(func(r store.AuditRecord) bool {
				return match(r) && (r.Object == id || slices.Contains(r.Documents, id))
			})
			if len(found) != 1 {
				t.Fatalf("%s: %d entries of %s in the log of %s", id, len(found), what, b.country)
			}
			return found[0]
		}
		withdrawn := one(pt, "the act", func(r store.AuditRecord) bool {
			return r.Action == protocol.ActAlter && strings.HasPrefix(r.Event, "withdrawn: ")
		})
		wid := withdrawn.Documents[1]
		if withdrawn.Actor != "exam1" || withdrawn.Details["told"] != "ES" {
			t.Errorf("%+v", withdrawn)
		}
		sent := one(pt, "the sending", func(r store.AuditRecord) bool {
			return r.Action == protocol.ActDisclose && slices.Contains(r.Documents, wid) && r.Event == "sent"
		})
		received := es.entries(func(r store.AuditRecord) bool { return r.Action == protocol.ActReceive && r.Object == wid })
		if len(received) != 1 || received[0].MessageSeq != sent.MessageSeq || received[0].Details["message"] != sent.Details["message"] || received[0].Channel != string(protocol.Urgent) {
			t.Errorf("sent %+v, received %+v", sent, received)
		}
		erased := one(es, "the erasure", func(r store.AuditRecord) bool { return r.Action == protocol.ActErase && r.Ground == "withdrawal" })
		if erased.Counterpart != "PT" || erased.Details["sha256"] != withdrawn.Details["sha256"] || !slices.Contains(erased.Documents, wid) {
			t.Errorf("%+v", erased)
		}
		answered := one(es, "the confirmation", func(r store.AuditRecord) bool { return r.Action == protocol.ActDisclose && r.Event == "sent" })
		confirmed := one(pt, "the confirmation", func(r store.AuditRecord) bool {
			return r.Action == protocol.ActReceive && strings.HasPrefix(r.Event, "withdrawal confirmed")
		})
		if confirmed.Documents[2] != answered.Documents[0] || confirmed.Details["sha256"] != erased.Details["sha256"] || confirmed.Details["stays"] != erased.Details["stays"] {
			t.Errorf("answered %+v, confirmed %+v", answered, confirmed)
		}
	}
	for _, b := range []*bureau{pt, es} {
		if v := call[control.AuditVerified](t, b.people["aud"], "audit.verify", control.None{}); !v.Verified {
			t.Errorf("%s: audit log: %+v", b.country, v)
		}
	}
}
