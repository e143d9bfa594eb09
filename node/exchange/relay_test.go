package exchange

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	relayproto "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/multiformats/go-multiaddr"

	"proofmark/protocol"
)

// throughFR is ES's address by way of FR.
func throughFR(t *testing.T, f *federation) peer.AddrInfo {
	t.Helper()
	a, err := multiaddr.NewMultiaddr(infoOf(t, f.nodes["FR"].x, "tcp").Addrs[0].String() + "/p2p/" + f.nodes["FR"].x.PeerID() + "/p2p-circuit")
	if err != nil {
		t.Fatal(err)
	}
	return peer.AddrInfo{ID: f.nodes["ES"].x.host.ID(), Addrs: []multiaddr.Multiaddr{a}}
}

func reach(h host.Host, to peer.AddrInfo) (network.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := h.Connect(ctx, to); err != nil {
		return nil, err
	}
	if cs := h.Network().ConnsToPeer(to.ID); len(cs) > 0 {
		return cs[0], nil
	}
	return nil, errors.New("connected, and cut off at once")
}

// A member that serves as a relay connects members, and cannot read what they say: each end has proved its key to the other. Strangers and suspended
// members cannot use it, and neither can members reach a suspended one.
func TestRelay(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR", "DE")
	delete(f.nodes, "PT") // played by hosts of the test's own below
	pt := newFederation(t, "PT", "ES", "FR", "DE").nodes["PT"]
	f.nodes["ES"].relay.Use, f.nodes["FR"].relay.Serve = true, true
	f.nodes["ES"].pace.reserve = 50 * time.Millisecond
	addrs := map[protocol.Country][]string{"PT": nil, "DE": nil}
	for _, c := range []protocol.Country{"ES", "FR"} {
		f.nodes[c].open()
		addrs[c] = f.nodes[c].x.Addresses()
	}
	f.nodes["PT"] = pt
	f.enact(addrs, "DE")
	f.nodes["ES"].run()
	f.nodes["FR"].run()

	member := rawHost(t, libp2p.Identity(pt.keys.HostKey()), libp2p.NoListenAddrs, libp2p.EnableRelay())
	var c network.Conn
	eventually(t, "a member reaches ES through FR", func() bool {
		var err error
		c, err = reach(member, throughFR(t, f))
		return err == nil
	})
	if got := transport(c.RemoteMultiaddr()); got != "relay" {
		t.Errorf("connected by %s", got)
	}
	if k := c.RemotePublicKey(); k == nil || !k.Equals(f.nodes["ES"].keys.HostKey().GetPublic()) || c.Stat().Limited { // proved in a handshake of the ends
		t.Errorf("the connection through FR is with %s, limited %t", c.RemotePeer(), c.Stat().Limited)
	}
	eventually(t, "ES shows by what PT is connected", func() bool {
		return slices.ContainsFunc(f.nodes["ES"].x.Peers(), func(st PeerStatus) bool { return st.Country == "PT" && st.Transport == "relay" })
	})
	for name, h := range map[string]host.Host{
		"a stranger":         rawHost(t, libp2p.NoListenAddrs, libp2p.EnableRelay()),
		"a suspended member": rawHost(t, libp2p.Identity(f.nodes["DE"].keys.HostKey()), libp2p.NoListenAddrs, libp2p.EnableRelay()),
	} {
		if _, err := reach(h, throughFR(t, f)); err == nil {
			t.Errorf("%s reaches a member through the relay", name)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if _, err := client.Reserve(ctx, h, infoOf(t, f.nodes["FR"].x, "tcp")); err == nil {
			t.Errorf("%s has a place at the relay", name)
		}
		cancel()
	}
	dir := &f.nodes["FR"].x.dir
	rule := relayRule{*dir}
	suspended, known := f.nodes["DE"].peer(), member.ID()
	if rule.AllowConnect(known, nil, suspended) || rule.AllowConnect(suspended, nil, known) || rule.AllowReserve(suspended, nil) || !rule.AllowReserve(known, nil) {
		t.Error("the relay's rule does not follow the roster")
	}
}

// Unless it is told to, a node neither serves as a relay nor listens for relayed connections.
func TestNoRelay(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES").start()
	for c, n := range f.nodes {
		for _, p := range n.x.host.Mux().Protocols() {
			if strings.Contains(string(p), "circuit") {
				t.Errorf("%s speaks %s", c, p)
			}
		}
		for _, a := range n.x.host.Network().ListenAddresses() {
			if transport(a) == "relay" {
				t.Errorf("%s listens on %s", c, a)
			}
		}
	}
	h := rawHost(t, libp2p.Identity(f.nodes["ES"].keys.HostKey()), libp2p.NoListenAddrs, libp2p.EnableRelay())
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := h.NewStream(ctx, f.nodes["PT"].x.host.ID(), relayproto.ProtoIDv2Hop); err == nil {
		t.Error("a node that serves as no relay takes a request")
	}
}
