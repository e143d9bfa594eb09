package dispatch

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

const careful = `@id("careful") @approval("two-person") @handling("H0") @redact("place agency") permit (principal is Country, action == Action::"share", resource) when { principal.code == "ES" };
permit (principal is Country, action == Action::"share", resource) when { principal.code == "FR" };`

func (b *bureau) decide(who string, r ApprovalRef, how func(*store.Tx, desk.Actor, ApprovalRef) (*Waiting, error)) (w *Waiting, err error) {
	err = b.store.Update(context.Background(), func(tx *store.Tx) error {
		w, err = how(tx, desk.Actor{Name: who}, r)
		return err
	})
	return w, err
}

func (b *bureau) shown(id string) (w *Waiting) {
	b.view(func(tx *store.Tx) (err error) {
		w, err = b.ShowApproval(tx, id)
		return err
	})
	return w
}

// A publication waits, for the country for which policy asks so, until two people other than its proposer have approved it; a restart between changes nothing.
func TestPublicationWaitsForTwoPeople(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	pt.rules(careful)
	id := pt.publish(signature("Canary-place"), attributes())
	deliver(pt, fr, protocol.Bulk)
	if len(fr.got) != 1 || len(deliver(pt, es, protocol.Bulk)) != 0 {
		t.Fatal("it went where it must wait, or waits where it may go")
	}
	w := pt.shown(id)
	if len(w.Manners) != 1 || !slices.Equal(w.Manners[0].To, []protocol.Country{"ES"}) || w.Proposer != "tina" || !slices.Equal(w.Manners[0].Policies, []string{"careful (90-test.cedar:1)"}) {
		t.Fatalf("%+v", w)
	}
	sent := w.Manners[0].Sent
	if sent == nil || !slices.Equal(sent.Withheld, []string{"agency", "place"}) || bytes.Contains(sent.Body, []byte("Canary-place")) || !bytes.Contains(sent.Body, []byte("Canary-offence")) ||
		!slices.Equal(sent.Handling, protocol.MarkedBy("PT", "H0")) || w.Manners[0].Now != w.Manners[0].Manner {
		t.Errorf("it is shown as %+v", sent)
	}
	ref := ApprovalRef{Document: id, Seen: []string{w.Manners[0].Now}}
	if _, err := pt.decide("tina", ref, pt.Approve); !errors.Is(err, ErrSamePerson) {
		t.Errorf("the proposer approves: %v", err)
	}
	if w, err := pt.decide("edgar", ref, pt.Approve); err != nil || w.Manners[0].State != Awaiting || len(w.Manners[0].Approvals) != 1 {
		t.Fatalf("%+v, %v", w, err)
	}
	pt.reopen()
	if _, err := pt.decide("edgar", ref, pt.Approve); !errors.Is(err, ErrSamePerson) {
		t.Errorf("one person approves twice: %v", err)
	}
	if len(deliver(pt, es, protocol.Bulk)) != 0 {
		t.Fatal("one approval was enough")
	}
	if w, err := pt.decide("olga", ref, pt.Approve); err != nil || w.Manners[0].State != Queued {
		t.Fatalf("%+v, %v", w, err)
	}
	pt.reopen()
	batches := deliver(pt, es, protocol.Bulk)
	if len(batches) != 1 || es.record(id) == nil {
		t.Fatal("what two people approved does not go")
	}
	if out := pt.plain(batches[0]); bytes.Contains(out, []byte("Canary-place")) || !bytes.Contains(out, []byte("Canary-offence")) {
		t.Error("not what was shown went out")
	}
	if n := pt.entries(func(r store.AuditRecord) bool {
		return r.Action == protocol.ActDisclose && r.Counterpart == "ES" && r.Details["approved_1"] == "edgar" && r.Details["approved_2"] == "olga"
	}); n != 1 {
		t.Errorf("%d entries of the disclosure name both people", n)
	}
	for _, event := range []string{"held: two people are to approve it", "approved by a first person", "approved by a second person"} {
		if n := pt.entries(func(r store.AuditRecord) bool { return r.Event == event && slices.Contains(r.Documents, id) }); n != 1 {
			t.Errorf("%q stands in the log %d times", event, n)
		}
	}
	if _, err := pt.decide("vera", ref, pt.Approve); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("approved when nothing waits: %v", err)
	}
}

