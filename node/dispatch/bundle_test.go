package dispatch

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"proofmark/protocol"
)

// carry takes a bundle through its bytes, as a medium does.
func carry(t *testing.T, b *protocol.Bundle) *protocol.Bundle {
	t.Helper()
	return must(protocol.DecodeBundle(must(b.Encode())))
}

func (b *bureau) bundle(to protocol.Country) (*protocol.Bundle, Bundled) {
	b.f.t.Helper()
	made, what, err := b.Bundle(context.Background(), to)
	if err != nil {
		b.f.t.Fatal(err)
	}
	return made, what
}

func (b *bureau) read(t *testing.T, bundle *protocol.Bundle) *Unbundled {
	t.Helper()
	out, err := b.AcceptBundle(context.Background(), carry(t, bundle))
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Faults) > 0 {
		t.Errorf("faults: %v", out.Faults)
	}
	return out
}

// Bundles may be lost, read twice and in any order: in the end both sides stand where the wire would have brought them.
func TestBundlesInAnyOrder(t *testing.T) {
	ctx := context.Background()
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	ids := pt.publishMany(200)
	lost, what := pt.bundle("ES")
	if what.Messages != 200 || what.Batches < 2 || what.More {
		t.Fatalf("%+v", what)
	}
	note := pt.ack("ES", "urgent")
	first, _ := pt.bundle("ES")
	ids = append(ids, pt.publishMany(50)...)
	second, what := pt.bundle("ES")
	if what.Messages != 251 {
		t.Fatalf("a bundle holds what no receipt came back for: %+v", what)
	}
	_ = lost
	if got := es.read(t, second); got.New != 251 || got.From != "PT" {
		t.Errorf("the newer bundle first: %+v", got)
	}
	for _, again := range []*protocol.Bundle{first, second, first} {
		if got := es.read(t, again); got.New != 0 {
			t.Errorf("again: %+v", got)
		}
	}
	back, what := es.bundle("PT")
	if what.Messages != 0 || len(back.Receipts) != 2 {
		t.Fatalf("%+v, %d receipts", what, len(back.Receipts))
	}
	for range 2 {
		if got := pt.read(t, back); got.Receipts != 2 {
			t.Errorf("receipts: %+v", got)
		}
	}
	for _, id := range append(ids, note) {
		if dl := pt.delivery(id, "ES"); dl == nil || dl.State != Delivered {
			t.Fatalf("%s: %+v", id, dl)
		}
		if rec := es.record(id); rec == nil || rec.Status != Accepted {
			t.Fatalf("%s at the receiver: %+v", id, rec)
		}
	}
	if len(es.got) != 251 {
		t.Errorf("handlers were called %d times", len(es.got))
	}
	// The wire goes on where the bundles ended.
	pt.publishMany(3)
	if sent := deliver(pt, es, protocol.Bulk); len(sent) != 1 || sent[0].First != 251 {
		t.Errorf("on the wire: %+v", sent)
	}
	if n, err := pt.Waiting("ES", protocol.Bulk); n != 0 || err != nil {
		t.Errorf("%d wait, %v", n, err)
	}
	if next, err := pt.NextBatch(ctx, "ES", protocol.Urgent); next != nil || err != nil {
		t.Errorf("%v, %v", next, err)
	}
}

// Policy is asked when the bundle is made, as it is when a batch is.
func TestBundleAsksPolicyAgain(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt := f.bureaus["PT"]
	pt.publishMany(5)
	pt.rules(`forbid (principal, action == Action::"share", resource);`)
	b, what := pt.bundle("ES")
	if what.Messages != 0 || len(b.Batches) != 0 {
		t.Errorf("after a change of policy: %+v", what)
	}
}

// A bundle holds no more than a medium and a reader's memory take; the rest goes after the receipt.
func TestBundleOfALargeHolding(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	// What does not compress: a bundle is bounded as it travels.
	noise := rand.NewChaCha8([32]byte{9})
	random := make([]byte, 3000)
	pt.bundleRoom = 128 << 10 // of what an own bundle takes: the test is about the rest
	const n = 400
	for i := range n {
		body := signature(fmt.Sprint("place ", i))
		if _, err := noise.Read(random); err != nil {
			t.Fatal(err)
		}
		body.Narrative = hex.EncodeToString(random)
		pt.publish(body, attributes())
	}
	rounds, total, more := 0, uint64(0), false
	for {
		b, what := pt.bundle("ES")
		if what.Messages == 0 {
			break
		}
		if rounds++; rounds > 20 {
			t.Fatal("no end")
		}
		more = more || what.More
		total += es.read(t, b).New
		back, _ := es.bundle("PT")
		pt.read(t, back)
	}
	if total != n || !more || rounds < 2 {
		t.Errorf("%d of %d messages in %d bundles", total, n, rounds)
	}
	t.Logf("%d messages in %d bundles", n, rounds)
}

func TestHostileBundles(t *testing.T) {
	ctx := context.Background()
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	pt.publishMany(3)
	b, _ := pt.bundle("ES")
	for name, c := range map[string]struct {
		at     *bureau
		change func(b *protocol.Bundle)
		want   error
	}{
		"read by another":   {fr, func(*protocol.Bundle) {}, ErrForged},
		"in another's name": {es, func(b *protocol.Bundle) { b.From = "FR" }, ErrForged},
		"of a stranger":     {es, func(b *protocol.Bundle) { b.From = "KE" }, ErrNotMember},
		"altered": {es, func(b *protocol.Bundle) {
			b.Receipts = nil
			b.Batches[0].Payload = append([]byte(nil), b.Batches[0].Payload...)
			b.Batches[0].Payload[10] ^= 1
		}, ErrForged},
	} {
		hostile := carry(t, b)
		c.change(hostile)
		if got, err := c.at.AcceptBundle(ctx, hostile); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if len(es.got) != 0 {
		t.Errorf("%d documents were applied", len(es.got))
	}
	// One bad receipt does not keep the batches out, and is told.
	mixed := carry(t, b)
	mixed.Receipts = []string{"a.b.c"}
	got, err := es.AcceptBundle(ctx, mixed)
	if err != nil || got.New != 3 || len(got.Faults) != 1 || !strings.Contains(got.Faults[0], "receipt 1") {
		t.Errorf("%+v, %v", got, err)
	}
}
