package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/dispatch"
	"proofmark/node/membership"
	"proofmark/protocol"
)

// post is a mail in memory: numbered texts per peer and channel. It keeps its contents while exchanges come and go around it, as a store does.
type post struct {
	self protocol.Country
	size int // messages per batch

	mu   sync.Mutex
	out  map[way][]string
	ackd map[way]int
	in   map[way][]string

	handed   map[way]int // texts in the batches that were handed out
	breaches []string    // what was noted of members that broke the protocol

	journal io.Writer // of what is committed, a line each, where the test outlives the process

	beforeCommit func(from protocol.Country, ch protocol.Channel)
	afterCommit  func(from protocol.Country, ch protocol.Channel)
	wake         atomic.Pointer[Exchange]
}

type way struct {
	peer protocol.Country
	ch   protocol.Channel
}

type postBatch struct {
	From, To protocol.Country
	Channel  protocol.Channel
	First    int
}

type postReceipt struct {
	From, To protocol.Country
	Channel  protocol.Channel
	UpTo     int
}

func newPost(c protocol.Country) *post {
	return &post{self: c, size: 16, out: map[way][]string{}, ackd: map[way]int{}, in: map[way][]string{}, handed: map[way]int{}}
}

func (p *post) queue(to protocol.Country, ch protocol.Channel, texts ...string) {
	p.mu.Lock()
	w := way{to, ch}
	p.out[w] = append(p.out[w], texts...)
	p.mu.Unlock()
	if x := p.wake.Load(); x != nil {
		x.Wake(to, ch)
	}
}

func (p *post) received(from protocol.Country, ch protocol.Channel) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.in[way{from, ch}])
}

func (p *post) unacknowledged(to protocol.Country, ch protocol.Channel) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.out[way{to, ch}]) - p.ackd[way{to, ch}]
}

func (p *post) Flow(context.Context, protocol.Country, protocol.Channel) error { return nil }

func (p *post) Pause(protocol.Country, protocol.Channel) {}

func (p *post) NextBatch(_ context.Context, peer protocol.Country, ch protocol.Channel) (*dispatch.Batch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.batch(way{peer, ch}, p.ackd[way{peer, ch}])
}

func (p *post) BatchAfter(_ context.Context, peer protocol.Country, ch protocol.Channel, after uint64) (*dispatch.Batch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.batch(way{peer, ch}, int(after))
}

// batch holds what follows the first so many texts.
func (p *post) batch(w way, first int) (*dispatch.Batch, error) {
	all := p.out[w]
	if first >= len(all) {
		return nil, nil
	}
	last := min(first+p.size, len(all))
	m, _ := json.Marshal(postBatch{p.self, w.peer, w.ch, first + 1})
	b, _ := json.Marshal(all[first:last])
	p.handed[w] = max(p.handed[w], last)
	return &dispatch.Batch{Manifest: string(m), Payload: b, First: uint64(first + 1), Last: uint64(last)}, nil
}

func (p *post) AcceptBatch(ctx context.Context, from protocol.Country, manifest string, payload []byte) (string, error) {
	var m postBatch
	var texts []string
	if json.Unmarshal([]byte(manifest), &m) != nil || json.Unmarshal(payload, &texts) != nil || m.From != from || m.To != p.self {
		return "", fmt.Errorf("batch of %s: %w", from, dispatch.ErrForged)
	}
	if p.beforeCommit != nil {
		p.beforeCommit(from, m.Channel)
	}
	w := way{from, m.Channel}
	p.mu.Lock()
	known := len(p.in[w])
	gap := m.First > known+1
	if !gap {
		fresh := texts[min(known+1-m.First, len(texts)):]
		p.in[w] = append(p.in[w], fresh...)
		if p.journal != nil && len(fresh) > 0 {
			_, _ = io.WriteString(p.journal, strings.Join(fresh, "\n")+"\n") // one write: whole or not at all
		}
	}
	p.mu.Unlock()
	if p.afterCommit != nil {
		p.afterCommit(from, m.Channel)
	}
	receipt, err := p.CurrentReceipt(ctx, from, m.Channel)
	if gap {
		err = fmt.Errorf("batch of %s at %d, %d known: %w", from, m.First, known, dispatch.ErrGap)
	}
	return receipt, err
}

