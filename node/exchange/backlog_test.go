package exchange

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// A member takes what PT sends a few bytes at a time, and 20,000 documents wait for it: the others are served, and what PT holds in memory is what it
// held when 2,000 waited.
func TestBacklogOfASlowMember(t *testing.T) { // alone: the heap is that of the whole process
	var a *arena
	ready := make(chan struct{})
	reads := make(chan struct{}, 1)
	a = newArena(t, func(s network.Stream) {
		<-ready
		defer s.Reset()
		r := protocol.Receipt{From: "PT", To: "FR", Channel: protocol.Urgent, At: a.now()}
		_, _ = s.Write(append(frame(a.hello()), frame(answer{Receipt: must(a.fr.keys.Signer().Sign(crypto.TypeReceipt, must(json.Marshal(r))))})...))
		if _, err := io.CopyN(io.Discard, s, 4<<10); err != nil { // into its first batch
			return
		}
		signal(reads)
		for {
			if _, err := s.Read(make([]byte, 16)); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}, func(p *pace) { p.progress = 5 * time.Second })
	for i := range inFlight * protocol.MaxBatchCount {
		a.pt.note("FR", fmt.Sprint("for the slow one ", i))
	}
	close(ready) // the batches that travel are full ones
	backlog := inFlight * protocol.MaxBatchCount
	wait := func(total int) {
		for backlog < total {
			n := min(1000, total-backlog)
			if err := a.pt.store.Update(t.Context(), func(tx *store.Tx) error { // behind what travels nothing is read: intents are enough
				for i := range n {
					if err := tx.Enqueue("FR", string(protocol.Urgent), fmt.Sprint("later-", backlog+i)); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			backlog += n
			a.pt.x.Wake("FR", protocol.Urgent)
		}
	}
	live := func() int64 {
		a.exchange(fmt.Sprint("with a backlog of ", backlog))
		if n := a.status("FR").Channels[0].Queued; n != backlog {
			t.Fatalf("%d documents wait for FR, want %d", n, backlog)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	<-reads
	wait(2_000)
	small := live()
	wait(20_000)
	large := live()
	t.Logf("live heap with 2,000 documents waiting: %d KiB, with 20,000: %d KiB", small>>10, large>>10)
	if large-small > 16<<20 { // 18,000 documents of a kilobyte and more would be more
		t.Errorf("the live heap grew from %d to %d bytes with the backlog", small, large)
	}
}
