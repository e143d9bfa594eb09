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
	f := newFederation(t, "PT", "ES")
	f.begun = c.Begun
	f.enact(c.Addresses)
	n := f.nodes[c.Country]
	n.listen, n.pace = c.Addresses[c.Country], defaultPace
	n.open()
	n.run()
	other := map[protocol.Country]protocol.Country{"PT": "ES", "ES": "PT"}[c.Country]
	answers := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if text, ok := strings.CutPrefix(in.Text(), "queue "); ok {
			n.post.queue(other, protocol.Urgent, text)
		}
		if in.Text() == "restart" {
			n.halt()
			n.open()
			n.run()
		}
		st := PeerStatus{}
		for _, p := range n.x.Peers() {
			st = p
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
	es.tell("restart")
	pt.tell("queue over QUIC again")
	took = pt.until("the next connection is QUIC", func(s shown) bool { return s.Waiting == 0 && s.Transport == "quic" })
	t.Logf("UDP let through: delivered over QUIC %s after the member's restart", took)
	if s := es.tell("status"); fmt.Sprint(s.Received) != "[over TCP over QUIC again]" {
		t.Errorf("ES received %q", s.Received)
	}
}

// A firewall begins to drop UDP under a connection that stands.
func TestUDPBlockedMeanwhile(t *testing.T) {
	t.Parallel()
	pt, es := open(t, 2, false)
	pt.tell("queue over QUIC")
	took := pt.until("a document is delivered over QUIC", func(s shown) bool { return s.Waiting == 0 && s.Transport == "quic" })
	t.Logf("nothing blocked: delivered over QUIC %s after both nodes' start", took)
	pt.filter(dropUDP)
	es.filter(dropUDP)
	pt.tell("queue over TCP")
	took = pt.until("delivery goes on over TCP", func(s shown) bool { return s.Waiting == 0 && s.Transport == "tcp" })
	t.Logf("UDP dropped under a standing connection: delivered over TCP after %s", took)
	if s := es.tell("status"); fmt.Sprint(s.Received) != "[over QUIC over TCP]" {
		t.Errorf("ES received %q", s.Received)
	}
}
