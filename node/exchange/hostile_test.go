package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"proofmark/protocol"
)

// bad is a member of the roster that has a libp2p host of its own instead of a node.
type bad struct {
	f *federation
	h host.Host
}

// newBad makes a federation in which FR is bad; PT and ES are nodes, with times of their own.
// Without a handler for streams, nobody knows where to dial it.
func newBad(t *testing.T, onStream network.StreamHandler, tune ...func(*pace)) *bad {
	t.Helper()
	f := newFederation(t, "PT", "ES", "FR")
	for _, n := range f.nodes {
		for _, f := range tune {
			f(&n.pace)
		}
	}
	b := &bad{f: f, h: rawHost(t, libp2p.Identity(f.nodes["FR"].keys.HostKey()))}
	addrs := map[protocol.Country][]string{"FR": nil}
	if onStream != nil {
		b.h.SetStreamHandler(Protocol, onStream)
		for _, a := range b.h.Addrs() {
			addrs["FR"] = append(addrs["FR"], a.String())
		}
	}
	for _, c := range []protocol.Country{"PT", "ES"} {
		f.nodes[c].open()
		addrs[c] = f.nodes[c].x.Addresses()
	}
	f.enact(addrs)
	f.nodes["PT"].run()
	f.nodes["ES"].run()
	eventually(t, "PT serves", func() bool {
		return b.h.Connect(context.Background(), infoOf(t, f.nodes["PT"].x, "tcp")) == nil && f.connected("PT", "FR")
	})
	return b
}

func (b *bad) open() network.Stream {
	b.f.t.Helper()
	s, err := b.h.NewStream(context.Background(), b.f.nodes["PT"].x.host.ID(), Protocol)
	if err != nil {
		b.f.t.Fatal(err)
	}
	_ = s.SetDeadline(time.Now().Add(time.Minute))
	return s
}

// goodHello is what FR would say as an honest member.
func goodHello() protocol.Hello {
	return protocol.Hello{Version: protocol.ExchangeVersion, Country: "FR", To: "PT", Roster: "sha256:test", Now: time.Now()}
}

func frame(v any) []byte {
	var buf bytes.Buffer
	switch v := v.(type) {
	case []byte:
		_ = protocol.WriteFrame(&buf, v)
	case string:
		_ = protocol.WriteFrame(&buf, []byte(v))
	default:
		_ = writeJSON(&buf, v)
	}
	return buf.Bytes()
}

func announced(n uint64) []byte { return binary.AppendUvarint(nil, n) }

// TestBadSender plays a member that breaks the protocol as a sender; each time PT must end the stream, saying why where it can, take nothing,
// and serve ES meanwhile.
func TestBadSender(t *testing.T) {
	t.Parallel()
	b := newBad(t, nil, impatient)
	changed := func(f func(*protocol.Hello)) []byte {
		h := goodHello()
		f(&h)
		return frame(h)
	}
	opening := append(frame(goodHello()), frame("urgent")...)
	forged, _ := json.Marshal(postBatch{"FR", "ES", protocol.Urgent, 1})
	ahead, _ := json.Marshal(postBatch{"FR", "PT", protocol.Urgent, 7})
	const cut = "cut" // at once: the reset may overtake what PT had said before
	for _, c := range []struct {
		name string
		send []byte
		says string // among all that PT answers; empty: PT hangs up without a word
	}{
		{"no hello", nil, ""},
		{"hello cut short", frame(goodHello())[:40], ""},
		{"endless length", bytes.Repeat([]byte{0xff}, 64), ""},
		{"hello of 1 GB", announced(1 << 30), ""},
		{"hello just too long", announced(protocol.MaxHello + 1), ""},
		{"garbage for a hello", frame("\x00\x01garbage"), "malformed"},
		{"hello nested deep", frame(strings.Repeat("[", 1000)), "nested deeper"},
		{"hello with a field twice", frame(`{"version":1,"version":1}`), "stands twice"},
		{"another country", append(changed(func(h *protocol.Hello) { h.Country = "ES" }), frame("urgent")...), "its key is that of FR"},
		{"a country that is none", changed(func(h *protocol.Hello) { h.Country = "\x1b[2J" }), "its key is that of FR"},
		{"another audience", append(changed(func(h *protocol.Hello) { h.To = "ES" }), frame("urgent")...), "this is PT"},
		{"another version", changed(func(h *protocol.Hello) { h.Version = 2 }), "speaks version 2"},
		{"clock ahead", changed(func(h *protocol.Hello) { h.Now = h.Now.Add(time.Hour) }), "clocks"},
		{"clock behind", changed(func(h *protocol.Hello) { h.Now = time.Time{} }), "clocks"},
		{"hello that refuses", changed(func(h *protocol.Hello) { h.Refusal = "no" }), ""},
		{"refusal that clears the screen", changed(func(h *protocol.Hello) { h.Refusal = "no\x1b[2J" }), "control character"},
		{"unknown channel", append(frame(goodHello()), frame("express")...), "unknown channel"},
		{"channel name too long", append(frame(goodHello()), announced(17)...), ""},
		{"manifest of 1 GB", append(bytes.Clone(opening), announced(1<<30)...), cut},
		{"manifest cut short", append(bytes.Clone(opening), frame("manifest")[:4]...), `"receipt"`},
		{"payload of 1 GB", append(append(bytes.Clone(opening), frame("m")...), announced(1<<30)...), cut},
		{"payload announced, not sent", append(append(bytes.Clone(opening), frame("m")...), announced(protocol.MaxBatch)...), `"receipt"`},
		{"forged batch", append(append(bytes.Clone(opening), frame(forged)...), frame(`["x"]`)...), "verification failed"},
		{"batch out of sequence", append(append(bytes.Clone(opening), frame(ahead)...), frame(`["x"]`)...), "does not continue"},
		{"empty frames", append(bytes.Clone(opening), make([]byte, 64)...), "verification failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []byte
			var err error
			eventually(t, "PT answers", func() bool { // on a loaded machine its patience may end before what was sent has arrived: then it is sent again
				s := b.open()
				defer s.Reset()
				if _, err := s.Write(c.send); err != nil {
					t.Fatal(err)
				}
				if got, err = io.ReadAll(s); err != nil && timedOut(err) {
					t.Fatal("the stream was left open")
				}
				return c.says == "" || c.says == cut || len(got) > 0
			})
			switch c.says {
			case "":
				if len(got) > 0 {
					t.Errorf("PT said %q, want no word", got)
				}
			case cut:
				if err == nil || bytes.Contains(got, []byte("refusal")) {
					t.Errorf("PT said %q, %v, want a reset", got, err)
				}
			default:
				if !bytes.Contains(got, []byte(c.says)) {
					t.Errorf("PT said %q, want %q", got, c.says)
				}
			}
			if bytes.ContainsAny(got, "\x1b") {
				t.Errorf("a terminal's escape came back: %q", got)
			}
		})
		b.stillServed(t, c.name)
	}
	if n := len(b.f.nodes["PT"].post.breaches); n < 10 { // what no honest node does is noted, what a slow line does is not
		t.Errorf("%d breaches were noted", n)
	}
	for _, ch := range protocol.Channels {
		if got := b.f.nodes["PT"].post.received("FR", ch); len(got) != 0 {
			t.Errorf("taken from the bad member on %s: %q", ch, got)
		}
	}
}