func (p *post) CurrentReceipt(_ context.Context, from protocol.Country, ch protocol.Channel) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := json.Marshal(postReceipt{from, p.self, ch, len(p.in[way{from, ch}])})
	return string(b), err
}

func (p *post) AcceptReceipt(_ context.Context, peer protocol.Country, receipt string) error {
	var r postReceipt
	if err := json.Unmarshal([]byte(receipt), &r); err != nil || r.From != p.self || r.To != peer {
		return fmt.Errorf("receipt %q of %s: %w", receipt, peer, dispatch.ErrForged)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w := way{peer, r.Channel}
	if r.UpTo > len(p.out[w]) {
		return fmt.Errorf("receipt of %s up to %d, %d sent: %w", peer, r.UpTo, len(p.out[w]), dispatch.ErrForged)
	}
	p.ackd[w] = max(p.ackd[w], r.UpTo)
	return nil
}

func (p *post) Breach(_ context.Context, from protocol.Country, ground string, fault error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breaches = append(p.breaches, fmt.Sprintf("%s %s: %v", from, ground, fault))
	return nil
}

// federation is a set of nodes on loopback under one roster.
type federation struct {
	t     testing.TB
	begun time.Time
	nodes map[protocol.Country]*node
	ro    atomic.Pointer[roster.Roster]
	hash  atomic.Value
}

type node struct {
	f      *federation
	c      protocol.Country
	keys   *crypto.Keys
	post   *post
	relay  Relaying
	mail   Mail // instead of post
	queues func() ([]dispatch.Queue, error)
	listen []string
	x      *Exchange
	stop   context.CancelFunc
	done   chan error
	now    func() time.Time
	pace   pace

	clock   atomic.Pointer[func() time.Time] // of a test that changes it while the node runs
	members *membership.Service              // of a node with a roster of its own
	witness func(ctx context.Context, from protocol.Country, ask []byte) ([]byte, error)
}

func (n *node) setNow(now func() time.Time) { n.clock.Store(&now) }

var (
	loopback = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}
	onlyTCP  = []string{"/ip4/127.0.0.1/tcp/0"}
)

// quick are the times of tests: short between tries, and for a try itself more than one takes under the race detector on a machine that crawls or stands still
// for a moment; with less, no try would ever come to its end there.
func quick() pace {
	p := defaultPace
	p.hello, p.progress, p.idle, p.linger = 30*time.Second, 30*time.Second, 45*time.Second, 2*time.Second
	p.retryMin, p.retryMax, p.dial, p.locate = 20*time.Millisecond, 300*time.Millisecond, 30*time.Second, 30*time.Second
	p.answer, p.busy, p.courtesy = 30*time.Second, 100*time.Millisecond, 20*time.Millisecond
	return p
}

// impatient is for tests that wait for the end of a node's patience with one who does not answer or go on.
func impatient(p *pace) {
	p.hello, p.progress, p.answer, p.idle = 3*time.Second, 3*time.Second, 3*time.Second, 5*time.Second
}

func newFederation(t testing.TB, countries ...protocol.Country) *federation {
	f := &federation{t: t, begun: time.Now(), nodes: map[protocol.Country]*node{}}
	f.hash.Store("sha256:test")
	for i, c := range countries {
		keys, err := crypto.GenerateKeys(rand.NewChaCha8([32]byte{1, byte(i), c[0], c[1]}))
		if err != nil {
			t.Fatal(err)
		}
		f.nodes[c] = &node{f: f, c: c, keys: keys, post: newPost(c), listen: loopback, now: time.Now, pace: quick()}
	}
	return f
}

// start opens the nodes, writes their addresses into the roster and runs them.
func (f *federation) start() *federation {
	f.t.Helper()
	addrs := map[protocol.Country][]string{}
	for c, n := range f.nodes {
		n.open()
		addrs[c] = n.x.Addresses()
	}
	f.enact(addrs)
	for _, n := range f.nodes {
		n.run()
	}
	return f
}

