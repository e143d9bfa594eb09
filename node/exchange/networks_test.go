//go:build networks

package exchange

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"proofmark/protocol"
)

// These tests need a Linux machine's network namespaces and packet filter, and root: scripts/networks runs them. Two nodes stand in namespaces of
// their own, joined by a wire on which packets can be dropped.

const networkChild = "PROOFMARK_NETWORK_CHILD"

// site is what the process of one member needs.
type site struct {
	Country   protocol.Country
	Begun     time.Time
	Addresses map[protocol.Country][]string
	Listen    []string // where they are others than the roster names
	Relaying  Relaying
}

// shown is what a member's process answers to a question.
type shown struct {
	Received  []string
	Waiting   int
	Connected bool
	Transport string
	LastError string
}

// TestNetworkChild is the body of a member's process: it obeys lines, and ends with its input.
func TestNetworkChild(t *testing.T) {
	var c site
	if s := os.Getenv(networkChild); s == "" {
		return
	} else if err := json.Unmarshal([]byte(s), &c); err != nil {
		t.Fatal(err)
	}
	f := newFederation(t, "PT", "ES", "FR")
	f.begun = c.Begun
	f.enact(c.Addresses)
	n := f.nodes[c.Country]
	n.listen, n.pace, n.relay = c.Addresses[c.Country], defaultPace, c.Relaying
	if c.Listen != nil {
		n.listen = c.Listen
	}
	n.open()
	n.run()
	other := map[protocol.Country]protocol.Country{"PT": "ES", "ES": "PT"}[c.Country]
	answers := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if text, ok := strings.CutPrefix(in.Text(), "queue "); ok {
			n.post.queue(other, protocol.Urgent, text)
		}
		if in.Text() == "serve as a relay" {
			n.relay.Serve = true
		}
		if in.Text() == "restart" || in.Text() == "serve as a relay" {
			n.halt()
			n.open()
			n.run()
		}
		st := PeerStatus{}
		for _, p := range n.x.Peers() {
			if p.Country == other {
				st = p
			}
		}
		if err := answers.Encode(shown{Received: n.post.received(other, protocol.Urgent), Waiting: n.post.unacknowledged(other, protocol.Urgent),
			Connected: st.Connected, Transport: st.Transport, LastError: st.LastError}); err != nil {
			t.Fatal(err)
		}
	}
	n.halt()
}

// place is a namespace with a member's process in it.
type place struct {
	t    *testing.T
	name string
	in   io.Writer
	out  *json.Decoder
}

