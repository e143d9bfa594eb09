package exchange

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	manet "github.com/multiformats/go-multiaddr/net"

	"proofmark/protocol"
)

// TestHostileGreetings: FR breaks the protocol in its greeting or its frames.
func TestHostileGreetings(t *testing.T) {
	t.Parallel()
	a := newArena(t, nil)
	says := func(parts ...[]byte) func(a *arena) string { return func(a *arena) string { return a.say(parts...) } }
	hello := func(change func(h *protocol.Hello)) func(a *arena) string {
		return func(a *arena) string {
			h := a.hello()
			change(&h)
			return a.say(frame(h), frame("urgent"))
		}
	}
	opened := func(parts ...[]byte) func(a *arena) string {
		return func(a *arena) string {
			got := a.say(append([][]byte{a.opening(protocol.Urgent)}, parts...)...)
			return got[max(0, strings.LastIndex(got, "{")):] // a reset may overtake what PT had said before
		}
	}
	long := binaryLength(len(frame(a.hello()))-2, 3)
	a.suffer([]attack{
		{name: "hello in another's name", run: hello(func(h *protocol.Hello) { h.Country = "ES" }), says: "its key is that of FR", ground: "forged"},
		{name: "hello for another node", run: hello(func(h *protocol.Hello) { h.To = "ES" }), says: "this is PT", ground: "forged"},
		{name: "hello of another version", run: hello(func(h *protocol.Hello) { h.Version = 9 }), says: "speaks version 9"},
		{name: "clock a day ahead", run: hello(func(h *protocol.Hello) { h.Now = h.Now.Add(24 * time.Hour) }), says: "clocks"},
		{name: "clock a year behind", run: hello(func(h *protocol.Hello) { h.Now = h.Now.AddDate(-1, 0, 0) }), says: "clocks"},
		{name: "hello that is garbage", run: says(frame("\x00\x01garbage")), says: "malformed", ground: "malformed"},
		{name: "hello nested deep", run: says(frame(strings.Repeat("[", 1000))), says: "nested deeper", ground: "malformed"},
		{name: "hello with a field twice", run: says(frame(`{"version":1,"version":1}`)), says: "stands twice", ground: "malformed"},
		{name: "hello of 1 GB", run: says(announced(1 << 30)), ground: "malformed"},
		{name: "hello one byte too long", run: says(announced(protocol.MaxHello + 1)), ground: "malformed"},
		{name: "length that never ends", run: says(bytes.Repeat([]byte{0xff}, 64)), ground: "malformed"},
		{name: "length in more bytes than it needs", run: says(long, frame(a.hello())[2:], frame("urgent")), ground: "malformed"},
		{name: "unknown channel", run: func(a *arena) string { return a.say(frame(a.hello()), frame("express")) }, says: "unknown channel", ground: "malformed"},
		{name: "manifest of 1 GB", run: func(a *arena) string {
			_ = opened(announced(1 << 30))(a)
			return ""
		}, ground: "malformed"},
		{name: "batch of 1 GB", run: func(a *arena) string {
			_ = opened(frame("m"), announced(1<<30))(a)
			return ""
		}, ground: "malformed"},
		{name: "unknown protocol", run: func(a *arena) string {
			s, err := a.bad.NewStream(context.Background(), a.pt.x.host.ID(), "/proofmark/backdoor/1.0.0")
			if err == nil {
				defer s.Reset()
				_, err = io.ReadAll(s)
			}
			return fmt.Sprint(err)
		}, says: "not supported"},
		{name: "roster of another federation", run: func(a *arena) string {
			h := a.hello()
			h.Roster = "sha256:of-another-federation"
			s := a.stream()
			defer s.Reset()
			_, _ = s.Write(append(frame(h), frame("urgent")...))
			_, _ = protocol.ReadFrame(s, protocol.MaxHello)
			got, _ := protocol.ReadFrame(s, maxAnswer)
			if st := a.status("FR"); st.OtherRoster != h.Roster || a.pt.x.o.RosterHash() == h.Roster {
				return "PT shows " + st.OtherRoster
			}
			return string(got)
		}, says: `{"receipt":"`},
	})
}

func (a *arena) status(c protocol.Country) PeerStatus {
	for _, st := range a.pt.x.Peers() {
		if st.Country == c {
			return st
		}
	}
	return PeerStatus{}
}

