package terrain

import (
	"os"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	for _, g := range []*Ground{{Namespaces: true, Nodes: 5}, {Nodes: 5}} {
		seen := map[string]bool{}
		for i := range g.Nodes {
			for _, a := range []string{g.Node(i).String(), g.Proxy(i).String()} {
				if seen[a] {
					t.Errorf("%s is there twice", a)
				}
				seen[a] = true
			}
			if g.Who(g.Node(i).Addr()) != i || g.Who(g.Proxy(i).Addr()) != -1 {
				t.Errorf("node %d is not known by its address", i)
			}
		}
		if !g.Namespaces && !g.Node(0).Addr().IsLoopback() {
			t.Error("without namespaces a node listens beyond this machine")
		}
	}
	if got := Multiaddrs((&Ground{}).Proxy(2)); got[0] != "/ip4/127.0.2.13/udp/4931/quic-v1" || got[1] != "/ip4/127.0.2.13/tcp/4931" {
		t.Errorf("%v", got)
	}
}

func TestRules(t *testing.T) {
	g := &Ground{Namespaces: true, Nodes: 3}
	got := g.rules([]Cut{{0, 1, 1}, {2, 0, 0.25}})
	for _, want := range []string{"ip saddr 10.66.0.11 ip daddr 10.66.1.12 counter drop", "ip saddr 10.66.0.13 ip daddr 10.66.1.11 numgen random mod 1000 < 250 counter drop"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing from\n%s", want, got)
		}
	}
	if strings.Contains(g.rules(nil), "drop") {
		t.Error("packets are dropped without a cut")
	}
}

// The filler stops where it is told; it is not tried where that would fill the machine's own disk.
func TestFillAndEmpty(t *testing.T) {
	dir := t.TempDir()
	if err := Fill(dir, 1<<62); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(Filler(dir))
	if err != nil || st.Size() != 0 {
		t.Fatalf("%v %v", st, err)
	}
	for range 2 {
		if err := Empty(dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(Filler(dir)); !os.IsNotExist(err) {
		t.Error("the filler stays")
	}
}
