package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

const shareNarrow = `
@id("narrow") @handling("H0 H2") @retain("P30D") @redact("agency place narrative")
permit (principal is Country, action == Action::"share", resource is Signature) unless { principal == Country::"FR" };
@id("acks") @handling("H1") permit (principal is Country, action == Action::"share", resource is LeadAck);
`

const shareNothing = `@id("none") forbid (principal, action == Action::"share", resource);`

func TestPolicyDecidesWhatLeaves(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	pt.rules(shareNarrow)
	attrs := attributes()
	attrs["handling"] = []string{"H3"}
	id := pt.publish(signature("Canary-place"), attrs)

	if !slices.Equal(pt.queued, []string{"ES/bulk"}) {
		t.Errorf("woken: %v", pt.queued)
	}
	if d := pt.delivery(id, "FR"); d == nil || d.State != Denied || d.Policy == "" {
		t.Errorf("denied: %+v", d)
	}
	if n := pt.entries(func(r store.AuditRecord) bool {
		return r.Action == protocol.ActDeny && r.Counterpart == "FR" && r.Object == "E-1" && r.Ground == "policy"
	}); n != 1 {
		t.Errorf("%d entries of the denial", n)
	}
	if len(deliver(pt, fr, protocol.Bulk)) != 0 {
		t.Error("something went to FR")
	}
	sent := deliver(pt, es, protocol.Bulk)
	if len(sent) != 1 || len(es.got) != 1 || len(fr.got) != 0 {
		t.Fatal(len(sent), len(es.got), len(fr.got))
	}
	out := pt.plain(sent[0])
	for _, gone := range []string{"Canary-agency", "Canary-place", "Canary-narrative"} {
		if bytes.Contains(out, []byte(gone)) {
			t.Errorf("%s left the country", gone)
		}
	}
	for _, there := range []string{"Canary-case", "Canary-number", "Canary-offence"} {
		if !bytes.Contains(out, []byte(there)) {
			t.Errorf("%s was not disclosed: the search for what must not be there would find nothing either", there)
		}
	}
	in := es.got[0]
	body, err := protocol.BodyOf[protocol.SignatureBody](in.Document)
	if err != nil || body.Offence != "Canary-offence" || body.Place != "" || in.Document.Withheld != len(protocol.Redactable(protocol.TypeSignature))-3 {
		t.Errorf("%+v, %d withheld, %v", body, in.Document.Withheld, err)
	}
	if want := begin.AddDate(0, 0, 30); !in.Terms.RetainUntil.Equal(want) || !slices.Equal(in.Terms.Handling, []string{"H0", "H2", "H3"}) {
		t.Errorf("terms %+v, want until %s", in.Terms, want)
	}
	rec := es.record(id)
	if rec == nil || rec.Status != Accepted || rec.JWS != pt.record(id).JWS || rec.Issuer != "PT" || len(rec.Disclosures) != 3 {
		t.Errorf("kept: %+v", rec)
	}
	d := pt.delivery(id, "ES")
	if d.State != Delivered || d.Seq != 1 || !slices.Equal(d.Withheld, []string{"agency", "narrative", "place"}) || !d.Terms.RetainUntil.Equal(in.Terms.RetainUntil) {
		t.Errorf("delivery: %+v", d)
	}
	var disclosed, receipt, received []store.AuditRecord
	for _, r := range append(pt.log(), es.log()...) {
		switch {
		case r.Event == "sent":
			disclosed = append(disclosed, r)
		case r.Event == "receipt":
			receipt = append(receipt, r)
		case r.Event == "received":
			received = append(received, r)
		}
	}
	if len(disclosed) != 1 || disclosed[0].Case != "C-1" || !slices.Equal(disclosed[0].Withheld, d.Withheld) || len(disclosed[0].Policies) != 1 || disclosed[0].MessageSeq != 1 {
		t.Errorf("%+v", disclosed)
	}
	if len(receipt) != 1 || !slices.Equal(receipt[0].Documents, []string{id}) || len(received) != 1 || received[0].Object != id || received[0].Details["message"] != disclosed[0].Details["message"] {
		t.Errorf("%+v\n%+v", receipt, received)
	}
}

