package dispatch

import (
	"context"
	"errors"
	"flag"
	"runtime"
	"testing"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// bulkQueue is how far the newcomer's initial synchronisation is.
func (b *bureau) bulkQueue(to protocol.Country) (q Queue) {
	b.f.t.Helper()
	for _, one := range must(b.Queues()) {
		if one.Peer == to && one.Channel == protocol.Bulk {
			q = one
		}
	}
	return q
}

// A newcomer gets a large holding in the background: the offer and the delivery are broken off and both nodes restart again and again, urgent documents
// pass, and in the end it has everything once and in order.
func TestNewcomerGetsALargeHolding(t *testing.T) {
	const holding = 1200
	f := newFederation(t, "PT", "ES")
	f.enact([]protocol.Country{"PT"})
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	ids := pt.publishMany(holding)
	f.enact([]protocol.Country{"PT", "ES"})

	for offers := 0; ; offers++ { // the offer is broken off after each small transaction, and the node restarted now and then
		ctx, cancel := context.WithCancel(t.Context())
		was := pt.bulkQueue("ES").Waits()
		pt.OnQueued = func(protocol.Country, protocol.Channel) { cancel() }
		err := pt.OfferAll(ctx)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if now := pt.bulkQueue("ES").Waits(); now <= was || now-was > offersAtOnce {
			t.Fatalf("one transaction queued %d documents", now-was)
		}
		if offers%2 == 1 {
			pt.reopen()
		}
	}
	if q := pt.bulkQueue("ES"); q.Intents != holding || q.CaughtUp {
		t.Fatalf("%+v wait, %d were published", q, holding)
	}

	urgent := 0
	for round := 0; ; round++ {
		batch := must(pt.NextBatch(t.Context(), "ES", protocol.Bulk))
		if batch == nil {
			break
		}
		if q := pt.bulkQueue("ES"); q.Unacknowledged > 2*protocol.MaxBatchCount || uint64(q.Waits())+q.Acknowledged != holding {
			t.Fatalf("batch %d: %+v", round, q)
		}
		switch round % 4 {
		case 0: // lost on its way; the sender restarts
			pt.reopen()
			continue
		case 1: // applied, and its receipt lost; the receiver restarts
			must(es.accept(pt, batch))
			es.reopen()
			continue
		case 2: // what is urgent goes while the holding waits
			pt.ack("ES", "urgent")
			deliver(pt, es, protocol.Urgent)
			urgent++
		}
		must(pt.BatchAfter(t.Context(), "ES", protocol.Bulk, batch.Last)) // lost: it comes again as the next
		receipt := must(es.AcceptBatch(t.Context(), "PT", batch.Manifest, batch.Payload))
		if err := pt.AcceptReceipt(t.Context(), "ES", receipt); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	passed := 0
	for _, in := range es.got {
		if in.Document.Type == protocol.TypeSignature {
			got = append(got, in.Document.ID)
		} else if passed++; len(got) == holding {
			t.Error("an urgent document came after the whole holding")
		}
	}
	if passed != urgent || urgent == 0 || len(got) != holding {
		t.Fatalf("%d of %d publications and %d of %d urgent documents arrived", len(got), holding, passed, urgent)
	}
	for i := range got {
		if got[i] != ids[i] {
			t.Fatalf("document %d is %s, published was %s", i, got[i], ids[i])
		}
	}
	if q := pt.bulkQueue("ES"); !q.CaughtUp || q.Waits() != 0 {
		t.Errorf("afterwards %+v", q)
	}
}

var holdingSize = flag.Int("holding", 1000, "documents that BenchmarkNewcomer's newcomer gets, such as 10000 or 100000")

// BenchmarkNewcomer measures the initial synchronisation of one newcomer, without the network: the offer of the whole holding, and its delivery, with the
// memory that it takes beside the documents themselves.
func BenchmarkNewcomer(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		f := newFederation(b, "PT", "ES")
		f.enact([]protocol.Country{"PT"})
		pt, es := f.bureaus["PT"], f.bureaus["ES"]
		pt.publishMany(*holdingSize)
		f.enact([]protocol.Country{"PT", "ES"})
		b.StartTimer()
		begun := time.Now()
		if err := pt.OfferAll(b.Context()); err != nil {
			b.Fatal(err)
		}
		offered := time.Since(begun)
		most := uint64(0)
		for n := 0; ; n++ {
			batch := must(pt.NextBatch(b.Context(), "ES", protocol.Bulk))
			if batch == nil {
				break
			}
			receipt := must(es.AcceptBatch(b.Context(), "PT", batch.Manifest, batch.Payload))
			if err := pt.AcceptReceipt(b.Context(), "ES", receipt); err != nil {
				b.Fatal(err)
			}
			es.got = nil
			if n%16 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
		whole := time.Since(begun)
		pt.view(func(tx *store.Tx) error {
			if head, err := tx.OutHead("ES", "bulk"); err != nil || head.Acked != uint64(*holdingSize) {
				b.Fatalf("%d of %d acknowledged, %v", head.Acked, *holdingSize, err)
			}
			return nil
		})
		n := float64(*holdingSize)
		b.ReportMetric(n/offered.Seconds(), "offered/s")
		b.ReportMetric(n/(whole-offered).Seconds(), "delivered/s")
		b.ReportMetric(float64(most)/(1<<20), "MB-heap")
	}
}