// binaryLength is a length as a varint of so many bytes, more than it needs.
func binaryLength(n, size int) (out []byte) {
	for range size - 1 {
		out = append(out, byte(n&0x7f)|0x80)
		n >>= 7
	}
	return append(out, byte(n))
}

// TestHostilePatience: FR begins and does not go on, or floods. PT's patience is short here, so that it is seen to end.
func TestHostilePatience(t *testing.T) {
	t.Parallel()
	a := newArena(t, nil, func(p *pace) {
		p.hello, p.progress, p.idle, p.busy = 3*time.Second, 3*time.Second, 4*time.Second, time.Second
	})
	begun := func() []byte { return a.opening(protocol.Urgent) }
	open := func(parts ...func() []byte) func(a *arena) string { // and hold until PT ends it
		return func(a *arena) string {
			s := a.stream()
			defer s.Reset()
			for _, part := range parts {
				_, _ = s.Write(part())
			}
			if _, err := io.Copy(io.Discard, s); err != nil && timedOut(err) {
				return "PT left the stream open for a minute"
			}
			return ""
		}
	}
	streams := func(n int, first func() []byte) func(a *arena) string {
		return func(a *arena) string {
			var held []network.Stream
			for range n {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				if s, err := a.bad.NewStream(ctx, a.pt.x.host.ID(), Protocol); err == nil {
					_ = s.SetDeadline(time.Now().Add(time.Minute))
					_, _ = s.Write(first())
					held = append(held, s)
				} else {
					_ = a.connect()
				}
				cancel()
			}
			open := 0
			for _, c := range a.pt.x.host.Network().ConnsToPeer(a.bad.ID()) {
				open += len(c.GetStreams())
			}
			served := a.pt.x.link("FR").incoming.Load()
			for _, s := range held {
				_ = s.Reset()
			}
			if open > 2*peerStreams || served > peerExchangeStreams {
				return fmt.Sprintf("%d streams open at PT, %d served", open, served)
			}
			return ""
		}
	}
	a.suffer([]attack{
		{name: "silence instead of a hello", run: open()},
		{name: "half a hello, then silence", run: open(func() []byte { return begun()[:40] })},
		{name: "half a manifest, then silence", run: open(begun, func() []byte { return frame("manifest")[:4] })},
		{name: "half a batch, then silence", run: open(begun, func() []byte { return append(append(frame("manifest"), announced(1000)...), "half"...) })},
		{name: "hello of one byte a second", run: func(a *arena) string {
			s := a.stream()
			defer s.Reset()
			go func() {
				for _, b := range begun() {
					if _, err := s.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			if _, err := io.Copy(io.Discard, s); err != nil && timedOut(err) {
				return "PT waited for a minute"
			}
			return ""
		}},
		{name: "batch of one byte a second", run: func(a *arena) string {
			s := a.stream()
			defer s.Reset()
			_, _ = s.Write(append(append(begun(), frame("manifest")...), announced(protocol.MaxBatch)...))
			for range 3 {
				if _, err := s.Write([]byte("x")); err != nil {
					break // a machine that stood still made it slower than PT bears
				}
				a.pt.note("ES", "beside a slow batch")
				time.Sleep(time.Second)
			}
			return ""
		}},
		{name: "half a frame on every protocol", run: func(a *arena) string {
			var held []network.Stream
			for _, p := range a.pt.x.host.Mux().Protocols() {
				for range 4 {
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					if s, err := a.bad.NewStream(ctx, a.pt.x.host.ID(), p); err == nil {
						_, _ = s.Write([]byte{0xff, 0x01, 'x'})
						held = append(held, s)
					}
					cancel()
				}
			}
			a.pt.note("ES", "beside half frames")
			eventually(a.t, "PT delivers beside half frames", func() bool { return must(a.pt.Waiting("ES", protocol.Urgent)) == 0 })
			for _, s := range held {
				_ = s.Reset()
			}
			return ""
		}},
		{name: "three hundred streams without a word", run: streams(300, func() []byte { return nil })},
		{name: "three hundred hellos", run: streams(300, begun)},
		{name: "storm of resets", run: func(a *arena) string {
			for range 300 {
				if s, err := a.bad.NewStream(context.Background(), a.pt.x.host.ID(), Protocol); err == nil {
					_, _ = s.Write(begun()[:20])
					_ = s.Reset()
				} else {
					_ = a.connect()
				}
			}
			return ""
		}},
		{name: "never reading an answer", run: func(a *arena) string {
			a.fr.heads = nil
			old := a.fr.single(protocol.Urgent, a.fr.document("never read", nil))
			parts := append(frame(old.manifest), frame(old.payload)...)
			soon := func(s network.Stream) bool { // PT has applied it, or has no place for this stream and lets it go
				for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && !s.Conn().IsClosed(); time.Sleep(20 * time.Millisecond) {
					if a.pt.applied("FR") == 1 {
						return true
					}
				}
				return a.pt.applied("FR") == 1
			}
			eventually(a.t, "PT takes the first", func() bool {
				s := a.stream()
				defer s.Reset()
				_, _ = s.Write(begun())
				for range 400 { // one that is applied, and its replays
					if _, err := s.Write(parts); err != nil {
						break // PT takes no more from one that does not read
					}
				}
				return soon(s)
			})
			return ""
		}, takes: 1},
	})
}

// TestHostileConnections: strangers and suspended members at the gate, and a member that connects without end.
func TestHostileConnections(t *testing.T) {
	t.Parallel()
	a := newArena(t, nil)
	knock := func(opts ...libp2p.Option) func(a *arena) string {
		return func(a *arena) (said string) {
			h := rawHost(a.t, opts...)
			defer h.Close()
			for _, transport := range []string{"quic", "tcp"} {
				info := infoOf(a.t, a.pt.x, transport)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				_ = h.Connect(ctx, info) // may succeed: its own side is done before it is dropped
				for _, p := range append(a.pt.x.host.Mux().Protocols(), Protocol) {
					s, err := h.NewStream(ctx, info.ID, p)
					if err != nil {
						continue
					}
					_ = s.SetDeadline(time.Now().Add(5 * time.Second))
					_, _ = s.Write(a.opening(protocol.Urgent))
					if n, err := s.Read(make([]byte, 1)); err == nil {
						said += fmt.Sprintf("%d byte on %s ", n, p)
					}
					_ = s.Reset()
				}
				cancel()
				_ = h.Network().ClosePeer(info.ID)
			}
			eventually(a.t, "it holds no connection", func() bool { return len(a.pt.x.host.Network().ConnsToPeer(h.ID())) == 0 })
			return said
		}
	}
	a.suffer([]attack{
		{name: "stranger connects", run: knock()},
		{name: "suspended member connects", run: knock(libp2p.Identity(a.nodes["DE"].keys.HostKey()))},
		{name: "stranger that comes again and again", run: func(a *arena) string {
			h := rawHost(a.t, libp2p.NoListenAddrs)
			defer h.Close()
			info := infoOf(a.t, a.pt.x, "tcp")
			for range 60 {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				_ = h.Connect(ctx, info)
				_ = h.Network().ClosePeer(info.ID)
				cancel()
			}
			return ""
		}},
		{name: "four hundred connections without a handshake", run: func(a *arena) string {
			addr := infoOf(a.t, a.pt.x, "tcp").Addrs[0]
			network, address, err := manet.DialArgs(addr)
			if err != nil {
				return err.Error()
			}
			for range 400 {
				if c, err := net.DialTimeout(network, address, 5*time.Second); err == nil {
					defer c.Close()
				}
			}
			a.pt.note("ES", "beside mute connections")
			eventually(a.t, "PT delivers beside mute connections", func() bool { return must(a.pt.Waiting("ES", protocol.Urgent)) == 0 })
			return ""
		}},
		{name: "forty hosts with one member's key", run: func(a *arena) string {
			info := infoOf(a.t, a.pt.x, "tcp")
			most := 0
			for range 40 {
				h := rawHost(a.t, libp2p.Identity(a.nodes["FR"].keys.HostKey()), libp2p.NoListenAddrs)
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				_ = h.Connect(ctx, info)
				cancel()
				defer h.Close()
				most = max(most, len(a.pt.x.host.Network().ConnsToPeer(h.ID())))
			}
			if most > 2*peerConns {
				return fmt.Sprintf("%d connections of one member", most)
			}
			return ""
		}},
	})
}
