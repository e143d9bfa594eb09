package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/correlate/synth"
	"proofmark/node/dispatch"
	"proofmark/node/tracing"
	"proofmark/policy"
	"proofmark/store"
)

// crossings says for each protocol between members where the decision function stands in its way, or why nothing of the country's objects is on it.
var crossings = map[string]string{
	"/proofmark/exchange/": "share, when a document is issued and again when its message is formed (dispatch.mayShare); accept, before a document reaches its workflow (dispatch.accept); withdrawals and their confirmations are owed, and name a document and no case; receipts are hashes",
	"/proofmark/scan/":     "answer and share, when a request is judged and again when bytes are asked for (release.look); what was released is fetched by whoever asked for it",
	"/proofmark/custody/":  "copies of backups, sealed for the owner: an administrator's act at the owner (node:manage), a grant in the configuration at the holder, who reads nothing",
	"/proofmark/roster/":   "rosters and announced addresses, which are every member's",
	"/proofmark/standing/": "hashes and numbers of what both have signed for each other",
	"/proofmark/witness/":  "checkpoints, cosignatures and evidence: hashes of the whole log",
	"/proofmark/reconcile": "the asker's own channel with this country: headers and hashes of entries about what it has sent or received",
	"/proofmark/kad/":      "members' addresses and the latest roster",
	"/ipfs/id/":            "libp2p: addresses and protocols", "/ipfs/ping/": "libp2p: sign of life", "/libp2p/": "libp2p: ways around gateways, which carry the streams of the others",
}

