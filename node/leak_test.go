package node

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto"
	"proofmark/node/bundle"
	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/node/sharing"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var (
	leakSeed   = flag.Uint64("leak.seed", 1, "seed of TestNothingLeaks")
	leakPhases = flag.Int("leak.phases", 2, "policies that TestNothingLeaks puts in force at each node, one after the other")
)

// TestNothingLeaks lets nodes with random policies work on random objects, in every field of which stands a value that stands nowhere else, and looks at
// every byte that leaves them: streams of all protocols, in clear; outboxes; bundles, opened with the recipient's key; logs. What is found must be the
// recipient's own, or be permitted for it by the policy that is in force at its owner, in a field that this policy does not withhold. A policy is changed
// while the nodes run, once with a member away for which things are waiting.
func TestNothingLeaks(t *testing.T) {
	w := newLeakWorld(t, "PT", "ES", "FR")
	for phase := range *leakPhases {
		for _, n := range w.nodes() {
			w.work(n)
		}
		w.settle()
		for _, n := range w.nodes() {
			w.review(n)
		}
		w.settle()
		for _, n := range w.nodes() {
			w.respond(n)
		}
		w.settle()
		w.inspect(fmt.Sprintf("phase %d", phase))

		// Somebody is away, the others go on working, and then their policies change: what waits must follow the new ones.
		away := w.at[w.codes[w.r.IntN(len(w.codes))]]
		w.leave(away)
		for _, n := range w.nodes() {
			w.work(n)
		}
		w.settle()
		w.inspect(fmt.Sprintf("phase %d, without %s", phase, away.country))
		for _, n := range w.nodes() {
			w.change(n)
			if phase%2 == 0 {
				w.open(fmt.Sprintf("phase %d, for %s who is away", phase, away.country), n, away)
			}
		}
		w.enter(away)
		w.change(away)
		w.settle()
		w.inspect(fmt.Sprintf("phase %d, %s is back", phase, away.country))
	}
	if w.found < 20 || w.kept < 20 {
		t.Errorf("%d values went where they may and %d stayed: the world is too quiet to show anything", w.found, w.kept)
	}
	t.Logf("seed %d: %d secrets; %d were seen where they may be, %d of what policy withheld stayed", *leakSeed, len(w.secrets), w.found, w.kept)
}

// leakWorld is a federation that is watched.
type leakWorld struct {
	t       *testing.T
	r       *rand.Rand
	codes   []string
	at      map[string]*leakNode
	secrets []*secret
	guns    int

	seen        map[string]bool // secret and country
	found, kept int
}

