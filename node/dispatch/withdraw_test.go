package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

var edgar = desk.Actor{Name: "edgar", Roles: []string{"examiner"}}

func (b *bureau) withdraw(id string) *Recall {
	b.f.t.Helper()
	r, err := b.tryWithdraw(id, Withdrawal{Reason: protocol.ReasonEnteredInError})
	if err != nil {
		b.f.t.Fatal(err)
	}
	return r
}

func (b *bureau) tryWithdraw(id string, w Withdrawal) (r *Recall, err error) {
	err = b.store.Update(context.Background(), func(tx *store.Tx) error {
		r, err = b.Withdraw(tx, edgar, id, w)
		return err
	})
	return r, err
}

// holders is what a bureau knows of those who hold a document that it withdrew.
func (b *bureau) holders(id string) map[protocol.Country]Holder {
	b.f.t.Helper()
	out := map[protocol.Country]Holder{}
	b.view(func(tx *store.Tx) error {
		s, err := b.Show(tx, id)
		if err != nil {
			return err
		}
		for _, h := range s.Holders {
			out[h.Peer] = h
		}
		return nil
	})
	return out
}

func (b *bureau) hold(id, ground string) {
	b.f.t.Helper()
	b.update(func(tx *store.Tx) error {
		_, err := b.Hold(tx, edgar, id, ground)
		return err
	})
}

func (b *bureau) release(id string) {
	b.f.t.Helper()
	b.update(func(tx *store.Tx) error {
		_, err := b.Release(tx, edgar, id)
		return err
	})
}

// told counts entries of a bureau's log about an object with an event that begins so.
func (b *bureau) told(action protocol.AuditAction, object, event string) int {
	return b.entries(func(r store.AuditRecord) bool {
		return r.Action == action && r.Object == object && strings.HasPrefix(r.Event, event)
	})
}

// tombstone of a document at a bureau; nil if there is none.
func (b *bureau) tombstone(id string) (t *Tombstone) {
	_ = b.store.View(func(tx *store.Tx) (err error) {
		t, err = Tombstones.Get(tx, id)
		return err
	})
	return t
}

// endings records what the workflow of signatures is told, and keeps a lead as its own record.
func (b *bureau) endings() *[]Ending {
	var got []Ending
	b.HandleEnding(protocol.TypeSignature, func(tx *store.Tx, e Ending) ([]protocol.Remainder, error) {
		got = append(got, e)
		if e.Own || e.Held {
			return nil, nil
		}
		return []protocol.Remainder{{What: "lead", Reference: "ES-L-2026-000001", Ground: protocol.GroundOwnRecord}}, nil
	})
	return &got
}

