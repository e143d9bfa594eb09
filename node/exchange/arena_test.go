package exchange

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"proofmark/crypto"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// arena is a federation of two good members with real stores, PT and ES; FR, which is an active member and plays foul with a libp2p host of its
// own; and DE, which is suspended.
type arena struct {
	*federation
	t      *testing.T
	pt, es *office
	fr     *forger
	bad    host.Host
	ahead  atomic.Int64 // everybody's clock before the machine's
}

// office is a good member: a node with the dispatch and the store of a real one.
type office struct {
	*node
	*dispatch.Dispatch
	store *store.Store

	mu      sync.Mutex
	handled map[protocol.Country]int // documents applied, by issuer
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newArena opens the arena; onStream is what FR does with streams that PT opens, nil: nobody knows where to dial it.
func newArena(t *testing.T, onStream network.StreamHandler, tune ...func(*pace)) *arena {
	t.Helper()
	a := &arena{federation: newFederation(t, "PT", "ES", "FR", "DE"), t: t}
	for _, n := range a.nodes {
		n.now = a.now
		n.pace.hello, n.pace.answer, n.pace.progress, n.pace.idle, n.pace.busy = 20*time.Second, 30*time.Second, 30*time.Second, time.Minute, 20*time.Second
		for _, f := range tune {
			f(&n.pace)
		}
	}
	a.fr = &forger{keys: a.nodes["FR"].keys, country: "FR", to: "PT", now: a.now}
	a.bad = rawHost(t, libp2p.Identity(a.nodes["FR"].keys.HostKey()))
	addrs := map[protocol.Country][]string{"FR": nil, "DE": nil}
	if onStream != nil {
		a.bad.SetStreamHandler(Protocol, onStream)
		for _, m := range a.bad.Addrs() {
			addrs["FR"] = append(addrs["FR"], m.String())
		}
	}
	a.pt, a.es = a.office("PT"), a.office("ES")
	for _, o := range []*office{a.pt, a.es} {
		o.open()
		addrs[o.c] = o.x.Addresses()
	}
	a.enact(addrs, "DE")
	a.pt.run()
	a.es.run()
	eventually(t, "PT serves FR", func() bool { return a.connect() == nil && a.connected("PT", "FR") })
	return a
}

func (a *arena) now() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) }

func (a *arena) connect() error {
	return a.bad.Connect(context.Background(), infoOf(a.t, a.pt.x, "tcp"))
}

func (a *arena) office(c protocol.Country) *office {
	n := a.nodes[c]
	o := &office{node: n, handled: map[protocol.Country]int{}}
	random := &random{src: rand.NewChaCha8([32]byte{2, c[0], c[1]})}
	log := slog.New(slog.DiscardHandler)
	o.store = must(store.Open(store.Options{Dir: a.t.TempDir(), Key: make([]byte, 32), Now: a.now, Random: random,
		Signer: must(n.keys.LogSigner("proofmark." + string(c))), Log: log}))
	a.t.Cleanup(func() { _ = o.store.Close() })
	engine := policy.Default()
	o.Dispatch = dispatch.New(dispatch.Options{Country: c, Store: o.store, Signer: n.keys.Signer(), Policy: func() *policy.Engine { return engine },
		Roster: a.ro.Load, Now: a.now, Random: random, Log: log,
		OnQueued: func(peer protocol.Country, ch protocol.Channel) { n.x.Wake(peer, ch) }})
	for _, typ := range protocol.Types() {
		o.Handle(typ, func(tx *store.Tx, in dispatch.Received) error {
			tx.OnCommit(func() {
				o.mu.Lock()
				defer o.mu.Unlock()
				o.handled[in.From]++
			})
			return tx.Put("handled/"+in.Document.ID, in.Document.Body)
		})
	}
	n.mail, n.queues = o.Dispatch, o.Queues
	return o
}

func (o *office) applied(from protocol.Country) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.handled[from]
}

