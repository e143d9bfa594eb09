package exchange

import (
	"sync/atomic"
	"testing"
	"time"

	"proofmark/protocol"
)

// A suspension meets streams in the middle of a batch, one each way: they end, connections too, nothing more is sent, and what was queued goes on
// after the member is active again.
func TestSuspensionEndsRunningStreams(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	pt, es := f.nodes["PT"], f.nodes["ES"]
	var stuck atomic.Int32
	release := make(chan struct{})
	hold := func(protocol.Country, protocol.Channel) {
		stuck.Add(1)
		<-release
	}
	pt.post.beforeCommit, es.post.beforeCommit = hold, hold
	for _, n := range f.nodes {
		n.pace.answer = time.Minute // the streams end by the suspension, not by themselves
	}
	f.start()
	pt.post.queue("ES", protocol.Bulk, "a", "b")
	es.post.queue("PT", protocol.Bulk, "c", "d")
	eventually(t, "a batch is on its way each way", func() bool { return stuck.Load() == 2 })
	addrs := map[protocol.Country][]string{"PT": pt.x.Addresses(), "ES": es.x.Addresses()}
	f.enact(addrs, "ES")
	pt.x.RosterChanged()
	id := es.x.host.ID()
	if n := len(pt.x.host.Network().ConnsToPeer(id)); n != 0 {
		t.Errorf("%d connections to a suspended member", n)
	}
	eventually(t, "the suspended one has no connection left", func() bool { return len(es.x.host.Network().Conns()) == 0 })
	close(release)
	pt.post.queue("ES", protocol.Bulk, "later")
	if len(pt.x.Peers()) != 0 {
		t.Error("a suspended member is still served")
	}
	if pt.post.unacknowledged("ES", protocol.Bulk) != 3 {
		t.Error("the queue for a suspended member was not kept")
	}
	f.enact(addrs)
	pt.x.RosterChanged()
	f.delivered("PT", "ES", protocol.Bulk, []string{"a", "b", "later"})
	f.delivered("ES", "PT", protocol.Bulk, []string{"c", "d"})
}
