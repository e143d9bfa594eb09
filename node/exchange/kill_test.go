package exchange

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"

	"proofmark/node/freeport"
	"proofmark/protocol"
)

// child is what the killed process needs to be Spain.
type child struct {
	Begun     time.Time
	Addresses map[protocol.Country][]string
	Journal   string
}

const childVariable = "PROOFMARK_EXCHANGE_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	// The child runs one test alone, which never returns.
	os.Args = []string{os.Args[0], "-test.run=^TestChild$"}
	os.Exit(m.Run())
}

func TestChild(t *testing.T) {
	var c child
	if s := os.Getenv(childVariable); s == "" {
		return // only the body of the process that TestKill starts
	} else if err := json.Unmarshal([]byte(s), &c); err != nil {
		t.Fatal(err)
	}
	f := newFederation(t, "PT", "ES")
	f.begun = c.Begun
	f.enact(c.Addresses)
	es := f.nodes["ES"]
	es.listen = c.Addresses["ES"]
	known, err := os.ReadFile(c.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(string(known), "\n"); len(lines) > 1 {
		es.post.in[way{"PT", protocol.Bulk}] = lines[:len(lines)-1]
	}
	file, err := os.OpenFile(c.Journal, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	es.post.journal = file
	es.open()
	es.run()
	fmt.Println("up")
	select {}
}

// TestKill kills the receiving process at odd moments and starts it again on the same ports: nothing is lost, nothing twice, and delivery
// goes on at once although the sender's connection was never closed.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"quic", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			f := newFederation(t, "PT", "ES")
			pt := f.nodes["PT"]
			pt.post.size = 4
			pt.open()
			c := child{Begun: f.begun, Journal: filepath.Join(t.TempDir(), "journal"),
				Addresses: map[protocol.Country][]string{"PT": pt.x.Addresses(), "ES": {freeAddress(t, transport)}}}
			if err := os.WriteFile(c.Journal, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			f.enact(c.Addresses)
			pt.run()
			want := texts("m", 6000)
			pt.post.queue("ES", protocol.Bulk, want[:4000]...)
			midway := 0
			for round := range 5 {
				if round > 0 { // however fast the machine is, there is something to deliver
					pt.post.queue("ES", protocol.Bulk, want[3500+500*round:4000+500*round]...)
				}
				before := pt.post.unacknowledged("ES", protocol.Bulk) // nobody takes anything now
				stop := startChild(t, c)
				begun := time.Now()
				eventually(t, "delivery goes on", func() bool { return pt.post.unacknowledged("ES", protocol.Bulk) < before })
				t.Logf("%s, round %d: first receipt %s after the start, %d left", transport, round, time.Since(begun).Round(time.Millisecond), before)
				time.Sleep(time.Duration(round*7) * time.Millisecond)
				stop()
				if pt.post.unacknowledged("ES", protocol.Bulk) > 0 {
					midway++
				}
			}
			if midway == 0 {
				t.Error("no kill came in the middle of a delivery: the test proved nothing")
			}
			stop := startChild(t, c)
			eventually(t, "all is acknowledged", func() bool { return pt.post.unacknowledged("ES", protocol.Bulk) == 0 })
			stop()
			got, err := os.ReadFile(c.Journal)
			if err != nil {
				t.Fatal(err)
			}
			if lines := strings.Split(strings.TrimSuffix(string(got), "\n"), "\n"); !slices.Equal(lines, want) {
				t.Fatalf("%d messages in the journal, want %d in order", len(lines), len(want))
			}
		})
	}
}

func startChild(t *testing.T, c child) (kill func()) {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(b))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		said <- line
	}()
	select {
	case line := <-said:
		if line != "up\n" {
			t.Fatalf("the child said %q", line)
		}
	case <-time.After(time.Minute):
		t.Fatal("the child does not come up")
	}
	return kill
}

func freeAddress(t *testing.T, transport string) string {
	t.Helper()
	port, err := freeport.Find()
	if err != nil {
		t.Fatal(err)
	}
	if transport == "tcp" {
		return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)
	}
	return fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port)
}

// A member comes back from another place while its old connection still looks alive: the old one is closed, and what it left unanswered is
// delivered on the new one.
func TestComesBackFromElsewhere(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	pt, es := f.nodes["PT"], f.nodes["ES"]
	pt.pace = defaultPace
	pt.pace.answer, pt.pace.progress = time.Hour, time.Hour // its patience is long: only the new connection can tell it
	pt.pace.crossing = 20 * time.Millisecond
	dead := newDead(t, f, "ES")
	pt.open()
	f.enact(map[protocol.Country][]string{"PT": pt.x.Addresses(), "ES": dead.addrs})
	pt.run()
	pt.post.queue("ES", protocol.Urgent, "a")
	<-dead.asked
	time.Sleep(50 * time.Millisecond)
	es.open()
	es.run()
	f.delivered("PT", "ES", protocol.Urgent, []string{"a"})
	eventually(t, "one connection is left", func() bool {
		return !slices.ContainsFunc(pt.x.host.Network().ConnsToPeer(es.x.host.ID()), func(c network.Conn) bool { return c.RemoteMultiaddr().String() == dead.addrs[0] })
	})
}

// dead is a host with a member's identity that takes streams and says nothing.
type dead struct {
	addrs []string
	asked chan struct{}
}

func newDead(t *testing.T, f *federation, c protocol.Country) *dead {
	d := &dead{asked: make(chan struct{}, 100)}
	h := rawHost(t, libp2p.Identity(f.nodes[c].keys.HostKey()))
	h.SetStreamHandler(Protocol, func(network.Stream) { d.asked <- struct{}{} })
	d.addrs = []string{h.Addrs()[0].String()}
	return d
}
