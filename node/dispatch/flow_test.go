package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"proofmark/protocol"
	"proofmark/store"
)

func TestWindow(t *testing.T) {
	f := &flow{before: 3, acked: 1}
	w := flows{open: map[string]*flow{channelID("ES", protocol.Bulk): f}}
	fixed := func(seq uint64, size int) {
		w.fixed("ES", protocol.Bulk, seq, make([]byte, size), fmt.Sprint(seq, "/", size))
	}
	settled := func(upTo uint64) { w.settled("ES", protocol.Bulk, upTo) }
	held := func(seq uint64, size int) bool {
		return len(w.message("ES", protocol.Bulk, seq, fmt.Sprint(seq, "/", size))) == size
	}
	if f.fits(1) {
		t.Error("a message goes straight behind some that were fixed before and are not acknowledged")
	}
	fixed(4, 10)
	settled(3)
	if !f.fits(windowBytes-10) || f.fits(windowBytes-9) {
		t.Errorf("%+v", f)
	}
	fixed(5, 20)
	fixed(6, 40)
	fixed(5, 7) // the act that fixed 5 and 6 failed
	if f.total != 17 || w.held != 17 || len(f.fixed) != 2 || !held(4, 10) || !held(5, 7) || held(5, 20) || held(6, 40) || held(3, 1) {
		t.Errorf("%+v", f)
	}
	settled(4)
	settled(2) // an older receipt
	if f.total != 7 || w.held != 7 || f.first != 5 || f.acked != 4 || held(4, 10) {
		t.Errorf("%+v", f)
	}
	fixed(90, 3) // a restore went on behind what a peer had
	if f.total != 3 || w.held != 3 || f.first != 90 || !held(90, 3) {
		t.Errorf("%+v", f)
	}
	for n := range windowMessages - 1 {
		fixed(uint64(91+n), 1)
	}
	if f.fits(0) {
		t.Error("the window has no end")
	}
	settled(90)
	if !f.fits(0) {
		t.Error("a receipt makes no room")
	}
	w.held = flowingBytes - 1
	fixed(90+windowMessages, 2)
	if f.total != windowMessages+1 || held(90+windowMessages, 2) {
		t.Errorf("a message is held beyond the room for all channels: %+v", f)
	}
	if w.close("ES", protocol.Bulk); w.held != flowingBytes-1-(windowMessages-1) || len(w.open) != 0 {
		t.Errorf("a closed flow holds messages: %d bytes beside what was there before", w.held-flowingBytes)
	}
}

// channelState is how many intents wait and how many messages are fixed.
func (b *bureau) channelState(to protocol.Country, ch protocol.Channel) string {
	b.f.t.Helper()
	var out string
	b.view(func(tx *store.Tx) error {
		head, err := tx.OutHead(string(to), string(ch))
		if err != nil {
			return err
		}
		intents, err := tx.Intents(string(to), string(ch), 0)
		out = fmt.Sprintf("%d intents, %d fixed, %d acknowledged", len(intents), head.Seq, head.Acked)
		return err
	})
	return out
}

func (b *bureau) flow(to protocol.Country, ch protocol.Channel) {
	b.f.t.Helper()
	if err := b.Flow(b.f.t.Context(), to, ch); err != nil {
		b.f.t.Fatal(err)
	}
}

// While a channel flows, a document is a message at once; before and after, an intent.
func TestStraight(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	state := func(want string) {
		t.Helper()
		if got := pt.channelState("ES", protocol.Bulk); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	publish := func() string { return pt.publish(signature("x"), attributes()) }
	publish()
	state("1 intents, 0 fixed, 0 acknowledged")
	pt.flow("ES", protocol.Bulk)
	publish()
	state("2 intents, 0 fixed, 0 acknowledged") // what waits goes first
	deliver(pt, es, protocol.Bulk)
	id := publish()
	state("0 intents, 3 fixed, 2 acknowledged")
	if dl := pt.delivery(id, "ES"); dl.State != Sent || dl.Seq != 3 || dl.Queued.IsZero() || !dl.Sent.Equal(dl.Queued) || dl.Policy != pt.Policy().Version() {
		t.Errorf("%+v", dl)
	}
	if dl := pt.delivery(id, "FR"); dl.State != Queued {
		t.Errorf("where nothing flows: %+v", dl)
	}
	if n := pt.entries(func(r store.AuditRecord) bool {
		return r.Event == "sent" && r.Counterpart == "ES" && slices.Contains(r.Documents, id)
	}); n != 1 {
		t.Errorf("%d entries", n)
	}
	failed := errors.New("the act fails")
	if err := pt.store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := pt.Issue(tx, protocol.TypeSignature, signature("lost"), Facts{Attributes: attributes(), Kind: "exhibit", Object: "E-1", Actor: "tina"})
		return errors.Join(err, failed)
	}); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	publish()
	state("0 intents, 4 fixed, 2 acknowledged")
	deliver(pt, es, protocol.Bulk)
	state("0 intents, 4 fixed, 4 acknowledged")
	pt.Pause("ES", protocol.Bulk)
	publish()
	state("1 intents, 4 fixed, 4 acknowledged")
	pt.flow("ES", protocol.Bulk)
	deliver(pt, es, protocol.Bulk)
	pt.rules(`forbid (principal, action == Action::"share", resource);`)
	if dl := pt.delivery(publish(), "ES"); dl.State != Denied {
		t.Errorf("%+v", dl)
	}
	state("0 intents, 5 fixed, 5 acknowledged")
	if len(es.got) != 5 {
		t.Errorf("%d arrived", len(es.got))
	}
}

// Ahead of a peer that acknowledges nothing two batches are fixed and no more: a change of policy reaches the rest.
func TestStraightEndsWithTheWindow(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.flow("ES", protocol.Bulk)
	ids := pt.publishMany(windowMessages + 20)
	want := fmt.Sprintf("20 intents, %d fixed, 0 acknowledged", windowMessages)
	if got := pt.channelState("ES", protocol.Bulk); got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	deliver(pt, es, protocol.Bulk)
	if len(es.got) != len(ids) {
		t.Fatalf("%d of %d arrived", len(es.got), len(ids))
	}
	for i, in := range es.got {
		if in.Document.ID != ids[i] {
			t.Fatalf("document %d overtook another", i)
		}
	}
}

// Nothing is fixed for a country with which the exchange is stopped, or that is no member any more.
func TestStraightToNobodyElse(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt := f.bureaus["PT"]
	for _, c := range []protocol.Country{"ES", "FR"} {
		pt.flow(c, protocol.Bulk)
		pt.flow(c, protocol.Urgent)
	}
	pt.update(func(tx *store.Tx) error {
		return pt.stop(tx, Stop{Peer: "ES", Text: "two statements contradict each other"})
	})
	id := pt.publish(signature("x"), attributes())
	if a, b := pt.delivery(id, "ES"), pt.delivery(id, "FR"); a.State != Queued || b.State != Sent {
		t.Errorf("%+v, %+v", a, b)
	}
	f.enact([]protocol.Country{"PT", "ES", "FR"}, "FR")
	pt.update(func(tx *store.Tx) error { // owed to whoever was sent the document, member or not
		_, err := pt.Withdraw(tx, edgar, id, Withdrawal{Reason: protocol.ReasonEnteredInError})
		return err
	})
	if got := pt.channelState("FR", protocol.ChannelOf(protocol.TypeWithdrawal)); got != "1 intents, 0 fixed, 0 acknowledged" {
		t.Error(got)
	}
}