// leakNode is a bureau, what leaves it, and the policy that it obeys.
type leakNode struct {
	*bureau
	tap    *tap
	lines  *lines
	engine *policy.Engine
	id     peer.ID
	keys   *crypto.Keys

	names    map[string]string // of people who stand in documents, by what they do
	exhibits []*leakExhibit
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func newLeakWorld(t *testing.T, codes ...string) *leakWorld {
	t.Helper()
	w := &leakWorld{t: t, r: rand.New(rand.NewPCG(*leakSeed, 4)), codes: codes, at: map[string]*leakNode{}, seen: map[string]bool{}}
	var all []*bureau
	for _, code := range codes {
		n := &leakNode{bureau: newBureau(t, code, func(c *Config) { c.Network.Listen = c.Network.Listen[1:] }), tap: &tap{sent: map[peer.ID][]*flow{}}, lines: new(lines)}
		n.muxer, n.scans = n.tap, quickScans
		n.log = slog.New(slog.NewJSONHandler(n.lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
		var files map[string]string
		files, n.engine = randomPolicy(t, w.r, code, others(codes, code))
		folder := filepath.Join(n.dir, policyDir)
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		n.start()
		w.hire(n)
		n.keys = n.node.keys
		var err error
		if n.id, err = peer.IDFromPublicKey(n.node.hostKey.GetPublic()); err != nil {
			t.Fatal(err)
		}
		w.at[code] = n
		all = append(all, n.bureau)
	}
	federate(t, all...)
	w.connected()
	return w
}

func others(codes []string, but string) []string {
	return slices.DeleteFunc(slices.Clone(codes), func(c string) bool { return c == but })
}

// nodes are those that run, in order.
func (w *leakWorld) nodes() (out []*leakNode) {
	for _, code := range w.codes {
		if n := w.at[code]; n.stop != nil {
			out = append(out, n)
		}
	}
	return out
}

func (w *leakWorld) connected() {
	w.t.Helper()
	running := w.nodes()
	eventually(w.t, "everybody is connected", func() bool {
		for _, a := range running {
			for _, b := range running {
				if a != b && !a.node.exchange.Connected(protocol.Country(b.country)) {
					return false
				}
			}
		}
		return true
	})
}

// settle waits until nothing is under way between the nodes that run.
func (w *leakWorld) settle() {
	w.t.Helper()
	running := w.nodes()
	for _, n := range running {
		if err := n.node.dispatch.OfferAll(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	quiet := 0
	eventually(w.t, "everything is delivered", func() bool {
		for _, n := range running {
			queues, err := n.node.dispatch.Queues()
			if err != nil {
				w.t.Fatal(err)
			}
			for _, q := range queues {
				if q.Waits() > 0 && w.at[string(q.Peer)].stop != nil {
					quiet = 0
					return false
				}
			}
			if w.scansUnderWay(n) {
				quiet = 0
				return false
			}
		}
		quiet++
		return quiet > 15 // a third of a second: what one delivery sets off has begun
	})
}

// leave stops a node, and waits until the others know.
func (w *leakWorld) leave(n *leakNode) {
	w.t.Helper()
	n.halt()
	eventually(w.t, n.country+" is gone", func() bool {
		return !slices.ContainsFunc(w.nodes(), func(o *leakNode) bool { return o.node.exchange.Connected(protocol.Country(n.country)) })
	})
}

func (w *leakWorld) enter(n *leakNode) {
	w.t.Helper()
	n.start()
	for does := range roles {
		name := n.named(does)
		n.people[does] = n.session(control.LoginRequest{Name: name, Secret: testSecret + " " + name})
	}
	w.connected()
}

// change puts another policy in force while the node runs.
func (w *leakWorld) change(n *leakNode) {
	w.t.Helper()
	files, engine := randomPolicy(w.t, w.r, n.country, others(w.codes, n.country))
	if p := call[*sharing.Proposal](w.t, n.people["op"], "policy.apply", control.PolicyFiles{Files: files}); p.State != sharing.InForce {
		w.t.Fatalf("%s: the new policy is %s", n.country, p.State)
	}
	n.engine = engine
}

// inspect looks at everything that left any node since the last time.
func (w *leakWorld) inspect(when string) {
	w.t.Helper()
	for _, from := range w.nodes() {
		for _, code := range others(w.codes, from.country) {
			to := w.at[code]
			for _, b := range from.tap.take(to.id) {
				w.look(when, "a stream", from.country, code, b)
			}
			for _, ch := range []protocol.Channel{protocol.Urgent, protocol.Bulk} {
				for _, b := range from.outbox(code, ch) {
					w.look(when, "the outbox", from.country, code, b)
				}
			}
			if to.stop == nil {
				continue // a bundle fixes what waits: that must not happen before the policies change
			}
			w.open(when, from, to)
		}
		from.lines.mu.Lock()
		w.look(when, "the log", from.country, "", from.lines.b.Bytes())
		from.lines.b.Reset()
		from.lines.mu.Unlock()
	}
	// What stayed although its field could have gone: the other half of the property.
	w.kept = 0
	for _, s := range w.secrets {
		for _, to := range others(w.codes, s.owner) {
			if len(s.grants) > 0 && !w.seen[s.what+to] {
				w.kept++
			}
		}
	}
}

// open looks into a bundle for a country, with its key.
func (w *leakWorld) open(when string, from, to *leakNode) {
	w.t.Helper()
	sealed := call[*bundle.Exported](w.t, from.people["op"], "bundle.export", control.BundleRequest{To: to.country})
	w.look(when, "a sealed bundle", from.country, "", []byte(sealed.File))
	plain, err := to.keys.Unseal(sealed.File, crypto.TypeBundle, bundle.MaxFile)
	if err != nil {
		w.t.Fatal(err)
	}
	w.look(when, "a bundle", from.country, to.country, plain)
}

func (n *leakNode) outbox(to string, ch protocol.Channel) (out [][]byte) {
	n.t.Helper()
	err := n.node.store.View(func(tx *store.Tx) error {
		msgs, err := n.node.dispatch.Fixed(tx, protocol.Country(to), ch, 0)
		for _, m := range msgs {
			out = append(out, m.Bytes)
		}
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// look finds secrets in what goes from a country to another one; to is empty where nobody may find any.
func (w *leakWorld) look(when, where, from, to string, b []byte) {
	w.t.Helper()
	there := map[*secret][]byte{} // the innermost piece in which it stands
	unwrap(b, 6, func(b []byte) {
		for _, s := range w.secrets {
			if bytes.Contains(b, s.value) {
				there[s] = b
			}
		}
	})
	for s, piece := range there {
		switch {
		case s.owner == to: // its own
		case to == "" || s.owner != from || !slices.ContainsFunc(s.grants, func(g grant) bool { return g.permits(w.at[from].engine, from, to) }):
			w.t.Errorf("seed %d, %s: %s of %s to %q holds %s (%q), in %.600q", *leakSeed, when, where, from, to, s.what, s.value, piece)
		case !w.seen[s.what+to]:
			w.seen[s.what+to] = true
			w.found++
		}
	}
}

// hide makes a value that stands nowhere else.
func (w *leakWorld) hide(owner, what string, grants ...grant) string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	b := []byte("CNRY")
	for range 12 {
		b = append(b, letters[w.r.IntN(len(letters))])
	}
	w.note(owner, what, b, grants...)
	return string(b)
}

// note remembers a value that is one of its kind by itself.
func (w *leakWorld) note(owner, what string, value []byte, grants ...grant) {
	s := &secret{what: fmt.Sprintf("%s's %s (%d)", owner, what, len(w.secrets)), owner: owner, value: value, grants: grants}
	w.secrets = append(w.secrets, s)
}

// try is a command that policy may refuse; whatever else goes wrong is a failure.
func try[Resp, Req any](w *leakWorld, c *control.Client, name string, req Req) (resp Resp, done bool) {
	w.t.Helper()
	resp, err := control.Call[Resp](w.t.Context(), c, name, "", req)
	if err != nil && !errors.Is(err, desk.ErrForbidden) && !errors.Is(err, desk.ErrConflict) {
		w.t.Fatalf("%s: %v", name, err)
	}
	return resp, err == nil
}

// attributes of an exhibit, as policies see them.
func (e *leakExhibit) resource() policy.Resource {
	return policy.Resource{Type: policy.Signature, ID: "x", Attributes: maps.Clone(e.attributes)}
}

// someDay is a span that no other object has.
func (w *leakWorld) someDay() protocol.Interval {
	from := time.Now().UTC().Truncate(time.Second).Add(-time.Duration(1+w.r.IntN(300*24*3600)) * time.Second)
	return protocol.Interval{From: from, To: from.Add(time.Duration(1+w.r.IntN(3600)) * time.Second)}
}