// TestNothingCrossesWherePolicyForbidsIt: under policies that forbid everything, that cannot be evaluated, or that permit countries nothing, no byte of an
// object leaves on the wire or in a bundle, and none reaches a workflow; the members stay connected, and the log says why.
func TestNothingCrossesWherePolicyForbidsIt(t *testing.T) {
	tcp := func(c *Config) { c.Network.Listen = c.Network.Listen[1:] } // QUIC has streams of its own, which the tap does not see
	pt, es := newBureau(t, "PT", tcp), newBureau(t, "ES", tcp)
	eyes := &tap{sent: map[peer.ID][]*flow{}}
	pt.muxer = eyes
	for _, b := range []*bureau{pt, es} {
		b.start()
		b.login(roles)
	}
	federate(t, pt, es)
	for _, p := range pt.node.exchange.Protocols() {
		known := false
		for prefix := range crossings {
			known = known || strings.HasPrefix(string(p), prefix)
		}
		if !known {
			t.Errorf("%s: what the decision function is asked before something crosses on it, or why not, does not stand in this test", p)
		}
	}
	esID, err := peer.Decode(es.node.exchange.PeerID())
	if err != nil {
		t.Fatal(err)
	}
	pass := pt.node.policy.Load()
	denied := func(b *bureau, at int64, version, ground string) int {
		return len(b.entries(func(r store.AuditRecord) bool {
			return r.Index >= at && r.Decision == "deny" && r.PolicyVer == version && r.Counterpart != "" && (ground == "" || r.Ground == ground)
		}))
	}
	size := func(b *bureau) int64 {
		n, err := b.node.store.AuditSize()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := 0
	work := func() (canary string) { // an exhibit for every member, and a trace for ES
		n++
		canary = fmt.Sprintf("CANARY%dQZX", n)
		pt.enrol(fmt.Sprintf("PT-E%d", n), synth.NewMaker(1).Firearm(uint64(n)).Fire(uint64(n), synth.Shot{}))
		trace := newTrace("ES")
		trace.Firearm.Serial, trace.Circumstances = canary, "circumstances of "+canary
		call[*tracing.Trace](t, pt.people["op"], "trace.new", trace)
		return canary
	}
	holds := func(b *bureau, canary string) (found bool) {
		if err := b.node.store.View(func(tx *store.Tx) error {
			for _, r := range dispatch.Documents.All(tx) {
				raw, err := json.Marshal(r)
				if err != nil {
					return err
				}
				unwrap(raw, 4, func(b []byte) { found = found || bytes.Contains(b, []byte(canary)) })
			}
			return tx.Err()
		}); err != nil {
			t.Fatal(err)
		}
		return found
	}
	leaves := func(canary string, more ...[]byte) (found bool) {
		for _, sent := range append(eyes.take(esID), more...) {
			unwrap(sent, 6, func(b []byte) { found = found || bytes.Contains(b, []byte(canary)) })
		}
		return found
	}
	first := work() // the eyes are open: what is permitted is seen
	eventually(t, "what is permitted arrives", func() bool { return len(es.documents(dispatch.Accepted)) == 2 })
	if !leaves(first) || !holds(es, first) {
		t.Fatal("the test does not see what it looks for")
	}
	es.halt()
	for name, text := range map[string]string{
		"everything is forbidden": `@id("nothing") forbid (principal, action, resource);`,
		"no rule can be evaluated": `@id("broken") forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };
@id("all") permit (principal, action, resource);`,
		"countries are permitted nothing": `@id("people") permit (principal is User, action, resource);`,
	} {
		engine, err := policy.LoadTexts(map[string]string{"x.cedar": text})
		if err != nil {
			t.Fatal(err)
		}
		canary := work() // it is queued while ES is away
		before := size(pt)
		pt.node.policy.Store(engine)
		es.start()
		eventually(t, name+": the members are connected", func() bool { return pt.node.exchange.Connected("ES") })
		eventually(t, name+": what waited is refused", func() bool { return denied(pt, before, engine.Version(), "") >= 2 })
		b, _, err := pt.node.dispatch.Bundle(t.Context(), "ES")
		if err != nil {
			t.Fatal(err)
		}
		bundle, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if leaves(canary, bundle) {
			t.Errorf("%s: %s left PT", name, canary)
		}
		if got := es.documents(dispatch.Accepted); len(got) != 2 || holds(es, canary) {
			t.Errorf("%s: ES has %v", name, got)
		}
		if strings.Contains(text, "broken") && len(pt.entries(func(r store.AuditRecord) bool {
			return r.Index >= before && r.Decision == "deny" && r.Counterpart == "ES" && slices.Contains(r.Policies, "broken (x.cedar:1)")
		})) == 0 {
			t.Errorf("%s: the log does not name the rule that could not be evaluated", name)
		}
		es.halt()
		pt.node.policy.Store(pass)
	}

	// The other way round: PT sends, and ES takes nothing in.
	es.start()
	forbid, err := policy.LoadTexts(map[string]string{"x.cedar": `@id("nothing") forbid (principal, action, resource);`})
	if err != nil {
		t.Fatal(err)
	}
	es.node.policy.Store(forbid)
	before := size(es)
	canary := work()
	eventually(t, "ES refuses what PT sends", func() bool { return denied(es, before, forbid.Version(), "policy") >= 2 })
	if !pt.node.exchange.Connected("ES") {
		t.Error("the connection went with the refusal")
	}
	if got := es.documents(dispatch.Accepted); len(got) != 2 {
		t.Errorf("ES took in %v", got)
	}
	// What was refused is kept with the reason, signed as it came, and reaches no workflow.
	if err := es.node.store.View(func(tx *store.Tx) error {
		for id, tr := range store.NewCollection[tracing.Trace]("trace").All(tx) {
			if tr.Request.Firearm.Serial == canary {
				t.Errorf("ES has the trace %s", id)
			}
		}
		return tx.Err()
	}); err != nil {
		t.Fatal(err)
	}
	for id := range es.documents(dispatch.Refused) {
		if es.holds(id) {
			t.Errorf("ES searches against the signature %s", id)
		}
	}
	if len(es.documents(dispatch.Refused)) != 2 {
		t.Errorf("refused at ES: %v", es.documents(dispatch.Refused))
	}
}
