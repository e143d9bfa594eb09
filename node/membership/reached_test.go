package membership

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

func TestWhereHostsWereReached(t *testing.T) {
	n := newNode(t)
	if got, err := n.Reached("p"); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	for _, i := range []int{1, 2, 3, 2, 4, 5, 5} {
		if err := n.KeepReached(t.Context(), "p", fmt.Sprint("/ip4/192.0.2.1/tcp/", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.KeepReached(t.Context(), "q", "/ip4/192.0.2.2/tcp/1"); err != nil {
		t.Fatal(err)
	}
	if err := n.KeepReached(t.Context(), "p", strings.Repeat("x", maxReachedSize+1)); err == nil {
		t.Error("an address of any length is kept")
	}
	want := []string{"/ip4/192.0.2.1/tcp/5", "/ip4/192.0.2.1/tcp/4", "/ip4/192.0.2.1/tcp/2", "/ip4/192.0.2.1/tcp/3"}
	if got, err := n.Reached("p"); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	var dials errgroup.Group // two connections at once, each to another address
	for i := range maxReached {
		dials.Go(func() error { return n.KeepReached(t.Context(), "r", fmt.Sprint("/ip4/192.0.2.3/tcp/", i)) })
	}
	if err := dials.Wait(); err != nil {
		t.Fatal(err)
	}
	if got, err := n.Reached("r"); err != nil || len(got) != maxReached {
		t.Errorf("of %d addresses at which a host was reached at once these are kept: %v, %v", maxReached, got, err)
	}
}
