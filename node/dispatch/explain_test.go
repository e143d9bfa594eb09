package dispatch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// explained is a policy that withholds whatever every type can do without.
func explained() string {
	var words []string
	for _, w := range policy.Withholdable() {
		if !slices.ContainsFunc(protocol.Types(), func(t protocol.Type) bool { _, is := protocol.Inseparable(t)[w]; return is }) {
			words = append(words, w)
		}
	}
	return fmt.Sprintf(`@id("everything") @handling("H0") @retain("P30D") @redact(%q) permit (principal is Country, action == Action::"share", resource);`, strings.Join(words, " "))
}

func (b *bureau) explain(id string, to protocol.Country) (e *Explained, err error) {
	b.view(func(tx *store.Tx) error {
		e, err = b.Explain(tx, id, to)
		return nil
	})
	return e, err
}

// held is a document as its recipient can show it.
func (b *bureau) held(id string) (s *Shown) {
	b.view(func(tx *store.Tx) (err error) {
		s, err = b.Show(tx, id)
		return err
	})
	return s
}

// What explain says of a document of any type is what the recipient gets: the same text, the same terms, each restriction with its source. Whoever it is not
// for is told so.
func TestEveryTypeIsExplainedAsItGoes(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.rules(explained())
	fields := 0
	for _, typ := range sampled(t) {
		id, err := pt.issueSample(typ, "ES")
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		e, err := pt.explain(id, "ES")
		if err != nil || !e.Allow || e.Terms == nil || len(e.Body) == 0 || e.State != Queued || !slices.Equal(e.Policies, []string{"everything (90-test.cedar:1)"}) {
			t.Errorf("%s: %+v, %v", typ, e, err)
			continue
		}
		deliver(pt, es, protocol.ChannelOf(typ))
		got, sent := es.held(id), pt.delivery(id, "ES")
		if !bytes.Equal(compact(t, got.Body), compact(t, e.Body)) {
			t.Errorf("%s: explained\n%s\narrived\n%s", typ, e.Body, got.Body)
		}
		if !reflect.DeepEqual(*got.Terms, *e.Terms) || !slices.Equal(sent.Withheld, e.Withheld) {
			t.Errorf("%s: explained %+v without %v, arrived %+v without %v", typ, e.Terms, e.Withheld, got.Terms, sent.Withheld)
		}
		sources := slices.Sorted(maps.Keys(e.Sources))
		for _, what := range []string{"handling:H0", "retain:P30D"} {
			if !slices.Contains(sources, what) {
				t.Errorf("%s: nobody imposes %s: %v", typ, what, sources)
			}
		}
		for what, from := range e.Sources {
			if !slices.Equal(from, []string{"everything (90-test.cedar:1)"}) {
				t.Errorf("%s: %s is of %v", typ, what, from)
			}
		}
		if fields += len(e.Withheld); len(e.Withheld) > 0 && !slices.ContainsFunc(sources, func(s string) bool { return strings.HasPrefix(s, "redact:") }) {
			t.Errorf("%s: nobody imposes that %v is withheld: %v", typ, e.Withheld, sources)
		}
		if e, err := pt.explain(id, "FR"); err != nil || e.Allow || len(e.Body) > 0 || !strings.Contains(strings.Join(e.Errors, ";"), "it is for ES alone") {
			t.Errorf("%s to FR: %+v, %v", typ, e, err)
		}
	}
	if fields < 10 {
		t.Errorf("%d fields were withheld: too few, so this test sees nothing", fields)
	}
}

// A code that stands on the document itself is explained with where it came from; a document for some countries says for which.
func TestCodesOfTheDocumentAreExplained(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.rules(explained())
	es.rules(`@handling("H3") permit (principal is Country, action == Action::"share", resource);`)
	based := es.publish(signature("x"), attributes())
	deliver(es, pt, protocol.Bulk)
	facts := Facts{Among: []protocol.Country{"ES", "PT"}, Attributes: attributes(), Actor: "tina", Handling: protocol.Handling{{Code: "H1", Owner: "FR"}, {Code: "H2"}}, Based: []string{based}}
	var id string
	pt.update(func(tx *store.Tx) (err error) {
		id, err = pt.Issue(tx, protocol.TypeSignature, signature("x"), facts)
		return err
	})
	e, err := pt.explain(id, "ES")
	if err != nil || !e.Allow || codesOf(e.Handling) != "H0/PT H1/FR H2/PT H3/ES" {
		t.Fatalf("%+v, %v", e, err)
	}
	for what, from := range map[string]string{"handling:H0": "everything (90-test.cedar:1)", "handling:H1/FR": "what it was made of, of FR", "handling:H2/PT": "the document, as it was issued",
		"handling:H3/ES": "document " + based + " of ES"} {
		if !slices.Equal(e.Sources[what], []string{from}) {
			t.Errorf("%s is of %v, want %s", what, e.Sources[what], from)
		}
	}
	if e, err := pt.explain(id, "FR"); err != nil || e.Allow || !strings.Contains(strings.Join(e.Errors, ";"), "it is for ES, PT alone") {
		t.Errorf("to FR: %+v, %v", e, err)
	}
}

