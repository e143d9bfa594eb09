package tracing

import (
	"errors"
	"strings"
	"testing"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Whatever a foreign request describes, it is kept, and the note says what the search of own records came to.
func TestRequestsThatCannotBeSearchedAreKept(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", soldInGermany))
	for _, c := range []struct {
		name    string
		firearm protocol.FirearmDescription
		note    string
		matches int
	}{
		{"found", protocol.FirearmDescription{Serial: "AB10482", Make: "Zastava"}, "own records proposed: 1, the surest by: same serial and make", 1},
		{"not found", protocol.FirearmDescription{Serial: "AB10482", Make: "Glock"}, "no own record was found", 0},
		{"empty", protocol.FirearmDescription{}, "no serial number", 0},
		{"obliterated", protocol.FirearmDescription{SerialState: Obliterated}, "no serial number", 0},
		{"contradicting", protocol.FirearmDescription{Serial: "AB10482", SerialState: NotMarked}, "NOT_MARKED and there is a number", 0},
		{"too long", protocol.FirearmDescription{Serial: strings.Repeat("A", 256)}, "256 letters and digits", 0},
		{"hardly readable", protocol.FirearmDescription{Serial: "?B?0?8?"}, "fewer than 3 characters", 0},
	} {
		body := &protocol.TraceRequestBody{Number: "PT-T-" + strings.ReplaceAll(c.name, " ", "-"), Firearm: c.firearm, LegalJustification: "j", Circumstances: "c", IntendedUse: "u", Agency: "a", Priority: "routine"}
		id := pt.forge("ES", protocol.TypeTraceRequest, body)
		deliver(t, pt, es)
		tr := ok[*Trace](t)(es.Trace(t.Context(), operator, id))
		if tr.State != Submitted || !strings.Contains(tr.MatchNote, c.note) || len(tr.Matches) != c.matches {
			t.Errorf("%s: %s, %q, %d matches; want %q and %d", c.name, tr.State, tr.MatchNote, len(tr.Matches), c.note, c.matches)
		}
		if len(tr.Timeline) != 3 || tr.Timeline[2].Note != tr.MatchNote {
			t.Errorf("%s: timeline %+v", c.name, tr.Timeline)
		}
	}
	if r := es.Refused(protocol.TypeTraceRequest); len(r) != 0 {
		t.Errorf("refused: %q", r)
	}
}

func TestTooManyRecordsAgree(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	ok[*ImportReport](t)(es.ImportFirearms(t.Context(), operator, "", "guns.csv", []byte(file(maxExamined+1))))
	q := SearchQuery{FirearmDescription: protocol.FirearmDescription{Serial: "AB0????", Make: "Glock"}}
	if _, err := es.SearchFirearms(t.Context(), operator, q); !errors.Is(err, desk.ErrInvalid) || !strings.Contains(err.Error(), "more than 1000 records") {
		t.Errorf("a search that says too little: %v", err)
	}
	n := ask("ES", "AB0????")
	n.Firearm.Make = "Glock"
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "", n))
	deliver(t, pt, es)
	in := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID))
	if len(in.Matches) != maxMatches || !strings.Contains(in.MatchNote, "more than 500") {
		t.Errorf("%d matches, %q", len(in.Matches), in.MatchNote)
	}
}

// An answer carries the restrictions of the request and those that the policy on answering adds; what two people must approve is not sent.
func TestAnswerCarriesWhatPolicyDemands(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "", ask("ES", "AB10482")))
	deliver(t, pt, es)
	ok[*Trace](t)(es.Acknowledge(t.Context(), operator, "", tr.ID, ""))
	no := Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}}
	const permit = ` permit (principal == Country::"PT", action == Action::"answer", resource is ForeignTraceRequest);`

	es.Engine = ok[*policy.Engine](t)(policy.Load(withPolicy(t, `@id("two") @approval("two-person")`+permit)))
	held := ok[*Trace](t)(es.Answer(t.Context(), operator, "", tr.ID, no))
	last := held.Timeline[len(held.Timeline)-1]
	deliver(t, es, pt)
	if got := ok[*Trace](t)(pt.Trace(t.Context(), operator, tr.ID)); last.Event != Waits || got.Answer != nil {
		t.Errorf("an answer that two people must approve: %+v, %+v", last, got.Answer)
	}
	refuse := dispatch.ApprovalRef{Document: strings.TrimPrefix(last.Note, "proofmark approval show "), Note: "not like this"}
	if err := es.Store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := es.out.Disapprove(tx, desk.Actor{Name: "edgar"}, refuse)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if again := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID)); again.State != InProgress || again.Answer != nil {
		t.Errorf("an answer that people refused leaves the trace %s, %+v", again.State, again.Answer)
	}
	es.Engine = ok[*policy.Engine](t)(policy.Load(withPolicy(t, `@id("hold") @handling("H2")`+permit)))
	ok[*Trace](t)(es.Answer(t.Context(), operator, "", tr.ID, no))
	deliver(t, es, pt)
	got := ok[*Trace](t)(pt.Trace(t.Context(), operator, tr.ID))
	if got.State != Unsuccessful || strings.Join(got.Handling.Codes(), " ") != "H0 H2" {
		t.Errorf("%s with handling %v, want H0 H2", got.State, got.Handling)
	}
}