// From the publication to the confirmation, on both sides and in both logs.
func TestAWithdrawalErasesAndIsConfirmed(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	atOwner, atHolder := pt.endings(), es.endings()
	id := pt.publish(signature("Lisboa"), attributes())
	deliver(pt, es, protocol.Bulk) // FR never asks: for it an intent waits
	r := pt.withdraw(id)
	if len(r.Holders) != 1 || r.Holders[0].Peer != "ES" || r.Holders[0].State != HolderUntold || !slices.Equal(r.NeverSent, []string{"FR"}) || r.By != "edgar" {
		t.Errorf("%+v", r)
	}
	if again, err := pt.tryWithdraw(id, Withdrawal{Reason: protocol.ReasonCourtOrder}); err != nil || again.Withdrawal != r.Withdrawal || again.Reason != protocol.ReasonEnteredInError {
		t.Errorf("withdrawn twice: %+v, %v", again, err)
	}
	if len(deliver(pt, fr, protocol.Bulk)) != 0 || len(deliver(pt, fr, protocol.Urgent)) != 0 || fr.record(id) != nil {
		t.Error("FR, which never had it, was sent the document or its withdrawal")
	}
	if dl := pt.delivery(id, "FR"); dl.State != Dropped {
		t.Errorf("the delivery to FR is %s", dl.State)
	}
	deliver(pt, es, protocol.Urgent)
	if es.record(id) != nil || es.tombstone(id) == nil || es.tombstone(id).Erased.IsZero() {
		t.Errorf("ES still holds %+v, tombstone %+v", es.record(id), es.tombstone(id))
	}
	if h := pt.holders(id)["ES"]; h.State != HolderTold || h.Told.IsZero() {
		t.Errorf("told, and not confirmed yet: %+v", h)
	}
	f.clock.add(time.Minute)
	deliver(es, pt, protocol.Urgent)
	h := pt.holders(id)["ES"]
	if h.State != HolderErased || !h.At.Equal(begin) || len(h.Stays) != 1 || h.Stays[0].Reference != "ES-L-2026-000001" || !h.Done() {
		t.Errorf("%+v", h)
	}
	if own := pt.record(id); own.Status != Recalled || own.Withdrawn.Document != r.Withdrawal || own.Withdrawn.By != "edgar" {
		t.Errorf("%+v", own)
	}
	if e := *atHolder; len(e) != 1 || e[0].ID != id || e[0].Own || e[0].Cause != CauseWithdrawn || e[0].Document == nil || e[0].Document.ID != id {
		t.Errorf("the holder's workflow was told %+v", e)
	}
	if e := *atOwner; len(e) != 1 || !e[0].Own {
		t.Errorf("the owner's workflow was told %+v", e)
	}
	wid := r.Withdrawal
	for what, n := range map[string]int{
		"withdrawn at the owner": pt.told(protocol.ActAlter, id, "withdrawn: ENTERED_IN_ERROR"),
		"sent": pt.entries(func(r store.AuditRecord) bool {
			return r.Action == protocol.ActDisclose && r.Event == "sent" && slices.Equal(r.Documents, []string{wid}) && r.Ground == "withdrawal" && r.Object == id
		}),
		"received": es.told(protocol.ActReceive, wid, "received"),
		"erased":   es.told(protocol.ActErase, id, "erased: withdrawn by its owner"),
		"confirmation sent": es.entries(func(r store.AuditRecord) bool {
			return r.Action == protocol.ActDisclose && r.Event == "sent" && r.Object == id
		}),
		"confirmed": pt.told(protocol.ActReceive, id, "withdrawal confirmed: ERASED"),
	} {
		if n != 1 {
			t.Errorf("%s: %d entries, want one", what, n)
		}
	}
	if err := pt.OfferAll(context.Background()); err != nil || pt.delivery(id, "FR").State != Dropped {
		t.Errorf("a withdrawn document was offered again: %v", err)
	}
	pt.view(func(tx *store.Tx) error {
		all, err := pt.Recalls(tx, RecallFilter{})
		open, oerr := pt.Recalls(tx, RecallFilter{Open: true})
		if len(all) != 1 || len(open) != 0 {
			t.Errorf("listed %+v, open %+v", all, open)
		}
		return errors.Join(err, oerr)
	})
	es.view(func(tx *store.Tx) error {
		if _, err := es.Show(tx, id); !errors.Is(err, desk.ErrNotFound) || !strings.Contains(err.Error(), "was withdrawn by PT") {
			t.Errorf("shown at ES: %v", err)
		}
		return nil
	})
}

// The urgent channel overtakes the bulk one, and a bundle may be on its way for weeks.
func TestAWithdrawalOvertakesItsDocument(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	ended := es.endings()
	id := pt.publish(signature("Canary-place"), attributes())
	late, err := pt.NextBatch(context.Background(), "ES", protocol.Bulk) // fixed, and on its way
	if err != nil {
		t.Fatal(err)
	}
	pt.withdraw(id)
	deliver(pt, es, protocol.Urgent)
	if n := es.told(protocol.ActErase, id, ""); n != 0 {
		t.Errorf("%d erasures of what never was there", n)
	}
	if _, err := es.accept(pt, late); err != nil {
		t.Fatal(err)
	}
	if es.record(id) != nil || len(es.kept(Refused)) != 0 || len(es.got) != 0 {
		t.Errorf("kept %+v, refused %+v, handled %d", es.record(id), es.kept(Refused), len(es.got))
	}
	if n := es.told(protocol.ActDeny, id, "refused: withdrawn by its owner before it arrived"); n != 1 {
		t.Errorf("%d entries of the refusal", n)
	}
	deliver(es, pt, protocol.Urgent)
	if h := pt.holders(id)["ES"]; h.State != HolderWithout || !h.Done() {
		t.Errorf("%+v", h)
	}
	if len(*ended) != 1 || (*ended)[0].Document != nil {
		t.Errorf("what may have been made of it is asked for: %+v", *ended)
	}
	deliver(pt, es, protocol.Bulk) // the channel goes on
}