func codesOf(h protocol.Handling) string {
	out := make([]string, len(h))
	for i, m := range h {
		out[i] = m.String()
	}
	return strings.Join(out, " ")
}

func compact(t *testing.T, b []byte) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return must(json.Marshal(v))
}

// Withdrawals and their confirmations go without a policy, and what was withdrawn goes nowhere: explain says that, and not that nothing permits it.
func TestDutiesAreExplained(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.rules(explained())
	id := pt.publish(signature("x"), attributes())
	deliver(pt, es, protocol.Bulk)
	pt.update(func(tx *store.Tx) error {
		_, err := pt.Withdraw(tx, desk.Actor{Name: "edgar"}, id, Withdrawal{Reason: protocol.ReasonEnteredInError})
		return err
	})
	pt.rules(shareNothing)
	es.rules(shareNothing)
	withdrawal := pt.record(id).Withdrawn.Document
	e, err := pt.explain(withdrawal, "ES")
	if err != nil || !e.Allow || len(e.Body) == 0 || !slices.Equal(e.Sources["duty"], []string{owed}) || len(e.Errors) > 0 {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := pt.explain(id, "ES"); err == nil || !strings.Contains(err.Error(), "was withdrawn on 2026-03-01 (ENTERED_IN_ERROR)") {
		t.Errorf("what was withdrawn: %v", err)
	}
	deliver(pt, es, protocol.Urgent)
	for _, rec := range es.kept(Own) {
		if rec.Type != protocol.TypeWithdrawalConfirmation {
			continue
		}
		if e, err := es.explain(rec.ID, "PT"); err != nil || !e.Allow || !bytes.Contains(e.Body, []byte(id)) || !slices.Equal(e.Sources["duty"], []string{owed}) {
			t.Errorf("%+v, %v", e, err)
		}
		return
	}
	t.Error("ES confirmed nothing: the test explains no confirmation")
}

// What two people approved is explained as it goes, what they refused as what never goes; a comparison of policies names what waits, and what would wait.
func TestQueuesAreExplainedAndCompared(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt := f.bureaus["PT"]
	pt.rules(careful)
	approved, refused, waits := pt.publish(signature("x"), attributes()), pt.publish(signature("x"), attributes()), pt.publish(signature("x"), attributes())
	for _, who := range []string{"edgar", "olga"} {
		if _, err := pt.decide(who, ApprovalRef{Document: approved}, pt.Approve); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pt.decide("edgar", ApprovalRef{Document: refused, Note: "the case is secret"}, pt.Disapprove); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]struct {
		allow bool
		says  string
	}{approved: {true, ""}, refused: {false, "it was not approved (the case is secret), and never goes"}, waits: {false, unapproved}} {
		e, err := pt.explain(id, "ES")
		if err != nil || e.Allow != want.allow || !strings.Contains(strings.Join(e.Errors, ";"), want.says) || want.allow != (len(e.Errors) == 0) {
			t.Errorf("%+v, %v, want %+v", e, err, want)
		}
	}
	engine := func(text string) *policy.Engine {
		kept := pt.engine
		defer func() { pt.engine = kept }()
		pt.rules(text)
		return pt.engine
	}
	for name, c := range map[string]struct {
		was, now string
		want     map[string]string // of each document: what it would be, and its state
	}{
		"nothing":       {careful, shareNothing, map[string]string{approved: KeptBack + "/" + Queued, waits: KeptBack + "/" + Awaiting}},
		"nobody's word": {careful, strings.Replace(careful, `@approval("two-person") `, "", 1), map[string]string{waits: NewlyShared + "/" + Awaiting}},
		"other fields":  {careful, strings.Replace(careful, "place ", "", 1), map[string]string{approved: WouldWait + "/" + Queued, waits: OtherTerms + "/" + Awaiting}},
		"two people":    {shareNothing, careful, map[string]string{approved: NewlyShared + "/" + Queued, waits: WouldWait + "/" + Awaiting}},
	} {
		pt.view(func(tx *store.Tx) error {
			page, err := pt.ComparePolicies(tx, engine(c.was), engine(c.now), "")
			if err != nil {
				return err
			}
			got := map[string]string{}
			for _, x := range page.Changes {
				got[x.ID] = x.What + "/" + x.State
			}
			if len(got) != len(c.want) || got[approved] != c.want[approved] || got[waits] != c.want[waits] {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
			return nil
		})
	}
}
