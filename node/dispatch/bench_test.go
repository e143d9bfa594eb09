package dispatch

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"proofmark/protocol"
	"proofmark/store"
)

// Memory must not grow with the backlog: forming a batch in front of 20,000 waiting documents, and counting them, allocates what it does in front of
// 2,000.
func TestMemoryDoesNotGrowWithTheBacklog(t *testing.T) {
	cost := func(backlog int) (batch, count uint64) {
		f := newFederation(t, "PT", "ES")
		pt := f.bureaus["PT"]
		pt.publishMany(2 * protocol.MaxBatchCount)
		for queued := 2 * protocol.MaxBatchCount; queued < backlog; queued += 1000 {
			pt.update(func(tx *store.Tx) error { // behind them nothing is read: their intents are enough
				for i := queued; i < min(backlog, queued+1000); i++ {
					if err := tx.Enqueue("ES", "bulk", fmt.Sprintf("document-%d", i)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		var before, formed, counted runtime.MemStats
		runtime.ReadMemStats(&before)
		b := must(pt.NextBatch(t.Context(), "ES", protocol.Bulk))
		runtime.ReadMemStats(&formed)
		queues := must(pt.Queues())
		runtime.ReadMemStats(&counted)
		if b.Last != protocol.MaxBatchCount || len(queues) != 1 || queues[0].Waits() != backlog {
			t.Fatalf("batch up to %d, queues %+v", b.Last, queues)
		}
		return formed.TotalAlloc - before.TotalAlloc, counted.TotalAlloc - formed.TotalAlloc
	}
	small, count := cost(2_000)
	large, countLarge := cost(20_000)
	t.Logf("a batch of %d in front of 2,000: %d KiB, of 20,000: %d KiB; counting them: %d and %d KiB", protocol.MaxBatchCount, small>>10, large>>10, count>>10, countLarge>>10)
	if large > 2*small || countLarge > 2*count+64<<10 {
		t.Errorf("in front of 2,000 documents a batch costs %d bytes and their count %d, in front of 20,000 %d and %d", small, count, large, countLarge)
	}
}

// BenchmarkNextBatch forms and packs a batch in front of a backlog; its receipt is taken in outside of the time.
func BenchmarkNextBatch(b *testing.B) {
	for _, backlog := range []int{500, 5000} {
		b.Run(fmt.Sprintf("backlog=%d", backlog), func(b *testing.B) {
			f := newFederation(b, "PT", "ES")
			pt, es, ctx := f.bureaus["PT"], f.bureaus["ES"], context.Background()
			pt.publishMany(backlog)
			b.ReportAllocs()
			for b.Loop() {
				batch := must(pt.NextBatch(ctx, "ES", protocol.Bulk))
				b.StopTimer()
				receipt := must(es.AcceptBatch(ctx, "PT", batch.Manifest, batch.Payload))
				if err := pt.AcceptReceipt(ctx, "ES", receipt); err != nil {
					b.Fatal(err)
				}
				pt.publishMany(int(batch.Last - batch.First + 1))
				es.got = nil
				b.StartTimer()
			}
		})
	}
}

// BenchmarkExchange measures everything but the network for one message, n of them in a batch: forming, signing, compressing; verifying, applying;
// the receipt. Both stores sync every commit.
func BenchmarkExchange(b *testing.B) {
	for _, n := range []int{1, 16, protocol.MaxBatchCount} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			f := newFederation(b, "PT", "ES")
			pt, es, ctx := f.bureaus["PT"], f.bureaus["ES"], context.Background()
			b.ReportAllocs()
			messages := 0
			for b.Loop() {
				b.StopTimer()
				pt.publishMany(n)
				es.got = nil
				b.StartTimer()
				batch := must(pt.NextBatch(ctx, "ES", protocol.Bulk))
				receipt := must(es.AcceptBatch(ctx, "PT", batch.Manifest, batch.Payload))
				if err := pt.AcceptReceipt(ctx, "ES", receipt); err != nil {
					b.Fatal(err)
				}
				messages += int(batch.Last - batch.First + 1)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(messages), "µs/message")
			b.ReportMetric(float64(messages)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