// What was refused, or not understood, goes with it.
func TestRefusedCopiesGoToo(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	es.rules(`forbid (principal is Country, action == Action::"accept", resource is ForeignSignature);`)
	id := pt.publish(signature("Canary-place"), attributes())
	deliver(pt, es, protocol.Bulk)
	if len(es.kept(Refused)) != 1 {
		t.Fatalf("%+v", es.kept(Refused))
	}
	pt.withdraw(id)
	deliver(pt, es, protocol.Urgent)
	deliver(es, pt, protocol.Urgent)
	if left := es.kept(Refused); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	if h := pt.holders(id)["ES"]; h.State != HolderErased {
		t.Errorf("%+v", h)
	}
}

func TestALegalHoldKeepsAndIsNamed(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	ended := es.endings()
	id := pt.publish(signature("x"), attributes())
	deliver(pt, es, protocol.Bulk)
	es.hold(id, "Audiencia Nacional 12/2026")
	es.hold(id, "Audiencia Nacional 12/2026") // again: nothing changes
	if err := es.store.Update(context.Background(), func(tx *store.Tx) error { _, err := es.Hold(tx, edgar, id, "another"); return err }); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("held on two grounds: %v", err)
	}
	pt.withdraw(id)
	deliver(pt, es, protocol.Urgent)
	deliver(es, pt, protocol.Urgent)
	if rec := es.record(id); rec == nil || rec.Withdrawn == nil || rec.Hold == nil {
		t.Fatalf("%+v", rec)
	}
	if h := pt.holders(id)["ES"]; h.State != HolderHolds || h.Ground != "Audiencia Nacional 12/2026" || h.Done() {
		t.Errorf("%+v", h)
	}
	if e := *ended; len(e) != 1 || !e[0].Held {
		t.Errorf("%+v", e)
	}
	if n := es.entries(func(r store.AuditRecord) bool {
		return r.Action == protocol.ActErase && r.Decision == "deny" && r.Ground == "legal-hold" && r.Object == id
	}); n != 1 {
		t.Errorf("%d entries say that it was not erased", n)
	}
	f.clock.add(time.Hour)
	es.release(id)
	deliver(es, pt, protocol.Urgent)
	if h := pt.holders(id)["ES"]; h.State != HolderErased || !h.At.Equal(begin.Add(time.Hour)) {
		t.Errorf("%+v", h)
	}
	if es.record(id) != nil || len(*ended) != 2 || (*ended)[1].Held || es.told(protocol.ActErase, id, "erased") != 1 || pt.told(protocol.ActReceive, id, "withdrawal confirmed") != 2 {
		t.Errorf("after the hold: %+v, %+v", es.record(id), *ended)
	}
	// A hold without a withdrawal ends, and nothing happens.
	other := pt.publish(signature("y"), attributes())
	deliver(pt, es, protocol.Bulk)
	es.hold(other, "order 7")
	es.release(other)
	if rec := es.record(other); rec == nil || rec.Hold != nil {
		t.Errorf("%+v", rec)
	}
	for id, want := range map[string]error{other: desk.ErrConflict, "none": desk.ErrNotFound} {
		if err := es.store.Update(context.Background(), func(tx *store.Tx) error { _, err := es.Release(tx, edgar, id); return err }); !errors.Is(err, want) {
			t.Errorf("release %s: %v", id, err)
		}
	}
	for _, ground := range []string{"", " ", "a\nb", strings.Repeat("x", 257)} {
		if err := es.store.Update(context.Background(), func(tx *store.Tx) error { _, err := es.Hold(tx, edgar, other, ground); return err }); !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("held on the ground %q: %v", ground, err)
		}
	}
	if err := pt.store.Update(context.Background(), func(tx *store.Tx) error { _, err := pt.Hold(tx, edgar, other, "own"); return err }); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("an own document was held: %v", err)
	}
}