func TestDirectedDocuments(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	id := pt.ack("ES", "for ES alone")
	if len(deliver(pt, es, protocol.Urgent)) != 1 || len(deliver(pt, fr, protocol.Urgent)) != 0 || es.record(id) == nil || fr.record(id) != nil {
		t.Error("it did not go to its addressee alone")
	}
	documents, log := len(pt.kept(Own)), len(pt.log())
	pt.rules(shareNothing)
	for to, class := range map[protocol.Country]error{"ES": desk.ErrForbidden, "DE": desk.ErrInvalid, "PT": desk.ErrInvalid} {
		if _, err := pt.tryAck(to, "x", false); !errors.Is(err, class) {
			t.Errorf("to %s: %v", to, err)
		}
	}
	if _, err := pt.tryAck("ES", "x", false); err == nil || !strings.Contains(err.Error(), "none (90-test.cedar:1)") {
		t.Errorf("the refusal does not name its policy: %v", err)
	}
	if len(pt.kept(Own)) != documents || len(pt.log()) != log {
		t.Error("a refused document left something behind")
	}
	pt.rules(shareNarrow)
	err := pt.store.Update(t.Context(), func(tx *store.Tx) error {
		return pt.IssueAs(tx, id, protocol.TypeLeadAck, ackBody("again"), Facts{To: "ES", Actor: "olga"})
	})
	if !errors.Is(err, store.ErrDuplicate) {
		t.Errorf("an issued document was replaced: %v", err)
	}
	err = pt.store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := pt.Issue(tx, protocol.TypeLeadAck, &protocol.LeadAckBody{}, Facts{To: "ES"})
		return err
	})
	if !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("an invalid body: %v", err)
	}
}

func TestTwoPersonApproval(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.rules(`@id("careful") @approval("two-person") permit (principal is Country, action == Action::"share", resource);`)
	waits, err := pt.tryAck("ES", "x", false)
	if err != nil || pt.delivery(waits, "ES").State != Awaiting {
		t.Errorf("%+v, %v", pt.delivery(waits, "ES"), err)
	}
	if _, err := pt.tryAck("ES", "x", true); err != nil {
		t.Error(err)
	}
	id := pt.publish(signature("Lisboa"), attributes()) // nobody approved it
	if n := pt.entries(func(r store.AuditRecord) bool {
		return r.Action == protocol.ActDeny && r.Ground == "approval" && slices.Contains(r.Documents, id)
	}); n != 1 {
		t.Errorf("%d denials for want of approval", n)
	}
	if len(deliver(pt, es, protocol.Bulk)) != 0 || len(deliver(pt, es, protocol.Urgent)) != 1 {
		t.Error("not what two people approved went out")
	}
}