// stillServed sends a message between the good members each way, while the bad one does what it does.
func (b *bad) stillServed(t *testing.T, what string) {
	t.Helper()
	pt, es := b.f.nodes["PT"].post, b.f.nodes["ES"].post
	es.queue("PT", protocol.Urgent, what)
	pt.queue("ES", protocol.Bulk, what)
	eventually(t, what+": the good members are served", func() bool {
		return es.unacknowledged("PT", protocol.Urgent)+pt.unacknowledged("ES", protocol.Bulk) == 0
	})
}

// One stream per channel is served at a time; a second on the same connection is told to wait its turn.
func TestSecondStreamForChannel(t *testing.T) {
	t.Parallel()
	b := newBad(t, nil)
	opening := append(frame(goodHello()), frame("bulk")...)
	first := b.open()
	if _, err := first.Write(opening); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{protocol.MaxHello, maxAnswer} {
		if _, err := protocol.ReadFrame(first, limit); err != nil {
			t.Fatal(err)
		}
	}
	second := b.open()
	if _, err := second.Write(opening); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(second) // a reset may follow what it was told
	if !bytes.Contains(got, []byte("another stream of yours")) {
		t.Errorf("the second stream was told %q", got)
	}
	// Once the first has ended in order, its place is free.
	if err := first.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(first); err != nil {
		t.Errorf("orderly end: %v", err)
	}
	eventually(t, "a third stream is answered", func() bool { // soon: PT has to see the end of the first
		third := b.open()
		defer third.Reset()
		if _, err := third.Write(opening); err != nil {
			t.Fatal(err)
		}
		if err := third.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		var err error
		got, err = io.ReadAll(third)
		return err == nil && bytes.Contains(got, []byte("receipt"))
	})
}

// A thousand streams, silent or slow, held open by one member.
func TestThousandStreams(t *testing.T) {
	t.Parallel()
	b := newBad(t, nil)
	var held []network.Stream
	refused := 0
	for i := range 1000 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		s, err := b.h.NewStream(ctx, b.f.nodes["PT"].x.host.ID(), Protocol)
		cancel()
		if err != nil {
			refused++
			continue
		}
		held = append(held, s)
		if i%2 == 0 {
			_, _ = s.Write(announced(protocol.MaxHello)) // and then a byte now and then
		}
		if i%100 == 0 {
			b.stillServed(t, fmt.Sprint("at stream ", i))
		}
	}
	x := b.f.nodes["PT"].x
	if n := x.link("FR").incoming.Load(); n > peerExchangeStreams {
		t.Errorf("%d streams of one member are being served", n)
	}
	open := 0
	for _, c := range x.host.Network().ConnsToPeer(b.h.ID()) {
		open += len(c.GetStreams())
	}
	if open > peerStreams {
		t.Errorf("one member holds %d streams open", open)
	}
	t.Logf("%d streams opened by the member, %d failed there, %d open here", len(held), refused, open)
	for _, s := range held {
		_ = s.Reset()
	}
	b.stillServed(t, "after the flood")
}

