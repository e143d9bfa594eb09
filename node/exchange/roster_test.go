package exchange

import (
	"context"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/multiformats/go-multiaddr"

	"proofmark/crypto/roster"
	"proofmark/protocol"
)

// rawHost is a libp2p host of its own, with the identity of a member's keys or with a random one.
func rawHost(t testing.TB, opts ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append([]libp2p.Option{libp2p.ListenAddrStrings(loopback...), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(nil)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func infoOf(t testing.TB, x *Exchange, transport string) peer.AddrInfo {
	t.Helper()
	info := peer.AddrInfo{ID: x.host.ID()}
	for _, s := range x.Addresses() {
		a, err := peer.AddrInfoFromString(s)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(s, transport) {
			info.Addrs = append(info.Addrs, a.Addrs...)
		}
	}
	if len(info.Addrs) == 0 {
		t.Fatalf("no %s address in %v", transport, x.Addresses())
	}
	return info
}

func TestStrangerGetsNothing(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES").start()
	for _, transport := range []string{"quic", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			stranger := rawHost(t)
			info := infoOf(t, f.nodes["PT"].x, transport)
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			_ = stranger.Connect(ctx, info) // may succeed: the stranger's side is done before it is dropped
			for _, p := range append(f.nodes["PT"].x.host.Mux().Protocols(), Protocol, identify.ID, "/proofmark/kad/1.0.0") {
				s, err := stranger.NewStream(ctx, info.ID, p)
				if err != nil {
					continue
				}
				_ = s.SetDeadline(time.Now().Add(2 * time.Second))
				_, _ = s.Write([]byte("x"))
				if n, err := s.Read(make([]byte, 1)); err == nil {
					t.Errorf("%s: a stranger read %d byte", p, n)
				}
				_ = s.Reset()
			}
			if got, err := stranger.Peerstore().GetProtocols(info.ID); err == nil && len(got) > 0 {
				t.Errorf("a stranger learnt the protocols %v", got)
			}
			if v, err := stranger.Peerstore().Get(info.ID, "AgentVersion"); err == nil {
				t.Errorf("a stranger learnt the agent version %v", v)
			}
			if n := f.nodes["PT"].x.host.Network().ConnsToPeer(stranger.ID()); len(n) != 0 {
				t.Errorf("a stranger holds %d connections", len(n))
			}
		})
	}
	f.nodes["PT"].post.queue("ES", protocol.Urgent, "a")
	f.delivered("PT", "ES", protocol.Urgent, []string{"a"})
}

func TestNoRosterLetsNobodyIn(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	pt := f.nodes["PT"]
	pt.open()
	pt.run()
	for _, transport := range []string{"quic", "tcp"} {
		h := rawHost(t, libp2p.Identity(f.nodes["ES"].keys.HostKey()))
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_ = h.Connect(ctx, infoOf(t, pt.x, transport))
		if s, err := h.NewStream(ctx, pt.x.host.ID(), Protocol); err == nil {
			if _, err := s.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: somebody was served without a roster", transport)
			}
		}
		cancel()
	}
	if n := len(pt.x.host.Network().Peers()); n != 0 {
		t.Errorf("%d peers without a roster", n)
	}
}

func TestSuspensionClosesConnections(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR").start()
	pt := f.nodes["PT"]
	pt.post.queue("ES", protocol.Bulk, "a")
	pt.post.queue("FR", protocol.Bulk, "a")
	f.delivered("PT", "ES", protocol.Bulk, []string{"a"})
	f.delivered("PT", "FR", protocol.Bulk, []string{"a"})
	addrs := map[protocol.Country][]string{}
	for c, n := range f.nodes {
		addrs[c] = n.x.Addresses()
	}
	f.enact(addrs, "ES")
	pt.x.RosterChanged()
	if conns := pt.x.host.Network().ConnsToPeer(f.nodes["ES"].x.host.ID()); len(conns) != 0 {
		t.Fatalf("%d connections to a suspended member after RosterChanged returned", len(conns))
	}
	if peers := pt.x.Peers(); len(peers) != 1 || peers[0].Country != "FR" {
		t.Fatalf("peers after the suspension of ES: %+v", peers)
	}
	pt.post.queue("ES", protocol.Bulk, "b")
	f.nodes["ES"].post.queue("PT", protocol.Urgent, "c")
	pt.post.queue("FR", protocol.Bulk, "b")
	f.delivered("PT", "FR", protocol.Bulk, []string{"a", "b"})
	eventually(t, "the suspended one sees why", func() bool {
		for _, st := range f.nodes["ES"].x.Peers() {
			if st.Country == "PT" {
				return strings.Contains(st.LastError, "its roster may not list this node, or list it as suspended")
			}
		}
		return false
	})
	if len(f.nodes["ES"].post.received("PT", protocol.Bulk)) != 1 || len(pt.post.received("ES", protocol.Urgent)) != 0 {
		t.Fatal("something crossed between a member and a suspended one")
	}
	f.enact(addrs)
	pt.x.RosterChanged()
	f.delivered("PT", "ES", protocol.Bulk, []string{"a", "b"})
	f.delivered("ES", "PT", protocol.Urgent, []string{"c"})
}

