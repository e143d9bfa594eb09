package dispatch

import (
	"slices"
	"sync"
	"testing"

	"proofmark/protocol"
	"proofmark/store"
)

// Both countries issue and send on both channels at the same time, one of them straight into channels that flow: everything arrives once and in the order of its channel.
func TestBothWaysAtOnce(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	const n = 60
	var issuing, sending sync.WaitGroup
	stop := make(chan struct{})
	for _, way := range [][2]*bureau{{f.bureaus["PT"], f.bureaus["ES"]}, {f.bureaus["ES"], f.bureaus["PT"]}} {
		from, to := way[0], way[1]
		from.OnQueued = nil
		issuing.Go(func() {
			for range n {
				from.ack(to.country, "x")
			}
		})
		issuing.Go(func() {
			for range n {
				from.publish(signature("x"), attributes())
			}
		})
		for _, ch := range protocol.Channels {
			if from.country == "PT" {
				from.flow(to.country, ch)
			}
			sending.Go(func() {
				for last := false; !last; {
					select {
					case <-stop:
						last = true // what was issued before is sent in this round
					default:
					}
					deliver(from, to, ch)
				}
			})
		}
	}
	issuing.Wait()
	close(stop)
	sending.Wait()
	for c, b := range f.bureaus {
		if len(b.got) != 2*n {
			t.Errorf("%s received %d of %d", c, len(b.got), 2*n)
		}
		seqs := map[string][]uint64{}
		for _, e := range b.log() {
			if e.Action == protocol.ActReceive {
				seqs[e.Channel] = append(seqs[e.Channel], e.MessageSeq)
			}
		}
		for _, ch := range protocol.Channels {
			got := seqs[string(ch)]
			if len(got) != n || !slices.IsSorted(got) || got[0] != 1 || got[n-1] != n {
				t.Errorf("%s has the messages %v on %s", c, got, ch)
			}
		}
		b.view(func(tx *store.Tx) error {
			for id, d := range Deliveries.All(tx) {
				if d.State != Delivered {
					t.Errorf("%s of %s is %s", id, c, d.State)
				}
			}
			return nil
		})
	}
}