// A denial, a redaction or a shorter term that came after queueing reaches what was queued.
func TestPolicyChangesReachWhatWasQueued(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	ids := pt.publishMany(3 * protocol.MaxBatchCount)
	first := must(pt.NextBatch(t.Context(), "ES", protocol.Bulk))
	for range 3 { // a peer that does not answer: nothing more is fixed
		if again := must(pt.NextBatch(t.Context(), "ES", protocol.Bulk)); again.Manifest != first.Manifest || !bytes.Equal(again.Payload, first.Payload) {
			t.Fatalf("not the same batch again: %d to %d", again.First, again.Last)
		}
	}
	if n := must(pt.Waiting("ES", protocol.Bulk)); n != len(ids) {
		t.Errorf("%d wait, want %d", n, len(ids))
	}
	last := ids[len(ids)-1]
	pt.rules(shareNarrow + fmt.Sprintf(`@id("late") forbid (principal, action == Action::"share", resource) unless { resource == Signature::"%s" || resource is LeadAck };`, last))
	sent := deliver(pt, es, protocol.Bulk)
	if len(sent) != 2 || sent[0].Last != protocol.MaxBatchCount || sent[1].Last != protocol.MaxBatchCount+1 {
		t.Fatalf("%d batches went: what was denied does not end the delivery of what was not", len(sent))
	}
	if out := pt.plain(sent[1]); bytes.Contains(out, []byte("Canary-place")) || !bytes.Contains(out, []byte("Canary-offence")) {
		t.Error("a redaction made after queueing did not reach what was queued")
	}
	for i, id := range ids {
		want := Delivered
		if i >= protocol.MaxBatchCount && id != last {
			want = Denied
		}
		if d := pt.delivery(id, "ES"); d.State != want {
			t.Fatalf("document %d is %s, want %s", i+1, d.State, want)
		}
	}
	if n := must(pt.Waiting("ES", protocol.Bulk)); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// Policy must be told the same when a document is issued and when it leaves, although the facts went through JSON meanwhile.
func TestFactsSurviveTheQueue(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.rules(`permit (principal is Country, action == Action::"share", resource is Signature)
		when { resource.group_size >= 3 && resource has border_km && resource.border_km <= 80 && resource.terrorism && resource.age_days >= 2 && !resource.handling.contains("H1") };`)
	for _, handling := range []any{nil, []string(nil), []string{}, []string{"H2"}} {
		attrs := attributes()
		delete(attrs, "age_days")
		attrs["handling"], attrs["group_size"], attrs["border_km"], attrs["terrorism"] = handling, 3, 12, true
		pt.update(func(tx *store.Tx) error {
			_, err := pt.Issue(tx, protocol.TypeSignature, signature("x"), Facts{Attributes: attrs, Actor: "tina", Event: begin.Add(-49 * time.Hour)})
			return err
		})
	}
	if deliver(pt, es, protocol.Bulk); len(es.got) != 4 {
		t.Errorf("%d of 4 arrived", len(es.got))
	}
}

func TestWhatCannotBeSentHoldsNothingUp(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	attrs := attributes()
	attrs["handling"] = texts("code", 16) // more than a message carries
	bad, erased, good := pt.publish(signature("x"), attrs), pt.publish(signature("x"), attributes()), pt.publish(signature("x"), attributes())
	pt.update(func(tx *store.Tx) error { return Documents.Delete(tx, erased) })
	deliver(pt, es, protocol.Bulk)
	if es.record(good) == nil || es.record(bad) != nil || len(es.got) != 1 {
		t.Error("one document that cannot be sent holds up another")
	}
	if d := pt.delivery(bad, "ES"); d.State != Denied {
		t.Errorf("%+v", d)
	}
	if d := pt.delivery(erased, "ES"); d != nil {
		t.Errorf("an erased document is still on its way: %+v", d)
	}
	if n := pt.entries(func(r store.AuditRecord) bool {
		return r.Ground == "invalid" && strings.Contains(r.Event, "handling codes")
	}); n != 1 {
		t.Errorf("%d entries say why", n)
	}
}

func TestSuspendedAndAbsentMembers(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.publish(signature("x"), attributes())
	fixed := must(pt.NextBatch(t.Context(), "ES", protocol.Bulk))
	receipt := must(es.AcceptBatch(t.Context(), "PT", fixed.Manifest, fixed.Payload))
	pt.publish(signature("x"), attributes())
	f.enact([]protocol.Country{"PT", "ES", "FR"}, "ES")
	for name, err := range map[string]error{
		"batch for a suspended member": second(pt.NextBatch(t.Context(), "ES", protocol.Bulk)),
		"batch for a stranger":         second(pt.NextBatch(t.Context(), "DE", protocol.Bulk)),
		"batch for itself":             second(pt.NextBatch(t.Context(), "PT", protocol.Bulk)),
		"batch of a suspended member":  second(pt.AcceptBatch(t.Context(), "ES", fixed.Manifest, fixed.Payload)),
		"receipt of one":               pt.AcceptReceipt(t.Context(), "ES", receipt),
	} {
		if !errors.Is(err, ErrNotMember) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pt.tryAck("ES", "x", false); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("issued for a suspended member: %v", err)
	}
	missed := pt.publish(signature("x"), attributes())
	if pt.delivery(missed, "ES") != nil || pt.delivery(missed, "FR") == nil {
		t.Error("queued for a suspended member, or not for another")
	}
	f.roster = nil
	if _, err := pt.NextBatch(t.Context(), "ES", protocol.Bulk); !errors.Is(err, ErrNotMember) {
		t.Errorf("without a roster: %v", err)
	}
	f.enact([]protocol.Country{"PT", "ES", "FR"})
	if err := pt.OfferAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if deliver(pt, es, protocol.Bulk); len(es.got) != 3 || es.record(missed) == nil {
		t.Errorf("%d of 3 arrived after the return", len(es.got))
	}
}

func second[T any](_ T, err error) error { return err }

func TestOfferAll(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR", "KE")
	pt, ke := f.bureaus["PT"], f.bureaus["KE"]
	f.enact([]protocol.Country{"PT", "ES", "FR"})
	ids := pt.publishMany(examineAtOnce + 40) // more than one page
	offer := func() (woken []string, commits int64) {
		t.Helper()
		pt.queued = nil
		before := pt.store.Commits()
		if err := pt.OfferAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		return pt.queued, pt.store.Commits() - before
	}
	if woken, commits := offer(); len(woken) > 0 || commits > 0 {
		t.Errorf("nothing was due: %d queued in %d transactions", len(woken), commits)
	}
	f.enact([]protocol.Country{"PT", "ES", "FR", "KE"})
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pt.OfferAll(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if woken, commits := offer(); len(woken) != len(ids) || commits < 2 || strings.Contains(strings.Join(woken, " "), "ES") {
		t.Errorf("to a newcomer: %d queued in %d transactions", len(woken), commits)
	}
	if woken, commits := offer(); len(woken) > 0 || commits > 0 {
		t.Errorf("a second time: %d queued in %d transactions", len(woken), commits)
	}
	if deliver(pt, ke, protocol.Bulk); len(ke.got) != len(ids) {
		t.Errorf("%d of %d arrived", len(ke.got), len(ids))
	}
	for i, in := range ke.got {
		if in.Document.ID != ids[i] {
			t.Fatalf("number %d arrived out of order", i+1)
		}
	}

	pt.rules(shareNarrow)
	denied := pt.publish(signature("x"), attributes())
	denials := func() int {
		return pt.entries(func(r store.AuditRecord) bool { return r.Action == protocol.ActDeny && r.Counterpart == "FR" })
	}
	if offer(); denials() != 1 {
		t.Errorf("the same policy was asked twice: %d denials", denials())
	}
	pt.rules(shareNarrow + "\n" + `@id("more") forbid (principal, action == Action::"share", resource is Hit);`)
	if woken, _ := offer(); len(woken) > 0 || denials() != 2 {
		t.Errorf("another policy that denies: %d queued, %d denials", len(woken), denials())
	}
	pt.rules(strings.ReplaceAll(shareNarrow, `principal == Country::"FR"`, "false"))
	if woken, _ := offer(); !slices.Equal(woken, []string{"FR/bulk"}) || pt.delivery(denied, "FR").State != Queued {
		t.Errorf("after a wider policy: %v", woken)
	}
}

// Many members at once must not burst one transaction.
func TestOfferAllFitsItsTransactions(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR", "KE", "DE", "IT")
	pt := f.bureaus["PT"]
	f.enact([]protocol.Country{"PT"})
	pt.publishMany(300)
	f.enact([]protocol.Country{"PT", "ES", "FR", "KE", "DE", "IT"})
	before := pt.store.Commits()
	if err := pt.OfferAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if commits := pt.store.Commits() - before; commits < (300*5+offersAtOnce-1)/offersAtOnce || len(pt.queued) != 300*5 {
		t.Errorf("%d offers in %d transactions", len(pt.queued), commits)
	}
}

func TestUrgentDoesNotWaitBehindBulk(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.publishMany(2*protocol.MaxBatchCount + 5)
	if must(pt.NextBatch(t.Context(), "ES", protocol.Bulk)) == nil {
		t.Fatal("no bulk")
	}
	var want []string
	for _, s := range texts("lead", 5) {
		want = append(want, pt.ack("ES", s))
	}
	batch := must(pt.NextBatch(t.Context(), "ES", protocol.Urgent))
	if batch.First != 1 || batch.Last != 5 {
		t.Fatalf("%+v", batch)
	}
	if _, err := es.accept(pt, batch); err != nil || len(es.got) != 5 {
		t.Fatal(err, len(es.got))
	}
	for i, in := range es.got {
		if in.Document.ID != want[i] {
			t.Errorf("number %d out of order", i+1)
		}
	}
	es.got = nil
	if sent := deliver(pt, es, protocol.Bulk); len(es.got) != 2*protocol.MaxBatchCount+5 || len(sent) != 3 {
		t.Errorf("%d in %d batches", len(es.got), len(sent))
	}
}
