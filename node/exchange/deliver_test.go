package exchange

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"proofmark/protocol"
)

func TestDeliveryBothWays(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR")
	all := []protocol.Country{"PT", "ES", "FR"}
	for _, a := range all {
		for _, b := range all {
			if a != b {
				f.nodes[a].post.queue(b, protocol.Bulk, texts(string(a+b), 50)...) // waits since before the start
			}
		}
	}
	f.start()
	for _, a := range all {
		for _, b := range all {
			if a != b {
				f.nodes[a].post.queue(b, protocol.Urgent, texts(string(b+a), 30)...)
			}
		}
	}
	for _, a := range all {
		for _, b := range all {
			if a != b {
				f.delivered(a, b, protocol.Bulk, texts(string(a+b), 50))
				f.delivered(a, b, protocol.Urgent, texts(string(b+a), 30))
			}
		}
	}
	for i, want := range []uint64{30, 50} {
		eventually(t, fmt.Sprintf("%d are shown as delivered on %s", want, protocol.Channels[i]), func() bool {
			return !slices.ContainsFunc(f.nodes["PT"].x.Peers(), func(st PeerStatus) bool { return st.Channels[i].Delivered != want })
		})
	}
	eventually(t, "all is shown as well", func() bool {
		return !slices.ContainsFunc(f.nodes["PT"].x.Peers(), func(st PeerStatus) bool {
			return !st.Connected || st.Transport == "" || st.LastContact.IsZero() || st.LastError != "" || st.Name != "NCB "+string(st.Country)
		})
	})
}

// While the other side works on a batch the next one travels, and no more than that.
func TestTwoBatchesTravel(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	pt, es := f.nodes["PT"].post, f.nodes["ES"].post
	const count = 100
	pt.queue("ES", protocol.Bulk, texts("x", count)...)
	handed := func() int {
		pt.mu.Lock()
		defer pt.mu.Unlock()
		return pt.handed[way{"ES", protocol.Bulk}]
	}
	var held atomic.Int32 // batches that wait here: a second one comes over another stream, because the first one's was lost, perhaps with a receipt
	es.beforeCommit = func(from protocol.Country, ch protocol.Channel) {
		held.Add(1)
		defer held.Add(-1)
		known := len(es.received(from, ch))
		if most := known + inFlight*es.size; handed() > most {
			t.Errorf("%d texts are on their way while %d were received", handed(), known)
		}
		eventually(t, "the next batch travels", func() bool {
			f.nodes["PT"].x.Wake("ES", protocol.Bulk) // it lets what is urgent go first, and is not tried again by itself
			return handed() >= min(known+inFlight*es.size, count) || held.Load() > 1
		})
	}
	f.start()
	f.delivered("PT", "ES", protocol.Bulk, texts("x", count))
}

func TestDeliveryWithoutUDP(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	f.nodes["ES"].listen = onlyTCP
	f.start()
	f.nodes["PT"].post.queue("ES", protocol.Bulk, "a")
	f.delivered("PT", "ES", protocol.Bulk, []string{"a"})
	// A connection that Spain opened may be QUIC; one that Portugal opens cannot be.
	if st := f.nodes["ES"].x.Peers()[0]; !st.Connected {
		t.Errorf("status: %+v", st)
	}
}