// Approvals are for what was shown: a policy that would send more, between an approval and the sending, has it approved anew; one that forbids is obeyed.
func TestApprovalsAreForWhatWasShown(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.rules(careful)
	id := pt.publish(signature("Canary-place"), attributes())
	seen := []string{pt.shown(id).Manners[0].Now}
	for _, who := range []string{"edgar", "olga"} {
		if _, err := pt.decide(who, ApprovalRef{Document: id, Seen: seen}, pt.Approve); err != nil {
			t.Fatal(err)
		}
	}
	pt.rules(strings.Replace(careful, "place ", "", 1)) // the place would go
	if sent := deliver(pt, es, protocol.Bulk); len(sent) != 0 || pt.delivery(id, "ES").State != Awaiting || len(pt.delivery(id, "ES").Wait.Approvals) != 0 {
		t.Fatalf("%d batches, %+v", len(sent), pt.delivery(id, "ES"))
	}
	if _, err := pt.decide("edgar", ApprovalRef{Document: id, Seen: seen}, pt.Approve); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("approved by who saw something else: %v", err)
	}
	pt.rules(careful)
	if w, err := pt.decide("edgar", ApprovalRef{Document: id, Seen: seen}, pt.Approve); err != nil || len(w.Manners[0].Approvals) != 1 || w.Manners[0].State != Awaiting {
		t.Errorf("%+v, %v", w, err)
	}
	pt.rules(`forbid (principal is Country, action == Action::"share", resource);`)
	if _, err := pt.decide("olga", ApprovalRef{Document: id}, pt.Approve); err != nil || pt.delivery(id, "ES").State != Denied {
		t.Errorf("%+v, %v", pt.delivery(id, "ES"), err)
	}
	free := pt.publish(signature("x"), attributes())
	pt.rules(careful)
	if err := pt.OfferAll(t.Context()); err != nil || pt.delivery(free, "ES").State != Awaiting {
		t.Errorf("%+v, %v", pt.delivery(free, "ES"), err)
	}
	pt.rules(`permit (principal is Country, action == Action::"share", resource);`)
	if err := pt.OfferAll(t.Context()); err != nil || pt.delivery(free, "ES").State != Queued {
		t.Errorf("a policy that needs nobody's approval: %+v, %v", pt.delivery(free, "ES"), err)
	}
}

func TestWaitsThatEnd(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.rules(careful)
	refused, expired, withdrawn := pt.publish(signature("x"), attributes()), pt.publish(signature("x"), attributes()), pt.publish(signature("x"), attributes())
	ack, err := pt.tryAck("ES", "x", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pt.decide("edgar", ApprovalRef{Document: refused}, pt.Disapprove); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("refused without a reason: %v", err)
	}
	for _, id := range []string{refused, ack} {
		if w, err := pt.decide("edgar", ApprovalRef{Document: id, Note: "the case is secret"}, pt.Disapprove); err != nil || w.Manners[0].Ended != "the case is secret" || w.Manners[0].By != "edgar" {
			t.Errorf("%+v, %v", w, err)
		}
	}
	if pt.record(refused).Status != Own || pt.record(ack).Status != Recalled {
		t.Errorf("a publication is %s, a document for one country %s", pt.record(refused).Status, pt.record(ack).Status)
	}
	pt.update(func(tx *store.Tx) error {
		_, err := pt.Withdraw(tx, desk.Actor{Name: "edgar"}, withdrawn, Withdrawal{Reason: protocol.ReasonEnteredInError})
		return err
	})
	f.clock.add(ApprovalDays*24*time.Hour - time.Second)
	if err := pt.ExpireApprovals(t.Context()); err != nil || pt.delivery(expired, "ES").State != Awaiting {
		t.Fatalf("%+v, %v", pt.delivery(expired, "ES"), err)
	}
	f.clock.add(time.Second)
	if err := pt.ExpireApprovals(t.Context()); err != nil || pt.delivery(expired, "ES").State != Disapproved {
		t.Fatalf("%+v, %v", pt.delivery(expired, "ES"), err)
	}
	pt.rules(`permit (principal is Country, action == Action::"share", resource);`)
	if err := pt.OfferAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(deliver(pt, es, protocol.Bulk)) != 0 || len(deliver(pt, es, protocol.Urgent)) != 0 {
		t.Error("what people refused, nobody approved, or was withdrawn went out under another policy")
	}
	pt.view(func(tx *store.Tx) error {
		list, err := pt.Approvals(tx)
		if err != nil || len(list) != 0 {
			t.Errorf("%d documents still wait, %v", len(list), err)
		}
		return nil
	})
}

