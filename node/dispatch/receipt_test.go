package dispatch

import (
	"encoding/json"
	"errors"
	"testing"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

func TestReceipts(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	for _, s := range texts("note", 3) {
		pt.ack("ES", s)
	}
	b := must(pt.NextBatch(t.Context(), "ES", protocol.Urgent))
	heads := make([]string, 4)
	pt.view(func(tx *store.Tx) error {
		for seq := 1; seq <= 3; seq++ {
			heads[seq] = must(tx.MessageHash("ES", "urgent", uint64(seq)))
		}
		return nil
	})
	sign := func(by *bureau, typ string, change func(r *protocol.Receipt)) string {
		r := protocol.Receipt{From: "PT", To: "ES", Channel: protocol.Urgent, UpTo: 2, Head: heads[2], At: begin}
		change(&r)
		return must(by.keys.Signer().Sign(typ, must(json.Marshal(r))))
	}
	same := func(*protocol.Receipt) {}
	for name, c := range map[string]struct {
		peer    protocol.Country
		receipt string
		class   error
	}{
		"wrong key":                {"ES", sign(fr, crypto.TypeReceipt, same), ErrForged},
		"signed as something else": {"ES", sign(es, crypto.TypeBatch, same), ErrForged},
		"own key":                  {"ES", sign(pt, crypto.TypeReceipt, same), ErrForged},
		"garbage":                  {"ES", "a.b.c", ErrForged},
		"of another's channel":     {"FR", sign(fr, crypto.TypeReceipt, same), ErrForged},
		"given for FR":             {"FR", sign(es, crypto.TypeReceipt, same), ErrForged},
		"of the other direction":   {"ES", sign(es, crypto.TypeReceipt, func(r *protocol.Receipt) { r.From, r.To = "ES", "PT" }), ErrForged},
		"of the other channel":     {"ES", sign(es, crypto.TypeReceipt, func(r *protocol.Receipt) { r.Channel = protocol.Bulk }), store.ErrReceipt},
		"beyond what was sent":     {"ES", sign(es, crypto.TypeReceipt, func(r *protocol.Receipt) { r.UpTo = 4 }), store.ErrReceipt},
		"far beyond":               {"ES", sign(es, crypto.TypeReceipt, func(r *protocol.Receipt) { r.UpTo = 1 << 63 }), store.ErrReceipt},
		"other content":            {"ES", sign(es, crypto.TypeReceipt, func(r *protocol.Receipt) { r.Head = heads[3] }), store.ErrReceipt},
		"no number":                {"ES", sign(es, crypto.TypeReceipt, func(r *protocol.Receipt) { r.UpTo = 0 }), protocol.ErrBadMessage},
		"of a stranger":            {"DE", sign(es, crypto.TypeReceipt, same), ErrNotMember},
	} {
		if err := pt.AcceptReceipt(t.Context(), c.peer, c.receipt); !errors.Is(err, c.class) {
			t.Errorf("%s: %v, want %v", name, err, c.class)
		}
	}
	receipts := func() int { return pt.entries(func(r store.AuditRecord) bool { return r.Ground == "receipt" }) }
	if n := must(pt.Waiting("ES", protocol.Urgent)); n != 3 || receipts() != 0 {
		t.Fatalf("a refused receipt acknowledged something: %d wait, %d entries", n, receipts())
	}
	take := func(upTo uint64, waiting, entries int) {
		t.Helper()
		if err := pt.AcceptReceipt(t.Context(), "ES", sign(es, crypto.TypeReceipt, func(r *protocol.Receipt) { r.UpTo, r.Head = upTo, heads[upTo] })); err != nil {
			t.Fatal(err)
		}
		if n := must(pt.Waiting("ES", protocol.Urgent)); n != waiting || receipts() != entries {
			t.Fatalf("%d wait, want %d; %d entries, want %d", n, waiting, receipts(), entries)
		}
	}
	take(0, 3, 0)
	take(2, 1, 1)
	take(2, 1, 1) // again
	take(1, 1, 1) // stale
	next := must(pt.NextBatch(t.Context(), "ES", protocol.Urgent))
	if next.First != 3 || next.Last != 3 {
		t.Fatalf("resumes at %d", next.First)
	}
	if r, err := es.accept(pt, next); !errors.Is(err, ErrGap) || r.UpTo != 0 { // it signed for what it never had: it must say so
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err := es.accept(pt, b); err != nil || r.UpTo != 3 || r.Head != heads[3] {
		t.Fatalf("%+v, %v", r, err)
	}
	take(3, 0, 2)
	pt.reopen()
	take(3, 0, 2)
}

// One receipt for a huge backlog is taken in by several transactions of bounded size.
func TestOneReceiptForManyMessages(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	const n = 2*acknowledgedAtOnce + 10
	ids := pt.publishMany(n)
	room := n * protocol.MaxMessage
	var head store.ChannelHead
	pt.update(func(tx *store.Tx) error { // as a bundle would fix them
		for _, id := range ids {
			if err := pt.fix(tx, must(Documents.Get(tx, id)), "ES", protocol.Bulk, &room); err != nil {
				return err
			}
		}
		head = must(tx.OutHead("ES", "bulk"))
		return nil
	})
	receipt := func(upTo uint64, head string) string {
		return must(es.keys.Signer().Sign(crypto.TypeReceipt, must(json.Marshal(protocol.Receipt{From: "PT", To: "ES", Channel: protocol.Bulk, UpTo: upTo, Head: head, At: begin}))))
	}
	if err := pt.AcceptReceipt(t.Context(), "ES", receipt(n, protocol.MessageHash(nil))); !errors.Is(err, store.ErrReceipt) || pt.delivery(ids[0], "ES").State != Sent {
		t.Fatalf("a part of a wrong receipt was taken: %v", err)
	}
	if err := pt.AcceptReceipt(t.Context(), "ES", receipt(n, head.Head)); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		if d := pt.delivery(id, "ES"); d.State != Delivered || d.Seq != uint64(i+1) {
			t.Fatalf("document %d: %+v", i+1, d)
		}
	}
	if got := pt.entries(func(r store.AuditRecord) bool { return r.Ground == "receipt" }); got != 3 {
		t.Errorf("%d entries", got)
	}
}
