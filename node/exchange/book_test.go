package exchange

import (
	"slices"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"

	"proofmark/protocol"
)

// notebook keeps addresses while exchanges come and go around it, as a store does.
type notebook struct {
	mu    sync.Mutex
	where map[string][]string
}

func (n *notebook) book() Book {
	return Book{
		Reached: func(peer string) []string {
			n.mu.Lock()
			defer n.mu.Unlock()
			return slices.Clone(n.where[peer])
		},
		Keep: func(peer, address string) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.where[peer] = append([]string{address}, n.where[peer]...)
		},
	}
}

// After a restart the node reaches a member where it was before, although the roster names another place by then, nobody announces anything, the table is
// empty, and the member cannot come by itself.
func TestAMemberIsReachedWhereItWasBefore(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	pt, es := f.nodes["PT"], f.nodes["ES"]
	notes := &notebook{where: map[string][]string{}}
	theirs := peerOf(t, es.keys).String()
	open := func() {
		pt.open()
		pt.x.o.Book = notes.book()
	}
	open()
	es.open()
	f.enact(map[protocol.Country][]string{"PT": nil, "ES": es.x.Addresses()})
	pt.run()
	es.run()
	eventually(t, "PT keeps where it reached ES", func() bool { return len(notes.book().Reached(theirs)) > 0 })
	if got := notes.book().Reached(theirs)[0]; !slices.ContainsFunc(es.x.Addresses(), func(a string) bool { return a == got || a == got+"/p2p/"+theirs }) {
		t.Errorf("PT keeps %s, ES listens on %v", got, es.x.Addresses())
	}
	if got := len(notes.book().Reached(peerOf(t, pt.keys).String())); got != 0 {
		t.Error("an own address is kept")
	}
	pt.halt()
	f.enact(map[protocol.Country][]string{"PT": nil, "ES": {"/ip4/127.0.0.1/tcp/9"}})
	es.x.RosterChanged()
	notes.mu.Lock()
	notes.where[theirs] = append([]string{"not an address"}, notes.where[theirs]...) // of another program's time
	notes.mu.Unlock()
	open() // another port: what ES remembers of PT leads nowhere
	pt.run()
	pt.post.queue("ES", protocol.Urgent, "a")
	f.delivered("PT", "ES", protocol.Urgent, []string{"a"})
	if c := pt.x.link("ES").newest(); c == nil || c.Stat().Direction != network.DirOutbound {
		t.Errorf("%v: ES came by itself", c)
	}
}

func TestAddressesThroughRelays(t *testing.T) {
	for s, want := range map[string]bool{
		"/ip4/192.0.2.1/udp/4931/quic-v1": false, "/ip4/192.0.2.1/tcp/4931": false,
		"/ip4/192.0.2.1/tcp/4931/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit": true,
	} {
		a, err := multiaddr.NewMultiaddr(s)
		if err != nil {
			t.Fatal(err)
		}
		if relayed(a) != want {
			t.Errorf("%s: %v", s, !want)
		}
	}
}