// TestBadReceiver plays a member that breaks the protocol as a receiver; PT must not take anything as delivered, must go on serving ES and
// must say in plain words what is wrong.
func TestBadReceiver(t *testing.T) {
	t.Parallel()
	spanish := frame(protocol.Hello{Version: 1, Country: "ES", To: "PT", Now: time.Now()})
	hello := func() []byte {
		h := goodHello()
		return frame(h)
	}
	receipt := func(r postReceipt) []byte {
		b, _ := json.Marshal(r)
		return frame(answer{Receipt: string(b)})
	}
	nothing := func() []byte { return receipt(postReceipt{"PT", "FR", protocol.Urgent, 0}) }
	for _, c := range []struct {
		name   string
		answer func() [][]byte // sent at once
		shows  string          // in the status
	}{
		{"silence", func() [][]byte { return nil }, "no answer in time"},
		{"garbage", func() [][]byte { return [][]byte{frame("garbage")} }, "malformed"},
		{"hello of 1 GB", func() [][]byte { return [][]byte{announced(1 << 30)} }, "larger than allowed"},
		{"another country's hello", func() [][]byte { return [][]byte{spanish} }, "its key is that of FR"},
		{"refusal of the greeting", func() [][]byte {
			h := goodHello()
			h.Refusal = "closed for the holidays"
			return [][]byte{frame(h)}
		}, "refused by the other node: closed for the holidays"},
		{"refusal that clears the screen", func() [][]byte { return [][]byte{hello(), frame(answer{Refusal: "closed\x1b[2J"})} },
			"refused by the other node: closed [2J"},
		{"answer of 1 GB", func() [][]byte { return [][]byte{hello(), announced(1 << 30)} }, "larger than allowed"},
		{"answer that says nothing", func() [][]byte { return [][]byte{hello(), frame("{}")} }, "neither receipt nor refusal"},
		{"receipt of another", func() [][]byte { return [][]byte{hello(), receipt(postReceipt{"PT", "ES", protocol.Urgent, 1})} }, "verification failed"},
		{"receipt for what was never sent", func() [][]byte { return [][]byte{hello(), receipt(postReceipt{"PT", "FR", protocol.Urgent, 1000})} }, "verification failed"},
		{"receipts that do not advance", func() [][]byte { return [][]byte{hello(), nothing(), nothing(), nothing(), nothing()} }, "acknowledges nothing new"},
		{"never a receipt for a batch", func() [][]byte { return [][]byte{hello(), nothing()} }, "no answer in time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			tries := 0
			b := newBad(t, func(s network.Stream) {
				mu.Lock()
				tries++
				mu.Unlock()
				for _, part := range c.answer() {
					_, _ = s.Write(part)
				}
				// It reads nothing and leaves the stream open.
			}, impatient)
			pt := b.f.nodes["PT"]
			pt.post.queue("FR", protocol.Urgent, "for the bad one")
			status := func() PeerStatus {
				for _, st := range pt.x.Peers() {
					if st.Country == "FR" {
						return st
					}
				}
				return PeerStatus{}
			}
			eventually(t, c.shows, func() bool { return strings.Contains(status().LastError, c.shows) })
			b.stillServed(t, c.name)
			if pt.post.unacknowledged("FR", protocol.Urgent) != 1 {
				t.Error("counted as delivered")
			}
			if status().NextTry.IsZero() {
				t.Error("no next try is shown")
			}
			mu.Lock()
			defer mu.Unlock()
			if tries == 0 || tries > 200 {
				t.Errorf("%d attempts", tries)
			}
		})
	}
}

// A member that takes a large batch a few bytes at a time, and one that sends one so, hold up nobody.
func TestSlowMember(t *testing.T) {
	t.Parallel()
	b := newBad(t, func(s network.Stream) {
		_, _ = s.Write(append(frame(goodHello()), frame(answer{Receipt: `{"From":"PT","To":"FR","Channel":"bulk"}`})...))
		for { // reads, slowly
			if _, err := s.Read(make([]byte, 512)); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}, func(p *pace) { p.progress = time.Minute })
	pt := b.f.nodes["PT"]
	pt.post.queue("FR", protocol.Bulk, strings.Repeat("x", 3<<20))
	s := b.open()
	if _, err := s.Write(append(append(append(frame(goodHello()), frame("bulk")...), frame("m")...), announced(protocol.MaxBatch)...)); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatalf("a slow line was cut off although bytes came: %v", err)
		}
		b.stillServed(t, "beside a slow member")
		time.Sleep(50 * time.Millisecond)
	}
	if pt.post.unacknowledged("FR", protocol.Bulk) != 1 {
		t.Error("counted as delivered")
	}
}
