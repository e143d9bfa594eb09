package dispatch

import (
	"testing"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// A document whose message is under way stays until its receipt: the message is made from it, whenever it is asked for.
func TestNoPurgeUnderWay(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	id := pt.publish(signature("here"), attributes())
	pt.flow("ES", protocol.Bulk)
	second := pt.publish(signature("there"), attributes())
	b := must(pt.NextBatch(t.Context(), "ES", protocol.Bulk)) // from memory: the channel flows
	if b.Last != 2 {
		t.Fatalf("the batch ends with message %d", b.Last)
	}
	pt.Pause("ES", protocol.Bulk)
	for _, doc := range []string{id, second} {
		if err := pt.Store.Update(t.Context(), func(tx *store.Tx) error { return pt.EraseOwn(tx, doc) }); err == nil {
			t.Errorf("%s was erased under way", doc)
		}
	}
	again := must(pt.NextBatch(t.Context(), "ES", protocol.Bulk))
	if string(again.Payload) != string(b.Payload) || again.Last != b.Last {
		t.Errorf("messages %d to %d are others, made again", b.First, b.Last)
	}
	receipt := must(es.AcceptBatch(t.Context(), "PT", again.Manifest, again.Payload))
	if err := pt.AcceptReceipt(t.Context(), "ES", receipt); err != nil {
		t.Fatal(err)
	}
	if err := pt.Store.Update(t.Context(), func(tx *store.Tx) error { return pt.EraseOwn(tx, id) }); err != nil {
		t.Errorf("after the receipt: %v", err)
	}
}

// What waits has an age, and a member's first synchronisation ends once.
func TestQueues(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	bulk := func() Queue {
		t.Helper()
		for _, q := range must(pt.Queues()) {
			if q.Peer == "ES" && q.Channel == protocol.Bulk {
				return q
			}
		}
		return Queue{}
	}
	if q := bulk(); q != (Queue{}) {
		t.Fatalf("before anything was queued: %+v", q)
	}
	pt.publish(signature("here"), attributes())
	first := f.clock.now()
	f.clock.add(time.Hour)
	pt.publishMany(3*protocol.MaxBatchCount - 1)
	want := func(when string, q Queue, intents int, unacked, acked uint64, oldest time.Time, done bool) {
		t.Helper()
		if q.Intents != intents || q.Unacknowledged != unacked || q.Acknowledged != acked || !q.Oldest.Equal(oldest) || q.CaughtUp != done {
			t.Errorf("%s: %+v", when, q)
		}
	}
	const batch = protocol.MaxBatchCount
	want("queued", bulk(), 3*batch, 0, 0, first, false)
	b := must(pt.NextBatch(t.Context(), "ES", protocol.Bulk))
	sent := b.Last
	want("a batch is formed", bulk(), 3*batch-int(sent), sent, 0, first, false)
	r := must(es.AcceptBatch(t.Context(), "PT", b.Manifest, b.Payload))
	if err := pt.AcceptReceipt(t.Context(), "ES", r); err != nil {
		t.Fatal(err)
	}
	if q := bulk(); q.Acknowledged != sent || q.CaughtUp || !q.Oldest.After(first) || q.Waits() != 3*batch-int(sent) {
		t.Errorf("under way: %+v", q)
	}
	deliver(pt, es, protocol.Bulk)
	want("all is delivered", bulk(), 0, 0, 3*batch, time.Time{}, true)
	f.clock.add(time.Hour)
	pt.publish(signature("there"), attributes())
	want("another is queued", bulk(), 1, 0, 3*batch, f.clock.now(), true)
	pt.reopen()
	want("after a restart", bulk(), 1, 0, 3*batch, f.clock.now(), true)
}
