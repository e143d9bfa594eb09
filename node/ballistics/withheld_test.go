package ballistics

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// sharing is the default policy, but that everything is shared with everybody without the fields named.
func sharing(t *testing.T, redact ...string) *policy.Engine {
	t.Helper()
	files := map[string]string{}
	names, err := fs.Glob(policy.DefaultFiles(), "*.cedar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "2") && !strings.HasPrefix(name, "30") {
			b, err := fs.ReadFile(policy.DefaultFiles(), name)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = string(b)
		}
	}
	rule := `permit (principal is Country, action == Action::"share", resource);`
	if len(redact) > 0 {
		rule = fmt.Sprintf("@redact(%q) %s", strings.Join(redact, " "), rule)
	}
	files["20-all.cedar"] = rule
	e, err := policy.LoadTexts(files)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestALeadGoesItsWholeWayWithoutItsFields: signature, lead, acknowledgement, feedback and hit, of which both policies withhold whatever they can: every step
// is made, and each record says what is withheld. Released more widely afterwards, every record is whole, and nothing happens twice.
func TestALeadGoesItsWholeWayWithoutItsFields(t *testing.T) {
	both := labs(t, "PT", "ES")
	pt, es := both[0], both[1]
	pt.Engine, es.Engine = sharing(t, policy.Withholdable()...), sharing(t, policy.Withholdable()...)
	pt.crime("PT-1")
	es.crime("ES-1")
	pt.exhibit("P1", "PT-1")
	es.exhibit("E1", "ES-1")
	a, b := pt.acquire("P1", shot(t, 5, 1)), es.acquire("E1", shot(t, 5, 2))
	all := func(typ protocol.Type) []string { return protocol.Redactable(typ) }
	exchange := func() {
		for range 2 {
			carry(t, pt, es)
			carry(t, es, pt)
			pt.settle()
			es.settle()
		}
	}
	exchange()
	pair := protocol.PairID(a.Signature, b.Signature)
	if v, err := es.Candidate(t.Context(), exam1, pair); err != nil || !slices.Equal(v.Other.Withheld, all(protocol.TypeSignature)) || v.Own.Withheld != nil {
		t.Fatalf("the candidate at ES: %+v, %v", v, err)
	}
	pt.decideLead(pair)
	if _, err := pt.ReleaseLead(t.Context(), exam1, "", pair, "same tool"); err != nil {
		t.Fatal(err)
	}
	exchange()
	if _, err := es.AcknowledgeLead(t.Context(), ncb, "", pair, "on it"); err != nil {
		t.Fatal(err)
	}
	if _, err := es.GiveFeedback(t.Context(), invest, "", pair, "ARREST", "one person"); err != nil {
		t.Fatal(err)
	}
	if _, err := es.ConfirmHit(t.Context(), exam1, "", NewConfirmation{Pair: pair, Conclusion: protocol.Identification, Items: []string{"E1"}, Where: "Madrid"}); err != nil {
		t.Fatal(err)
	}
	if _, err := es.ConfirmHit(t.Context(), exam2, "", NewConfirmation{Pair: pair}); err != nil {
		t.Fatal(err)
	}
	exchange()
	at, of := es.lead(pair), pt.lead(pair)
	if at.State != LeadHit || of.State != LeadHit {
		t.Fatalf("it is %s at ES and %s at PT", at.State, of.State)
	}
	body := &at.Received.Body
	if !slices.Equal(at.Received.Withheld, all(protocol.TypeLead)) || body.Sender() != (protocol.LeadSide{Country: "PT", Origin: protocol.Evidence, Signature: a.Signature}) ||
		body.Narrative != "" || body.Reviewers != nil || body.Number == "" || body.Caveat != protocol.Caveat {
		t.Errorf("ES has of the lead %+v, withheld %q", body, at.Received.Withheld)
	}
	if n := of.Sent; !slices.Equal(n.Withheld, append([]string{"agency"}, all(protocol.TypeLeadAck)...)) || n.OtherCase+n.OtherExhibit+n.AckNote != "" || n.Acknowledged.IsZero() {
		t.Errorf("PT has of the acknowledgement %+v", n)
	}
	if f := of.Feedback; len(f) != 1 || f[0].Code != "ARREST" || f[0].Note != "" || !slices.Equal(f[0].Withheld, []string{"note"}) {
		t.Errorf("PT has of the feedback %+v", f)
	}
	if h := of.Hit; h == nil || !slices.Equal(h.Withheld, all(protocol.TypeHit)) || h.Conclusion != protocol.Identification || h.Verified.IsZero() || h.Where+h.Examiner+h.Verifier != "" || h.Items != nil {
		t.Errorf("PT has of the hit %+v", h)
	}

	pt.Engine, es.Engine = sharing(t), sharing(t)
	pt.again(es)
	es.again(pt)
	exchange()
	wide, whole := es.lead(pair), pt.lead(pair)
	if len(wide.Timeline) != len(at.Timeline) || len(whole.Timeline) != len(of.Timeline) || wide.State != LeadHit || whole.State != LeadHit {
		t.Errorf("a wider release moved something: %+v, %+v", wide.Timeline, whole.Timeline)
	}
	body = &wide.Received.Body
	if wide.Received.Withheld != nil || body.CaseReference != "PT-1" || body.ExhibitNumber != "P1" || body.Narrative != "same tool" || len(body.Reviewers) != 2 || body.Place == "" {
		t.Errorf("ES has of the lead %+v, withheld %q", body, wide.Received.Withheld)
	}
	if n := whole.Sent; n.OtherCase != "ES-1" || n.OtherExhibit != "E1" || n.AckNote != "on it" || !slices.Equal(n.Withheld, []string{"agency"}) { // which no acknowledgement tells
		t.Errorf("PT has of the acknowledgement %+v", n)
	}
	if f := whole.Feedback; len(f) != 1 || f[0].Note != "one person" || f[0].Withheld != nil {
		t.Errorf("PT has of the feedback %+v", f)
	}
	if h := whole.Hit; h.Withheld != nil || h.Examiner != "exam1" || h.Verifier != "exam2" || h.Where != "Madrid" || !slices.Equal(h.Items, []string{"E1"}) {
		t.Errorf("PT has of the hit %+v", h)
	}
	if v, err := es.Candidate(t.Context(), exam1, pair); err != nil || v.Other.Withheld != nil || v.Other.Case != "PT-1" || v.Other.Place == "" {
		t.Errorf("the candidate at ES: %+v, %v", v, err)
	}
}

// again queues everything that a laboratory issued for another once more, as after a wider policy.
func (l *lab) again(to *lab) {
	l.t.Helper()
	err := l.Store.Update(l.t.Context(), func(tx *store.Tx) error {
		for _, typ := range protocol.Types() {
			err := l.Out.OwnDocuments(tx, []protocol.Type{typ}, func(id string, _ *dispatch.Facts) {
				if err := tx.Enqueue(string(to.Country), string(protocol.ChannelOf(typ)), id); err != nil {
					l.t.Error(err)
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
}