// How long a document waits is configured; what waits already keeps the day that people were told. Whoever's command made it is told that it waits, also when
// the command is repeated.
func TestWaitsAreAsLongAsConfigured(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt := f.bureaus["PT"]
	pt.rules(careful)
	pt.ApprovalTime = 3 * 24 * time.Hour
	var id string
	issue := func(tx *store.Tx) ([]byte, error) {
		var err error
		id, err = pt.Issue(tx, protocol.TypeSignature, signature("x"), Facts{Attributes: attributes(), Actor: "tina"})
		return []byte("{}"), err
	}
	for range 2 {
		pt.update(func(tx *store.Tx) error {
			_, _, err := tx.Once("tina", "key-1", nil, func() ([]byte, error) { return issue(tx) })
			return err
		})
	}
	held := func(who, key string) (list []*Waiting) {
		pt.view(func(tx *store.Tx) (err error) {
			list, err = pt.HeldOf(tx, who, key)
			return err
		})
		return list
	}
	list := held("tina", "key-1")
	if len(list) != 1 || list[0].Document != id || !list[0].Until.Equal(f.clock.now().Add(3*24*time.Hour)) {
		t.Fatalf("%+v", list)
	}
	if more := append(held("tina", "key-2"), held("edgar", "key-1")...); len(more) != 0 {
		t.Errorf("others are told: %+v", more)
	}
	pt.ApprovalTime = 30 * 24 * time.Hour
	f.clock.add(3*24*time.Hour - time.Second)
	if err := pt.ExpireApprovals(t.Context()); err != nil || pt.delivery(id, "ES").State != Awaiting {
		t.Fatalf("%+v, %v", pt.delivery(id, "ES"), err)
	}
	f.clock.add(time.Second)
	if err := pt.ExpireApprovals(t.Context()); err != nil || pt.delivery(id, "ES").State != Disapproved {
		t.Fatalf("%+v, %v", pt.delivery(id, "ES"), err)
	}
	if list := held("tina", "key-1"); len(list) != 0 {
		t.Errorf("what lapsed still waits: %+v", list)
	}
}

// What waits for people for an operation leaves the queue with the operation, as it does where policy comes to forbid it; an approval that comes too late sends
// nothing.
func TestWaitsEndWithWhatTheyRestOn(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	const number = "PT-O-2026-000001"
	running := true
	pt.Operations = func(*store.Tx, protocol.Country) ([]policy.Operation, error) {
		if !running {
			return nil, nil
		}
		return []policy.Operation{{Number: number, Until: f.clock.now().AddDate(0, 1, 0)}}, nil
	}
	pt.rules(`@id("together") @approval("two-person") permit (principal is Country, action == Action::"share", resource is Signature)
when { context.operations.containsAny(resource.operations) };`)
	attrs := attributes()
	attrs["operations"] = []string{number}
	offered, approved := pt.publish(signature("x"), attrs), pt.publish(signature("x"), attrs)
	for _, id := range []string{offered, approved} {
		if dl := pt.delivery(id, "ES"); dl == nil || dl.State != Awaiting {
			t.Fatalf("%+v", dl)
		}
	}
	if _, err := pt.decide("edgar", ApprovalRef{Document: approved}, pt.Approve); err != nil {
		t.Fatal(err)
	}
	running = false
	w := pt.shown(approved)
	if s := w.Manners[0].Sent; s == nil || s.Allow || len(s.Body) > 0 {
		t.Errorf("after the end it is shown as %+v", s)
	}
	if _, err := pt.decide("olga", ApprovalRef{Document: approved}, pt.Approve); err != nil || pt.delivery(approved, "ES").State != Denied {
		t.Errorf("approved after the end: %+v, %v", pt.delivery(approved, "ES"), err)
	}
	if err := pt.OfferAll(t.Context()); err != nil || pt.delivery(offered, "ES").State != Denied {
		t.Errorf("after the end: %+v, %v", pt.delivery(offered, "ES"), err)
	}
	pt.view(func(tx *store.Tx) error {
		list, err := pt.Approvals(tx)
		if err != nil || len(list) != 0 {
			t.Errorf("%d documents still wait, %v", len(list), err)
		}
		return nil
	})
	if len(deliver(pt, es, protocol.Bulk)) != 0 {
		t.Error("something went out after the end")
	}
}