// What is queued is sent because somebody says so: every other reason for which a sender looks comes an hour later here.
func TestWakeIsQuick(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	for _, n := range f.nodes {
		n.pace.linger, n.pace.idle, n.pace.retryMax = time.Hour, time.Hour, time.Hour
	}
	f.start()
	pt := f.nodes["PT"].post
	pt.queue("ES", protocol.Urgent, "first")
	f.delivered("PT", "ES", protocol.Urgent, []string{"first"})
	var took []time.Duration
	for i := range 20 {
		begun := time.Now()
		pt.queue("ES", protocol.Urgent, fmt.Sprint(i))
		eventually(t, "the receipt", func() bool { return pt.unacknowledged("ES", protocol.Urgent) == 0 })
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	t.Logf("from Wake to receipt: median %s, worst %s", took[len(took)/2], took[len(took)-1])
}

// A batch was applied and its receipt lost: the connection broke in between.
func TestConnectionLostBeforeReceipt(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	var breaks atomic.Int32
	es := f.nodes["ES"]
	sever := func(from protocol.Country, ch protocol.Channel) {
		if ch == protocol.Bulk && breaks.Add(1)%3 == 1 && breaks.Load() < 12 {
			for _, c := range es.x.host.Network().Conns() {
				_ = c.Close()
			}
		}
	}
	es.post.afterCommit = sever  // applied, not acknowledged: sent twice
	es.post.beforeCommit = sever // lost before it was applied
	f.start()
	want := texts("m", 200)
	f.nodes["PT"].post.queue("ES", protocol.Bulk, want...)
	f.delivered("PT", "ES", protocol.Bulk, want)
	if breaks.Load() < 12 {
		t.Errorf("only %d of the hooks ran", breaks.Load())
	}
}

// The receiver dies between the commit and the receipt, and comes back with what it had committed.
func TestReceiverDiesBeforeReceipt(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	es := f.nodes["ES"]
	died := make(chan struct{})
	var once atomic.Bool
	es.post.afterCommit = func(_ protocol.Country, ch protocol.Channel) {
		if ch == protocol.Urgent && once.CompareAndSwap(false, true) {
			es.stop()
			for _, c := range es.x.host.Network().Conns() { // no receipt leaves any more
				_ = c.Close()
			}
			close(died)
		}
	}
	f.start()
	want := texts("trace", 40)
	f.nodes["PT"].post.queue("ES", protocol.Urgent, want...)
	<-died
	if err := <-es.done; err != nil {
		t.Fatal(err)
	}
	if n := f.nodes["PT"].post.unacknowledged("ES", protocol.Urgent); n != 40 {
		t.Fatalf("%d unacknowledged at the sender after the receiver died before its receipt, want 40", n)
	}
	es.open() // other ports, too
	es.run()
	f.delivered("PT", "ES", protocol.Urgent, want)
}

// The sender dies with a batch under way.
func TestSenderDies(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	pt, es := f.nodes["PT"], f.nodes["ES"]
	arrived := make(chan struct{}, 100)
	es.post.afterCommit = func(protocol.Country, protocol.Channel) { arrived <- struct{}{} }
	f.start()
	want := texts("m", 300)
	pt.post.queue("ES", protocol.Bulk, want...)
	for range 3 {
		<-arrived
	}
	pt.halt()
	pt.open()
	pt.run()
	f.delivered("PT", "ES", protocol.Bulk, want)
}

func TestUrgentOvertakesBulk(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	pt, es := f.nodes["PT"].post, f.nodes["ES"].post
	pt.size = 1
	const before = 3 // bulk messages, and then ES takes no more until the urgent ones are through
	gate, taken := make(chan struct{}), atomic.Int32{}
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	es.beforeCommit = func(_ protocol.Country, ch protocol.Channel) {
		if ch == protocol.Bulk && taken.Add(1) > before {
			<-gate
		}
	}
	f.start()
	pt.queue("ES", protocol.Bulk, texts("publication", 300)...)
	eventually(t, "bulk under way", func() bool { return taken.Load() > before })
	pt.queue("ES", protocol.Urgent, texts("lead", 20)...)
	f.delivered("PT", "ES", protocol.Urgent, texts("lead", 20))
	if n := pt.unacknowledged("ES", protocol.Bulk); n < 300-before {
		t.Errorf("%d bulk messages were left when the urgent ones were through, want %d", n, 300-before)
	}
	open()
	f.delivered("PT", "ES", protocol.Bulk, texts("publication", 300))
}

// A panic in the mail stays with the one delivery, on either side.
func TestPanicIsContained(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	var panics atomic.Int32
	f.nodes["ES"].post.beforeCommit = func(protocol.Country, protocol.Channel) {
		if panics.Add(1) <= 2 {
			panic("a handler's fault")
		}
	}
	f.start()
	f.nodes["PT"].post.queue("ES", protocol.Urgent, "a", "b")
	f.delivered("PT", "ES", protocol.Urgent, []string{"a", "b"})
	if panics.Load() != 3 {
		t.Errorf("%d attempts, want 3", panics.Load())
	}
}