// note issues a short document for one member.
func (o *office) note(to protocol.Country, text string) {
	o.f.t.Helper()
	err := o.store.Update(context.Background(), func(tx *store.Tx) error {
		_, err := o.Issue(tx, protocol.TypeLeadAck, ackBody(text), dispatch.Facts{To: to, Purpose: "criminal-investigation", Kind: "lead", Object: "pair", Actor: "olga"})
		return err
	})
	if err != nil {
		o.f.t.Fatal(err)
	}
}

// refusedOf lists what is kept as refused, newest last, and denials are the audit entries against a member.
func (o *office) refusedOf() (out []dispatch.Listed) {
	_ = o.store.View(func(tx *store.Tx) (err error) {
		out, err = o.List(tx, dispatch.DocumentFilter{Status: dispatch.Refused, Limit: 1000})
		return err
	})
	return out
}

func (o *office) denials(against protocol.Country) (out []store.AuditRecord) {
	for _, r := range must(o.store.QueryAudit(context.Background(), store.AuditQuery{Limit: 100_000})) {
		if r.Counterpart == string(against) && r.Decision == "deny" {
			out = append(out, r)
		}
	}
	return out
}

func (o *office) head(from protocol.Country, ch protocol.Channel) (h store.ChannelHead) {
	_ = o.store.View(func(tx *store.Tx) (err error) {
		h, err = tx.InHead(string(from), string(ch))
		return err
	})
	return h
}

func ackBody(note string) *protocol.LeadAckBody {
	return &protocol.LeadAckBody{Lead: must(protocol.NewID(time.Unix(1_790_000_000, 0), rand.NewChaCha8([32]byte{4}))), Pair: "pair", Note: note}
}

// exchange sends a document each way between the good members and waits until both are acknowledged: progress, however slow the machine.
func (a *arena) exchange(during string) {
	a.t.Helper()
	pt, es := a.pt.applied("ES"), a.es.applied("PT")
	a.pt.note("ES", during)
	a.es.note("PT", during)
	eventually(a.t, "the good members exchange documents during: "+during, func() bool {
		return a.pt.applied("ES") > pt && a.es.applied("PT") > es && must(a.pt.Waiting("ES", protocol.Urgent))+must(a.es.Waiting("PT", protocol.Urgent)) == 0
	})
}

// stream opens a stream of FR's to PT; whatever happens, it ends within a minute.
func (a *arena) stream() network.Stream {
	a.t.Helper()
	var s network.Stream
	eventually(a.t, "FR opens a stream", func() (ok bool) {
		var err error
		if s, err = a.bad.NewStream(context.Background(), a.pt.x.host.ID(), Protocol); err != nil {
			_ = a.connect()
		}
		return err == nil
	})
	_ = s.SetDeadline(time.Now().Add(time.Minute))
	return s
}

// say opens a stream, writes what is given and returns all that PT answers until it ends the stream.
func (a *arena) say(parts ...[]byte) string {
	a.t.Helper()
	s := a.stream()
	defer s.Reset()
	_, _ = s.Write(bytes.Join(parts, nil)) // PT may have hung up already
	got, err := io.ReadAll(s)
	if err != nil && timedOut(err) {
		a.t.Error("PT left the stream open for a minute")
	}
	return string(got)
}

func (a *arena) hello() protocol.Hello {
	return protocol.Hello{Version: protocol.ExchangeVersion, Country: "FR", To: "PT", Roster: "sha256:test", Now: a.now()}
}

// opening is the greeting of an honest FR, for a channel.
func (a *arena) opening(ch protocol.Channel) []byte {
	return append(frame(a.hello()), frame(string(ch))...)
}

// parcel is a batch as it travels.
type parcel struct {
	manifest string
	payload  []byte
}

// deliver sends a batch on a stream opened in good order, and returns PT's answer to the batch. What a loaded machine breaks off is sent again.
func (a *arena) deliver(ch protocol.Channel, p parcel) (said string) {
	a.t.Helper()
	eventually(a.t, "PT answers a batch", func() bool {
		answer, err := a.try(ch, p)
		said = string(answer)
		return err == nil && !strings.Contains(said, "could not take it now") && !strings.Contains(said, errBusy.Error())
	})
	return said
}