func TestOtherRosterIsNotedOnly(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	f.nodes["PT"].open()
	f.nodes["ES"].open()
	f.nodes["ES"].x.o.RosterHash = func() string { return "sha256:older" }
	f.enact(map[protocol.Country][]string{"PT": f.nodes["PT"].x.Addresses(), "ES": f.nodes["ES"].x.Addresses()})
	f.nodes["PT"].run()
	f.nodes["ES"].run()
	f.nodes["PT"].post.queue("ES", protocol.Bulk, "a")
	f.delivered("PT", "ES", protocol.Bulk, []string{"a"})
	if st := f.nodes["PT"].x.Peers()[0]; st.OtherRoster != "sha256:older" {
		t.Errorf("other roster %q", st.OtherRoster)
	}
}

// C moves; A was not told, B was met by C.
func TestAddressFoundThroughOtherMember(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR")
	for _, n := range f.nodes {
		n.listen = onlyTCP
	}
	f.start()
	pt, es, fr := f.nodes["PT"], f.nodes["ES"], f.nodes["FR"]
	eventually(t, "all connected", func() bool { return f.connected("PT", "ES") && f.connected("PT", "FR") && f.connected("ES", "FR") })
	pt.halt()
	fr.halt()
	gone := fr.x.host.ID()
	eventually(t, "ES sees FR gone", func() bool { return !f.connected("ES", "FR") })
	// France comes back elsewhere and knows Spain alone; Portugal comes back and knows where France was.
	old := fr.x.Addresses()
	roster := f.ro.Load()
	fr.pace.retryMin, fr.pace.retryMax = time.Hour, time.Hour // it does not look for Portugal itself
	fr.open()
	only := map[protocol.Country][]string{"ES": es.x.Addresses(), "FR": {"/ip4/127.0.0.1/tcp/1"}, "PT": {"/ip4/127.0.0.1/tcp/1"}}
	f.enact(only)
	fr.run()
	eventually(t, "FR meets ES", func() bool { return f.connected("FR", "ES") && es.x.dht.RoutingTable().Find(gone) != "" })
	f.ro.Store(roster)
	pt.open()
	pt.run()
	pt.post.queue("FR", protocol.Urgent, "found you")
	f.delivered("PT", "FR", protocol.Urgent, []string{"found you"})
	if st := pt.x.Peers()[1]; st.Country != "FR" || strings.HasPrefix(old[0], st.Address+"/") {
		t.Errorf("delivered to %+v, which is where it was before (%v)", st, old)
	}
	if c := pt.x.host.Network().ConnsToPeer(gone); len(c) == 0 || c[0].Stat().Direction != network.DirOutbound {
		t.Errorf("it was not PT that found FR: %v", c)
	}
	if err := pt.x.dht.PutValue(context.Background(), "/proofmark/x", []byte("x")); err == nil {
		t.Error("the members' table took a record")
	}
}

func TestAddressTaken(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT")
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_, tcpPort, _ := net.SplitHostPort(tcp.Addr().String())
	_, udpPort, _ := net.SplitHostPort(udp.LocalAddr().String())
	good := Options{Country: "PT", HostKey: f.nodes["PT"].keys.HostKey(), Roster: func() *roster.Roster { return nil }, RosterHash: func() string { return "" },
		Mail: newPost("PT"), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	for _, c := range []struct{ addr, want string }{
		{"/ip4/127.0.0.1/tcp/" + tcpPort, "the address is taken"},
		{"/ip4/127.0.0.1/udp/" + udpPort + "/quic-v1", "the address is taken"},
		{"/ip4/192.0.2.1/tcp/0", "no such address"},
		{"127.0.0.1:4001", "write it like"},
	} {
		o := good
		o.Listen = []string{"/ip4/127.0.0.1/tcp/0", c.addr} // one that works does not hide one that does not
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.addr) {
			t.Errorf("listen on %s: %v, want it named with %q", c.addr, err, c.want)
		}
	}
	o := good
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "no address to listen on") {
		t.Errorf("without addresses: %v", err)
	}
	o.Listen, o.Mail = loopback, nil
	if _, err := New(o); err == nil {
		t.Error("without a mail: no error")
	}
}