// enact makes a roster of these members, with these addresses, the one in force. Those named in suspended are listed as such.
func (f *federation) enact(addrs map[protocol.Country][]string, suspended ...protocol.Country) {
	f.t.Helper()
	holder, err := crypto.GenerateKeys(rand.NewChaCha8([32]byte{9}))
	if err != nil {
		f.t.Fatal(err)
	}
	d, err := roster.Create("test", []roster.Holder{{Name: "holder", Key: holder.SigningJWK()}}, 1, f.begun, f.begun.Add(24*time.Hour))
	for c, a := range addrs {
		k := f.nodes[c].keys
		entry, serr := roster.SignMember(roster.Member{
			Country: string(c), Name: "NCB " + string(c), PeerIDs: []string{peerOf(f.t, k).String()}, Addresses: a,
			SigningKeys: []json.RawMessage{k.SigningJWK()}, SealingKeys: []json.RawMessage{k.SealingJWK()}, LogKey: k.LogVerifierKey("proofmark." + string(c)),
			ValidFrom: f.begun.Add(-time.Hour), ValidUntil: f.begun.Add(24 * time.Hour),
		}, k.Signer())
		if err == nil {
			err = serr
		}
		if err == nil {
			err = d.Add(entry, f.begun)
		}
	}
	for _, c := range suspended {
		if err == nil {
			err = d.SetStatus(string(c), roster.Suspended, f.begun)
		}
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.ro.Store(d.Roster())
}

func (n *node) open() {
	n.f.t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("EXCHANGE_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", n.c)
	}
	mail := Mail(n.post)
	if n.mail != nil {
		mail = n.mail
	}
	x, err := New(Options{Country: n.c, HostKey: n.keys.HostKey(), Listen: n.listen, Roster: n.f.ro.Load,
		RosterHash: func() string { return n.f.hash.Load().(string) }, Mail: mail, Queues: n.queues, Relaying: n.relay, Now: n.time, Log: log, Witness: n.witness})
	if err != nil {
		n.f.t.Fatal(err)
	}
	x.pace = n.pace
	n.x = x
	n.f.t.Cleanup(func() { _ = x.Close() })
}

// time is the node's clock.
func (n *node) time() time.Time {
	if now := n.clock.Load(); now != nil {
		return (*now)()
	}
	return n.now()
}

func (n *node) run() {
	ctx, cancel := context.WithCancel(context.Background())
	x, done := n.x, make(chan error, 1)
	n.stop, n.done = cancel, done
	n.post.wake.Store(x)
	go func() { done <- x.Run(ctx) }()
	n.f.t.Cleanup(cancel)
}

// halt stops a node and waits for the end of its work.
func (n *node) halt() {
	n.f.t.Helper()
	n.stop()
	select {
	case err := <-n.done:
		if err != nil {
			n.f.t.Fatalf("%s: Run: %v", n.c, err)
		}
	case <-time.After(time.Minute):
		n.f.t.Fatalf("%s does not stop", n.c)
	}
}

func peerOf(t testing.TB, k *crypto.Keys) peer.ID {
	t.Helper()
	id, err := peer.IDFromPrivateKey(k.HostKey())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("not within three minutes: %s", what)
}

func texts(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s %d", prefix, i+1)
	}
	return out
}

// delivered waits until everything queued has been acknowledged, and checks that it arrived once each and in order.
func (f *federation) delivered(from, to protocol.Country, ch protocol.Channel, want []string) {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("%s to %s on %s", from, to, ch), func() bool { return f.nodes[from].post.unacknowledged(to, ch) == 0 })
	if got := f.nodes[to].post.received(from, ch); !slices.Equal(got, want) {
		f.t.Fatalf("%s has %d messages from %s on %s, want %d in order", to, len(got), from, ch, len(want))
	}
}

func (f *federation) connected(a, b protocol.Country) bool {
	for _, p := range f.nodes[a].x.Peers() {
		if p.Country == b {
			return p.Connected
		}
	}
	return false
}