func command(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// wire makes two namespaces and the wire between them.
func wire(t *testing.T, network int) (a, b *place) {
	t.Helper()
	a, b = &place{t: t, name: fmt.Sprintf("pmnet%da-%d", network, os.Getpid())}, &place{t: t, name: fmt.Sprintf("pmnet%db-%d", network, os.Getpid())}
	for _, p := range []*place{a, b} {
		command(t, "ip", "netns", "add", p.name)
		t.Cleanup(func() { command(t, "ip", "netns", "del", p.name) })
		p.filter("add table inet filter", "add chain inet filter in { type filter hook input priority 0; }")
	}
	command(t, "ip", "-n", a.name, "link", "add", "eth", "type", "veth", "peer", "name", "eth", "netns", b.name)
	for i, p := range []*place{a, b} {
		command(t, "ip", "-n", p.name, "addr", "add", fmt.Sprintf("10.77.%d.%d/24", network, i+1), "dev", "eth")
		command(t, "ip", "-n", p.name, "link", "set", "eth", "up")
		command(t, "ip", "-n", p.name, "link", "set", "lo", "up")
	}
	return a, b
}

// filter changes what the namespace's packet filter drops.
func (p *place) filter(rules ...string) {
	p.t.Helper()
	for _, r := range rules {
		command(p.t, "ip", "netns", "exec", p.name, "nft", r)
	}
}

const (
	dropUDP = "add rule inet filter in meta l4proto udp drop"
	passAll = "flush chain inet filter in"
)

// start begins the member's process in the namespace.
func (p *place) start(c site) {
	p.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", p.name, os.Args[0], "-test.run=^TestNetworkChild$")
	cmd.Env = append(os.Environ(), networkChild+"="+string(mustJSON(p.t, c)))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.in, p.out = in, json.NewDecoder(out)
	p.t.Cleanup(func() {
		_ = in.Close()
		done := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		done.Stop()
	})
}

func mustJSON(t *testing.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tell sends a line and returns how the member stands.
func (p *place) tell(line string) (s shown) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
	if err := p.out.Decode(&s); err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
	return s
}

func (p *place) until(what string, ok func(s shown) bool) time.Duration {
	p.t.Helper()
	begun := time.Now()
	eventually(p.t, what, func() bool {
		time.Sleep(20 * time.Millisecond)
		return ok(p.tell("status"))
	})
	return time.Since(begun).Round(10 * time.Millisecond)
}

func open(t *testing.T, network int, dropped bool) (pt, es *place) {
	t.Helper()
	pt, es = wire(t, network)
	if dropped {
		pt.filter(dropUDP)
		es.filter(dropUDP)
	}
	c := site{Begun: time.Now().Add(-time.Minute), Addresses: map[protocol.Country][]string{}}
	for i, country := range []protocol.Country{"PT", "ES"} {
		ip := fmt.Sprintf("10.77.%d.%d", network, i+1)
		c.Addresses[country] = []string{"/ip4/" + ip + "/udp/4931/quic-v1", "/ip4/" + ip + "/tcp/4931"}
	}
	c.Country = "PT"
	pt.start(c)
	c.Country = "ES"
	es.start(c)
	return pt, es
}

// Where UDP is blocked, members meet over TCP; when it is let through again, the next connection is QUIC.
func TestUDPBlocked(t *testing.T) {
	t.Parallel()
	pt, es := open(t, 1, true)
	pt.tell("queue over TCP")
	took := pt.until("a document is delivered although UDP is blocked", func(s shown) bool { return s.Waiting == 0 && s.Transport == "tcp" })
	t.Logf("UDP blocked: delivered over TCP %s after both nodes' start", took)
	pt.filter(passAll)
	es.filter(passAll)
	pt.tell("queue over QUIC again")
	tries := 0
	eventually(t, "a next connection is QUIC", func() bool { // a dial that began before the other side was back may end as TCP
		tries++
		es.tell("restart")
		pt.until("PT is connected again", func(s shown) bool { return s.Connected && s.Waiting == 0 })
		return pt.tell("status").Transport == "quic"
	})
	t.Logf("UDP let through: over QUIC at new connection %d", tries)
	if s := es.tell("status"); fmt.Sprint(s.Received) != "[over TCP over QUIC again]" {
		t.Errorf("ES received %q", s.Received)
	}
}

// A firewall begins to drop UDP under a connection that stands.
func TestUDPBlockedMeanwhile(t *testing.T) {
	t.Parallel()
	pt, es := open(t, 2, false)
	pt.tell("queue over QUIC")
	for pt.until("a document is delivered", func(s shown) bool { return s.Connected && s.Waiting == 0 }); pt.tell("status").Transport != "quic"; {
		es.tell("restart") // on a busy machine the first greeting over QUIC may come after TCP's
		pt.until("PT is connected again", func(s shown) bool { return s.Connected && s.Waiting == 0 })
	}
	pt.filter(dropUDP)
	es.filter(dropUDP)
	pt.tell("queue over TCP")
	took := pt.until("delivery goes on over TCP", func(s shown) bool { return s.Waiting == 0 && s.Transport == "tcp" })
	t.Logf("UDP dropped under a standing connection: delivered over TCP after %s", took)
	if s := es.tell("status"); fmt.Sprint(s.Received) != "[over QUIC over TCP]" {
		t.Errorf("ES received %q", s.Received)
	}
}

// Two members that no packet leads from one to the other deliver through a third that serves as a relay, and not before it does.
func TestUDPAndTCPBlockedButForARelay(t *testing.T) {
	t.Parallel()
	pt, fr := wire(t, 3)
	es, other := wire(t, 4)
	// FR has a foot in both networks, and forwards nothing.
	command(t, "ip", "-n", es.name, "link", "del", "eth")
	command(t, "ip", "-n", es.name, "link", "add", "eth", "type", "veth", "peer", "name", "eth2", "netns", fr.name)
	for p, cmd := range map[*place][]string{es: {"10.77.4.1/24", "eth"}, fr: {"10.77.4.2/24", "eth2"}} {
		command(t, "ip", "-n", p.name, "addr", "add", cmd[0], "dev", cmd[1])
		command(t, "ip", "-n", p.name, "link", "set", cmd[1], "up")
	}
	_ = other
	anywhere := []string{"/ip4/0.0.0.0/udp/4931/quic-v1", "/ip4/0.0.0.0/tcp/4931"}
	at := func(ips ...string) (out []string) {
		for _, ip := range ips {
			out = append(out, "/ip4/"+ip+"/udp/4931/quic-v1", "/ip4/"+ip+"/tcp/4931")
		}
		return out
	}
	c := site{Begun: time.Now().Add(-time.Minute), Listen: anywhere, Addresses: map[protocol.Country][]string{
		"PT": at("10.77.3.1"), "ES": at("10.77.4.1"), "FR": at("10.77.3.2", "10.77.4.2")}}
	c.Country, c.Relaying = "FR", Relaying{}
	fr.start(c)
	c.Relaying = Relaying{Use: true}
	c.Country = "PT"
	pt.start(c)
	c.Country = "ES"
	es.start(c)
	pt.tell("queue through FR")
	pt.until("PT cannot reach ES", func(s shown) bool { return s.LastError != "" && !s.Connected })
	if s := es.tell("status"); len(s.Received) != 0 {
		t.Fatalf("ES received %q without a relay", s.Received)
	}
	fr.tell("serve as a relay")
	took := pt.until("a document is delivered through FR", func(s shown) bool { return s.Waiting == 0 && s.Transport == "relay" })
	t.Logf("no way but through a relay: delivered %s after it began to serve", took)
	if s := es.tell("status"); fmt.Sprint(s.Received) != "[through FR]" || s.Transport != "relay" {
		t.Errorf("ES received %q over %s", s.Received, s.Transport)
	}
}
