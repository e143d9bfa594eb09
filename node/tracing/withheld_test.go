package tracing

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// TestATraceGoesItsWholeWayWithoutItsFields: request, status and answer, of which both policies withhold whatever they can: every step is made, the record
// says what is withheld, and advice does not call it missing. Released more widely afterwards, everything is there, and nothing happens twice.
func TestATraceGoesItsWholeWayWithoutItsFields(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	words := slices.DeleteFunc(policy.Withholdable(), func(w string) bool { return w == "firearm" })
	rule := `permit (principal is Country, action == Action::"share", resource is %s) when { resource.addressee == principal };`
	pt.Engine = ok[*policy.Engine](t)(policy.Load(withPolicy(t, fmt.Sprintf("@redact(%q) "+rule, strings.Join(words, " "), "TraceRequest"))))
	es.Engine = ok[*policy.Engine](t)(policy.Load(withPolicy(t, fmt.Sprintf("@redact(%q) "+rule, strings.Join(policy.Withholdable(), " "), "TraceStatus")+
		fmt.Sprintf("@redact(%q) "+rule, strings.Join(policy.Withholdable(), " "), "TraceAnswer"))))
	ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", soldInGermany))
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "", ask("ES", "AB10482")))
	deliver(t, pt, es)
	in := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID))
	r := in.Request
	if in.State != Submitted || !slices.Equal(in.Withheld, protocol.Redactable(protocol.TypeTraceRequest)) || r.Agency+r.Officer+r.Possessor+r.Narrative+r.RecoveryPlace != "" || r.RecoveryDate != nil ||
		r.Firearm.Serial != "AB10482" || len(in.Matches) != 1 {
		t.Fatalf("the request at ES: %+v", in)
	}
	if all := strings.Join(in.Advice, "\n"); !strings.Contains(all, "withheld by PT's policy") || strings.Contains(all, "date of recovery is not given") {
		t.Errorf("advice: %s", all)
	}
	ok[*Trace](t)(es.Acknowledge(t.Context(), operator, "", tr.ID, "we look at it"))
	deliver(t, es, pt)
	if out := ok[*Trace](t)(pt.Trace(t.Context(), operator, tr.ID)); out.State != Acknowledged || out.Timeline[1].Note != "" || !slices.Equal(out.Timeline[1].Withheld, []string{"note"}) {
		t.Fatalf("acknowledged: %+v", out.Timeline)
	}
	ok[*Trace](t)(es.Answer(t.Context(), operator, "", tr.ID, Answer{Record: "ES-RA-7", Note: "see chain"}))
	deliver(t, es, pt)
	out := ok[*Trace](t)(pt.Trace(t.Context(), operator, tr.ID))
	if a := out.Answer; out.State != Completed || a.Record != "ES-RA-7" || a.Firearm != nil || a.Chain != nil || a.Note != "" || a.TimeToCrime != nil ||
		!slices.Equal(out.AnswerWithheld, protocol.Redactable(protocol.TypeTraceAnswer)) || !slices.Equal(out.Timeline[len(out.Timeline)-1].Withheld, []string{"note"}) {
		t.Fatalf("answered: %+v, withheld %q", a, out.AnswerWithheld)
	}

	pt.Engine, es.Engine = policy.Default(), policy.Default()
	again := func(b *bureau, to protocol.Country, ids ...string) {
		err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
			for _, id := range ids {
				if err := tx.Enqueue(string(to), string(protocol.Urgent), id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	again(pt, "ES", tr.ID)
	again(es, "PT", out.Timeline[1].Document, out.Timeline[len(out.Timeline)-1].Document)
	deliver(t, pt, es)
	deliver(t, es, pt)
	if wide := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID)); wide.Withheld != nil || wide.Request.Agency == "" || wide.Request.RecoveryDate == nil || strings.Contains(strings.Join(wide.Advice, "\n"), "withheld") {
		t.Errorf("the request at ES: %+v", wide)
	}
	whole := ok[*Trace](t)(pt.Trace(t.Context(), operator, tr.ID))
	last := whole.Timeline[len(whole.Timeline)-1]
	if a := whole.Answer; whole.State != Completed || a.Firearm == nil || len(a.Chain) != 3 || a.Note != "see chain" || whole.AnswerWithheld != nil || last.Note != "see chain" || last.Withheld != nil ||
		len(whole.Timeline) != len(out.Timeline) || whole.Timeline[1].Note != "we look at it" {
		t.Errorf("answered: %+v, withheld %q, %+v", a, whole.AnswerWithheld, whole.Timeline)
	}
}