// A suspended member is told as soon as it is active again; policy has no say in it, on neither side.
func TestEveryHolderIsTold(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	id := pt.publish(signature("x"), attributes())
	deliver(pt, es, protocol.Bulk)
	f.enact([]protocol.Country{"PT", "ES"}, "ES")
	pt.withdraw(id)
	if _, err := pt.NextBatch(context.Background(), "ES", protocol.Urgent); !errors.Is(err, ErrNotMember) {
		t.Fatalf("a suspended member was written to: %v", err)
	}
	if h := pt.holders(id)["ES"]; h.State != HolderUntold {
		t.Errorf("%+v", h)
	}
	nothing := `forbid (principal is Country, action in [Action::"share", Action::"accept"], resource);`
	pt.rules(nothing)
	es.rules(nothing)
	f.enact([]protocol.Country{"PT", "ES"})
	deliver(pt, es, protocol.Urgent)
	deliver(es, pt, protocol.Urgent)
	if h := pt.holders(id)["ES"]; h.State != HolderErased || es.record(id) != nil {
		t.Errorf("%+v", h)
	}
}

// What went by bundle is withdrawn like what went by wire, by bundle or by wire.
func TestWithdrawalByBundle(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	ctx := context.Background()
	carry := func(from, to *bureau) {
		b, _, err := from.Bundle(ctx, to.country)
		if err == nil {
			_, err = to.AcceptBundle(ctx, b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	id := pt.publish(signature("x"), attributes())
	carry(pt, es)
	if es.record(id) == nil {
		t.Fatal("it did not arrive")
	}
	if pt.withdraw(id); len(pt.holders(id)) != 1 {
		t.Fatal("whoever got it by bundle is not told")
	}
	carry(pt, es)
	carry(es, pt)
	if h := pt.holders(id)["ES"]; h.State != HolderErased || es.record(id) != nil {
		t.Errorf("%+v", h)
	}
}

func TestWhoMayWithdrawWhat(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	id := pt.publish(signature("x"), attributes())
	deliver(pt, es, protocol.Bulk)
	fine := Withdrawal{Reason: protocol.ReasonSuperseded}
	if _, err := es.tryWithdraw(id, fine); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "only PT") {
		t.Errorf("a holder withdrew: %v", err)
	}
	for _, c := range []struct {
		id   string
		w    Withdrawal
		want error
	}{{"none", fine, desk.ErrNotFound}, {id, Withdrawal{}, desk.ErrInvalid}, {id, Withdrawal{Reason: "BORED"}, desk.ErrInvalid}, {id, Withdrawal{Reason: protocol.ReasonOther}, desk.ErrInvalid},
		{id, Withdrawal{Reason: protocol.ReasonOther, Note: "\x1b"}, desk.ErrInvalid}} {
		if _, err := pt.tryWithdraw(c.id, c.w); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	r := pt.withdraw(id)
	if _, err := pt.tryWithdraw(r.Withdrawal, fine); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("a withdrawal was withdrawn: %v", err)
	}
	// On the wire: another's document, one with another hash, and a confirmation that nobody asked for.
	hash := protocol.DocumentHash(pt.record(id).JWS)
	forged, _, _ := fr.document(protocol.TypeWithdrawal, &protocol.WithdrawalBody{Document: id, Kind: protocol.TypeSignature, SHA256: hash, Reason: protocol.ReasonSuperseded}, nil)
	deliver(fr, es, protocol.Urgent)
	c := fr.chainTo("ES", protocol.Urgent)
	if _, err := es.accept(fr, fr.batch("ES", protocol.Urgent, 1, nil, c.add(forged, nil))); err != nil {
		t.Fatal(err)
	}
	if es.record(id) == nil || es.tombstone(id) != nil || !strings.Contains(es.kept(Refused)[0].Reason, "only its issuer") {
		t.Errorf("FR withdrew a document of PT: %+v", es.kept(Refused))
	}
	wrong, _, _ := pt.document(protocol.TypeWithdrawal, &protocol.WithdrawalBody{Document: id, Kind: protocol.TypeSignature, SHA256: strings.Repeat("00", 32), Reason: protocol.ReasonSuperseded}, nil)
	uncalled, _, _ := fr.document(protocol.TypeWithdrawalConfirmation, &protocol.WithdrawalConfirmationBody{Withdrawal: r.Withdrawal, Document: id, SHA256: hash, Outcome: protocol.OutcomeNotHeld}, nil)
	c = fr.chainTo("PT", protocol.Urgent)
	if _, err := pt.accept(fr, fr.batch("PT", protocol.Urgent, 1, nil, c.add(uncalled, nil))); err != nil || len(pt.kept(Refused)) != 1 || !strings.Contains(pt.kept(Refused)[0].Reason, "was never sent") {
		t.Errorf("FR confirmed what it was never told: %+v, %v", pt.kept(Refused), err)
	}
	c = pt.chainTo("ES", protocol.Urgent)
	if _, err := es.accept(pt, pt.batch("ES", protocol.Urgent, 1, nil, c.add(wrong, nil))); err != nil || es.record(id) == nil || len(es.kept(Refused)) != 2 {
		t.Errorf("a withdrawal of other bytes erased: %+v, %v", es.kept(Refused), err)
	}
}

// A confirmation must fit what was withdrawn, and the last word is not taken back.
func TestConfirmationsAreHeldToTheWithdrawal(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	id := pt.publish(signature("x"), attributes())
	other := pt.publish(signature("y"), attributes())
	deliver(pt, es, protocol.Bulk)
	r := pt.withdraw(id)
	deliver(pt, es, protocol.Urgent)
	hash := protocol.DocumentHash(pt.record(id).JWS)
	c := es.chainTo("PT", protocol.Urgent)
	said := func(change func(b *protocol.WithdrawalConfirmationBody)) string {
		b := &protocol.WithdrawalConfirmationBody{Withdrawal: r.Withdrawal, Document: id, SHA256: hash, Outcome: protocol.OutcomeNotHeld}
		change(b)
		jws, _, _ := es.document(protocol.TypeWithdrawalConfirmation, b, nil)
		msg := c.add(jws, nil)
		if _, err := pt.accept(es, es.batch("PT", protocol.Urgent, c.seq, nil, msg)); err != nil {
			t.Fatal(err)
		}
		for _, rec := range pt.kept(Refused) {
			if rec.JWS == jws {
				return rec.Reason
			}
		}
		return ""
	}
	for want, change := range map[string]func(b *protocol.WithdrawalConfirmationBody){
		"never issued":         func(b *protocol.WithdrawalConfirmationBody) { b.Withdrawal = other },
		"not of":               func(b *protocol.WithdrawalConfirmationBody) { b.Document = other },
		"the confirmation nam": func(b *protocol.WithdrawalConfirmationBody) { b.SHA256 = strings.Repeat("0f", 32) },
	} {
		if got := said(change); !strings.Contains(got, want) {
			t.Errorf("refused with %q, want %q", got, want)
		}
	}
	if got := said(func(*protocol.WithdrawalConfirmationBody) {}); got != "" {
		t.Errorf("a good one was refused: %s", got)
	}
	if got := said(func(b *protocol.WithdrawalConfirmationBody) {
		b.Outcome, b.Stays = protocol.OutcomeHeld, []protocol.Remainder{{What: "document", Ground: protocol.GroundLegalHold}}
	}); !strings.Contains(got, "confirmed the withdrawal") {
		t.Errorf("taken back: %q", got)
	}
	if h := pt.holders(id)["ES"]; h.State != HolderWithout {
		t.Errorf("%+v", h)
	}
}
