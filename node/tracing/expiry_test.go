package tracing

import (
	"context"
	"errors"
	"strings"
	"testing"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// withdraw takes back a bureau's own document and carries withdrawal and confirmation; it tells what the other side confirmed.
func (b *bureau) withdraw(t *testing.T, id string, other *bureau) (h dispatch.Holder) {
	t.Helper()
	err := b.Store.Update(context.Background(), func(tx *store.Tx) error {
		_, err := b.out.Withdraw(tx, operator, id, dispatch.Withdrawal{Reason: protocol.ReasonCaseClosed})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, b, other)
	deliver(t, other, b)
	if err := b.Store.View(func(tx *store.Tx) error {
		d, err := b.out.Show(tx, id)
		if err == nil && len(d.Holders) == 1 {
			h = d.Holders[0]
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (b *bureau) ends(t *testing.T, e dispatch.Ending, fn func(*store.Tx, dispatch.Ending) ([]protocol.Remainder, error)) {
	t.Helper()
	if err := b.Store.Update(context.Background(), func(tx *store.Tx) error { _, err := fn(tx, e); return err }); err != nil {
		t.Fatal(err)
	}
}

// A request that nobody answered goes whole; it may be withdrawn by the country that asked alone.
func TestAWithdrawnRequestGoes(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "k1", ask("ES", "A810482")))
	deliver(t, pt, es)
	if err := es.Store.Update(t.Context(), func(tx *store.Tx) error { _, err := es.out.Hold(tx, operator, tr.ID, "order 7"); return err }); err != nil {
		t.Fatal(err)
	}
	if h := pt.withdraw(t, tr.ID, es); h.State != dispatch.HolderHolds {
		t.Errorf("%+v", h)
	}
	if in := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID)); in.SourceWithdrawn.IsZero() || in.Request.Narrative == "" {
		t.Errorf("held: %+v", in)
	}
	if _, err := es.Acknowledge(t.Context(), operator, "k2", tr.ID, ""); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "withdrew") {
		t.Errorf("a withdrawn request was taken up: %v", err)
	}
	if err := es.Store.Update(t.Context(), func(tx *store.Tx) error { _, err := es.out.Release(tx, operator, tr.ID); return err }); err != nil {
		t.Fatal(err)
	}
	if _, err := es.Trace(t.Context(), operator, tr.ID); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("ES still has it: %v", err)
	}
	if out := ok[*Trace](t)(pt.Trace(t.Context(), investigator, tr.ID)); out.SourceWithdrawn.IsZero() || out.Request.Narrative == "" || out.Timeline[len(out.Timeline)-1].Event != "request withdrawn" {
		t.Errorf("at PT: %+v", out)
	}
}

// What was answered stays as a record of what was disclosed; the answer can be withdrawn by the country that gave it.
func TestAnAnsweredTraceStaysWithoutTheOthersWords(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "k1", soldInGermany))
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "k1", ask("ES", "A810482")))
	deliver(t, pt, es)
	ok[*Trace](t)(es.Acknowledge(t.Context(), operator, "k2", tr.ID, ""))
	ok[*Trace](t)(es.Answer(t.Context(), operator, "k3", tr.ID, Answer{Record: "ES-RA-7", Note: "see chain"}))
	deliver(t, es, pt)
	out := ok[*Trace](t)(pt.Trace(t.Context(), investigator, tr.ID))
	if out.Answer == nil {
		t.Fatalf("%+v", out)
	}
	answer := out.Timeline[len(out.Timeline)-1].Document
	// Withdrawn by its giver.
	if h := es.withdraw(t, answer, pt); h.State != dispatch.HolderErased || len(h.Stays) != 1 || h.Stays[0].Reference != tr.Number {
		t.Errorf("%+v", h)
	}
	out = ok[*Trace](t)(pt.Trace(t.Context(), investigator, tr.ID))
	if out.Answer != nil || out.State != Completed || out.SourceWithdrawn.IsZero() {
		t.Errorf("at PT: %+v", out)
	}
	for _, s := range out.Timeline {
		if s.Note == "see chain" {
			t.Error("the answer's note is still in the timeline")
		}
	}
	if in := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID)); in.Answer == nil || in.SourceWithdrawn.IsZero() {
		t.Errorf("at ES: %+v", in)
	}
	// And the request's retention ends.
	es.ends(t, dispatch.Ending{ID: tr.ID, Type: protocol.TypeTraceRequest, Issuer: "FR", Cause: dispatch.CauseExpired}, es.endRequest)
	if in := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID)); in.Request.Narrative == "" {
		t.Error("FR ended a request of PT")
	}
	es.ends(t, dispatch.Ending{ID: tr.ID, Type: protocol.TypeTraceRequest, Issuer: "PT", Cause: dispatch.CauseExpired}, es.endRequest)
	in := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID))
	if in.Request.Narrative != "" || in.Request.Circumstances != "" || in.Request.RecoveryDate != nil || len(in.Matches) != 0 || in.Answer == nil || in.Request.Firearm.Serial == "" {
		t.Errorf("after the request's retention: %+v", in)
	}
}
