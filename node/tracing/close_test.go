package tracing

import (
	"errors"
	"strings"
	"testing"

	"proofmark/node/desk"
	"proofmark/protocol"
)

// TestCloseTellsTheCountryThatWasAsked: only the country that asked closes, only what is answered, once; both sides and both logs say so.
func TestCloseTellsTheCountryThatWasAsked(t *testing.T) {
	bs := newBureaus(t, "PT", "ES", "FR")
	pt, es, fr := bs[0], bs[1], bs[2]
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "new", ask("ES", "AB10482")))
	deliver(t, pt, es)
	refused := func(b *bureau, who desk.Actor, want error, words string) {
		t.Helper()
		if _, err := b.Close(t.Context(), who, "", tr.Number, ""); !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s, %s: %v", b.Country, who.Name, err)
		}
	}
	refused(pt, investigator, desk.ErrConflict, "document withdraw "+tr.ID)
	refused(es, operator, desk.ErrConflict, "a request of PT: that country closes it")
	refused(pt, technician, desk.ErrForbidden, "")

	closing := &protocol.TraceStatusBody{Request: tr.ID, Status: protocol.TraceClosed}
	pt.forge("ES", protocol.TypeTraceStatus, closing) // before there is an answer
	fr.forge("ES", protocol.TypeTraceStatus, closing) // somebody else's request
	unknown := ok[string](t)(protocol.NewDocumentID("PT", now, strings.NewReader(strings.Repeat("x", 64))))
	pt.forge("ES", protocol.TypeTraceStatus, &protocol.TraceStatusBody{Request: unknown, Status: protocol.TraceClosed}) // own, and not held there any more
	es.forge("PT", protocol.TypeTraceStatus, closing)                                                                   // the asked country closes
	deliver(t, pt, es)
	deliver(t, fr, es)
	deliver(t, es, pt)
	if got := strings.Join(es.Refused(protocol.TypeTraceStatus), "\n"); strings.Count(got, "\n") != 1 || !strings.Contains(got, "SUBMITTED cannot be closed") || !strings.Contains(got, "FR closes trace PT-T-") {
		t.Errorf("refused at ES: %s", got)
	}
	if got := pt.Refused(protocol.TypeTraceStatus); len(got) != 1 || !strings.Contains(got[0], "ES closes trace PT-T-") {
		t.Errorf("refused at PT: %s", got)
	}

	ok[*Trace](t)(es.Acknowledge(t.Context(), operator, "ack", tr.ID, ""))
	ok[*Trace](t)(es.Answer(t.Context(), operator, "answer", tr.ID, Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}}))
	deliver(t, es, pt)
	for range 2 { // the client tries again
		if got := ok[*Trace](t)(pt.Close(t.Context(), investigator, "close", tr.Number, "thank you")); got.State != Closed {
			t.Fatalf("%+v", got)
		}
	}
	refused(pt, investigator, desk.ErrConflict, "is closed already")
	deliver(t, pt, es)
	es.restart()
	for _, b := range []*bureau{pt, es} {
		got := ok[*Trace](t)(b.Trace(t.Context(), operator, tr.ID))
		last := got.Timeline[len(got.Timeline)-1]
		if got.State != Closed || last.Event != Close || last.Note != "thank you" || (last.Country == "PT") != (b == es) || got.Answer == nil {
			t.Errorf("%s: %s, %+v", b.Country, got.State, last)
		}
	}
	if got := ok[[]*Trace](t)(es.ListTraces(t.Context(), operator, TraceFilter{State: Closed})); len(got) != 1 {
		t.Errorf("%d closed traces are listed", len(got))
	}
	if n := pt.events("trace closed"); n != 1 {
		t.Errorf("%d entries of the act", n)
	}
}

// TestARefusedTraceIsClosed: what was refused for its country's budget can be closed as well.
func TestARefusedTraceIsClosed(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	es.Engine = allowing(t, "[[country]]\nasks = \"trace\"\nlimit = 0\nper = \"P1D\"")
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "new", ask("ES", "AB10482")))
	deliver(t, pt, es)
	deliver(t, es, pt)
	ok[*Trace](t)(pt.Close(t.Context(), investigator, "close", tr.ID, ""))
	deliver(t, pt, es)
	if got := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID)); got.State != Closed || got.Answer != nil {
		t.Errorf("%+v", got)
	}
	if open := ok[[]*Trace](t)(es.ListTraces(t.Context(), operator, TraceFilter{Open: true})); len(open) != 0 {
		t.Errorf("%d wait for an answer", len(open))
	}
}