func (a *arena) try(ch protocol.Channel, p parcel) ([]byte, error) {
	s := a.stream()
	defer s.Reset()
	if _, err := s.Write(append(append(a.opening(ch), frame(p.manifest)...), frame(p.payload)...)); err != nil {
		return nil, err
	}
	for _, limit := range []int{protocol.MaxHello, maxAnswer} { // its greeting, and how far the channel is
		if _, err := protocol.ReadFrame(s, limit); err != nil {
			return nil, err
		}
	}
	return protocol.ReadFrame(s, maxAnswer)
}

// forger signs whatever it likes with FR's keys, and knows how far its channels to PT are.
type forger struct {
	keys    *crypto.Keys
	country protocol.Country
	to      protocol.Country
	now     func() time.Time
	heads   map[protocol.Channel]store.ChannelHead
}

// secret is FR's signing key itself: the first that its keys are made from.
func (f *forger) secret() ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	_ = must(rand.NewChaCha8([32]byte{1, 2, 'F', 'R'}).Read(seed)) // as newFederation makes the third country's keys
	key := ed25519.NewKeyFromSeed(seed)
	if !strings.Contains(string(f.keys.SigningJWK()), base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))) {
		panic("not FR's signing key")
	}
	return key
}

// raw signs a payload under any header, with a signature that is right.
func (f *forger) raw(header, payload string) string {
	b64 := base64.RawURLEncoding
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	return input + "." + b64.EncodeToString(ed25519.Sign(f.secret(), []byte(input)))
}

// document signs a document; change edits what is signed.
func (f *forger) document(note string, change func(doc map[string]any)) string {
	id := must(protocol.NewDocumentID(f.country, f.now(), rand.NewChaCha8([32]byte(sha256.New().Sum([]byte(note))[:32]))))
	signed, _, err := protocol.Compose(protocol.Header{ID: id, Type: protocol.TypeLeadAck, Issuer: f.country, Issued: f.now(), Purpose: "criminal-investigation"}, ackBody(note), rand.NewChaCha8([32]byte{5}))
	if err != nil {
		panic(err)
	}
	if change != nil {
		var doc map[string]any
		if err := json.Unmarshal(signed, &doc); err != nil {
			panic(err)
		}
		change(doc)
		signed = must(json.Marshal(doc))
	}
	return must(f.keys.Signer().Sign(crypto.TypeDocument, signed))
}

// messages chains documents to what PT has; change edits each before it is encoded.
func (f *forger) messages(ch protocol.Channel, change func(m *protocol.Message), documents ...string) (out [][]byte) {
	h := f.heads[ch]
	for _, d := range documents {
		m := protocol.Message{From: f.country, To: f.to, Channel: ch, Seq: h.Seq + 1, Prev: h.Head, Terms: protocol.Terms{Handling: []string{"H0"}}, Document: d}
		if change != nil {
			change(&m)
		}
		b := must(json.Marshal(m))
		h.Seq, h.Head = m.Seq, protocol.MessageHash(b)
		out = append(out, b)
	}
	return out
}

var packer = must(zstd.NewWriter(nil, zstd.WithWindowSize(protocol.MaxBatch)))

// batch signs messages as one; change edits its manifest.
func (f *forger) batch(ch protocol.Channel, change func(m *protocol.Manifest), messages ...[]byte) parcel {
	joined := protocol.JoinMessages(messages)
	m := protocol.Manifest{First: f.heads[ch].Seq + 1, Count: len(messages), Size: len(joined)}
	if len(messages) > 0 {
		m.Head = protocol.MessageHash(messages[len(messages)-1])
	}
	return f.sealed(ch, m, packer.EncodeAll(joined, nil), change)
}