func TestRunsOnce(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES").start()
	pt := f.nodes["PT"]
	eventually(t, "connected", func() bool { return f.connected("PT", "ES") })
	if err := pt.x.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "runs once") {
		t.Errorf("a second Run: %v", err)
	}
	pt.halt()
	if err := pt.x.Close(); err != nil {
		t.Errorf("Close after Run: %v", err)
	}
	if err := pt.x.Run(context.Background()); err == nil {
		t.Error("Run after Close: no error")
	}
	pt.x.Wake("ES", protocol.Urgent) // harmless
	pt.x.RosterChanged()
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR")
	f.enact(map[protocol.Country][]string{"PT": nil, "ES": {"/ip4/127.0.0.1/tcp/4001"}, "FR": {"/ip4/127.0.0.1/tcp/4002/p2p/" + peerOf(t, f.nodes["FR"].keys).String()}})
	r := f.ro.Load()
	d, faults := directoryOf(r, nil, "PT", f.begun)
	if len(faults) != 0 || len(d.byCountry) != 2 || len(d.byPeer) != 2 || d.byCountry["PT"] != nil {
		t.Fatalf("directory %+v, faults %v", d, faults)
	}
	for c, want := range map[protocol.Country]string{"ES": "/ip4/127.0.0.1/tcp/4001", "FR": "/ip4/127.0.0.1/tcp/4002"} {
		id := peerOf(t, f.nodes[c].keys)
		m := d.member(id)
		if m == nil || m.country != c || len(m.addrs[id]) != 1 || !m.addrs[id][0].Equal(multiaddr.StringCast(want)) {
			t.Errorf("%s: %+v", c, m)
		}
	}
	if d, _ := directoryOf(r, nil, "PT", f.begun.Add(48*time.Hour+roster.Grace)); len(d.byPeer) != 0 {
		t.Error("entries that ended are still let in")
	}
	if d, _ := directoryOf(nil, nil, "PT", f.begun); len(d.byPeer) != 0 || d.member("x") != nil {
		t.Error("no roster: somebody is let in")
	}
	var none *directory
	if none.member("x") != nil {
		t.Error("no directory: somebody is let in")
	}
}

func TestStanding(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR")
	f.enact(map[protocol.Country][]string{"PT": nil, "ES": nil}, "ES")
	pt, es := peerOf(t, f.nodes["PT"].keys), peerOf(t, f.nodes["ES"].keys)
	for _, c := range []struct {
		name string
		r    *roster.Roster
		self protocol.Country
		id   peer.ID
		now  time.Time
		want string // empty: all is well
	}{
		{"well", f.ro.Load(), "PT", pt, f.begun, ""},
		{"no roster", nil, "PT", pt, f.begun, "no roster"},
		{"not listed", f.ro.Load(), "FR", pt, f.begun, "not in the roster"},
		{"suspended", f.ro.Load(), "ES", es, f.begun, "not active"},
		{"ended", f.ro.Load(), "PT", pt, f.begun.Add(48*time.Hour + roster.Grace), "not active"},
		{"another key", f.ro.Load(), "PT", es, f.begun, "does not name this node's peer ID"},
	} {
		err := standing(c.r, c.self, c.id, c.now)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Nothing runs on after Run has returned. It must not run beside other tests.
func TestNothingLeftRunning(t *testing.T) {
	cycle := func() {
		f := newFederation(t, "PT", "ES", "FR").start()
		f.nodes["PT"].post.queue("ES", protocol.Bulk, texts("m", 40)...)
		f.nodes["ES"].post.queue("FR", protocol.Urgent, texts("m", 40)...)
		f.delivered("PT", "ES", protocol.Bulk, texts("m", 40))
		f.delivered("ES", "FR", protocol.Urgent, texts("m", 40))
		for _, n := range f.nodes {
			n.halt()
		}
	}
	cycle() // what libraries start once for all stays
	before := settled()
	cycle()
	after := settled()
	for end := time.Now().Add(time.Minute); after > before && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
		after = runtime.NumGoroutine()
	}
	if after > before {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after:\n%s", before, after, buf[:runtime.Stack(buf, true)])
	}
}

// settled is the number of goroutines once it has stopped falling.
func settled() int {
	n, same := runtime.NumGoroutine(), 0
	for same < 10 {
		time.Sleep(30 * time.Millisecond)
		m := runtime.NumGoroutine()
		if m == n {
			same++
		} else {
			n, same = m, 0
		}
	}
	return n
}
