package node

import (
	"context"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
)

// TestAnOfferThatFailedIsMadeLater: what a new member was to be offered, and could not be, is offered with the next upkeep, not with the next roster or start.
func TestAnOfferThatFailedIsMadeLater(t *testing.T) {
	pt, es := newBureau(t, "PT"), newBureau(t, "ES")
	doc, _ := compose(t, pt, es)
	raw, err := doc.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	pt.start()
	pt.login(roles)
	pt.enrol("PT-1", synth.NewMaker(1).Firearm(1).Fire(1, synth.Shot{}))
	eventually(t, "the publication", func() bool { return len(pt.documents(dispatch.Own)) == 1 })
	pt.halt()

	pt.open()
	defer pt.node.Close()
	admin := desk.Actor{Name: "admin", Roles: []string{policy.Administrator}}
	if _, err := pt.node.membership.Install(t.Context(), admin, "", [][]byte{raw}, doc.Hash()); err != nil {
		t.Fatal(err)
	}
	waiting := func() (n int) {
		queues, err := pt.node.dispatch.Queues()
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queues {
			if q.Peer == "ES" {
				n += q.Waits()
			}
		}
		return n
	}
	u := &upkeep{n: pt.node}
	u.minute(t.Context())
	if n := waiting(); n != 0 {
		t.Fatalf("%d documents wait for ES before anything was offered", n)
	}
	broken, stop := context.WithCancel(t.Context())
	stop()
	u.offer(broken)
	if n := waiting(); n != 0 {
		t.Fatalf("%d documents wait for ES though the offer failed", n)
	}
	u.minute(t.Context())
	if n := waiting(); n != 1 {
		t.Errorf("%d documents wait for ES a minute after the offer failed, want 1", n)
	}
}