func (f *forger) sealed(ch protocol.Channel, m protocol.Manifest, payload []byte, change func(m *protocol.Manifest)) parcel {
	sum := sha256.Sum256(payload)
	m.From, m.To, m.Channel, m.SHA256, m.Sent = f.country, f.to, ch, hex.EncodeToString(sum[:]), f.now()
	if change != nil {
		change(&m)
	}
	return parcel{must(f.keys.Signer().Sign(crypto.TypeBatch, must(json.Marshal(m)))), payload}
}

// single is a batch of one document.
func (f *forger) single(ch protocol.Channel, document string) parcel {
	return f.batch(ch, nil, f.messages(ch, nil, document)...)
}

// random is a source that several goroutines may read.
type random struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func (r *random) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.Read(b)
}

// attack is one thing that a bad member does.
type attack struct {
	name   string
	run    func(a *arena) (said string) // what the attacker was told
	says   string                       // must be in it
	ground string                       // of the entry that it must leave in PT's audit log; none where it is empty
	keeps  int                          // documents that PT keeps as refused because of it
	takes  int                          // documents that PT applies: the harmless part of the attack
}

// suffer runs attacks one after another, each beside a document exchanged between the good members, and checks what each leaves behind.
func (a *arena) suffer(attacks []attack) {
	for _, k := range attacks {
		onPage(a.t, k.name)
		a.t.Run(k.name, func(t *testing.T) {
			outer := a.t
			a.t, a.federation.t = t, t
			defer func() { a.t, a.federation.t = outer, outer }()
			a.fr.heads = map[protocol.Channel]store.ChannelHead{protocol.Urgent: a.pt.head("FR", protocol.Urgent), protocol.Bulk: a.pt.head("FR", protocol.Bulk)}
			denials, kept, applied := len(a.pt.denials("FR")), len(a.pt.refusedOf()), a.pt.applied("FR")
			said := make(chan string, 1)
			go func() {
				got := "the attack did not come to its end"
				defer func() { said <- got }()
				got = k.run(a)
			}()
			a.exchange(k.name)
			got := <-said
			if k.says == "" && got != "" || !strings.Contains(got, k.says) {
				t.Errorf("the attacker was told %.600q, want %q", got, k.says)
			}
			if strings.Contains(got, "/tmp") || strings.Contains(got, "store") || strings.ContainsAny(got, "\x1b") {
				t.Errorf("the attacker was told %.600q", got)
			}
			grounds := func() map[string]int {
				out, all := map[string]int{}, a.pt.denials("FR")
				for _, r := range all[:len(all)-denials] { // the newest come first
					out[r.Ground]++
				}
				return out
			}
			for end := time.Now().Add(time.Minute); k.ground != "" && grounds()[k.ground] == 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("no entry of %q in the log within a minute, only %v; the attacker was told %.600q; kept as refused: %+v", k.ground, grounds(), got, a.pt.refusedOf()[kept:])
				}
			}
			if g := grounds(); k.ground == "" && len(g) > 0 || len(g) > 1 {
				t.Errorf("entries by their grounds %v, want %q", g, k.ground)
			}
			if n := len(a.pt.refusedOf()) - kept; n != k.keeps {
				t.Errorf("%d documents are kept as refused, want %d", n, k.keeps)
			}
			if n := a.pt.applied("FR") - applied; n != k.takes {
				t.Errorf("%d documents were applied, want %d", n, k.takes)
			}
			a.ahead.Add(int64(2 * time.Minute)) // the next attack has entries of its own
			if err := a.pt.FlushRefusals(context.Background(), true); err != nil {
				t.Fatal(err)
			}
		})
	}
	a.exchange("after all of them")
}

func headAfter(seq uint64, last []byte) store.ChannelHead {
	return store.ChannelHead{Seq: seq, Head: protocol.MessageHash(last)}
}

// onPage holds docs/attacks.md to what is tested.
func onPage(t *testing.T, name string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/attacks.md")
	if err != nil || !strings.Contains(string(page), "| "+name+" |") {
		t.Errorf("docs/attacks.md does not name the attack %q (%v)", name, err)
	}
}
