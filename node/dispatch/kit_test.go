package dispatch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is the one time of a federation; it stands still unless moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// random is a source that several goroutines may read and that is the same in every run.
type random struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func (r *random) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.Read(b)
}

// federation is some bureaus under one roster, joined by function calls.
type federation struct {
	t       testing.TB
	clock   *clock
	roster  *roster.Roster
	bureaus map[protocol.Country]*bureau
}

// bureau is one country's Dispatch over a store on disk.
type bureau struct {
	f       *federation
	country protocol.Country
	dir     string
	keys    *crypto.Keys
	random  *random
	engine  *policy.Engine
	store   *store.Store
	queued  []string // what OnQueued was told
	*Dispatch

	got  []Received // by the handlers, in order
	fail func(tx *store.Tx, in Received) error
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newFederation(t testing.TB, countries ...protocol.Country) *federation {
	t.Helper()
	f := &federation{t: t, clock: &clock{at: begin}, bureaus: map[protocol.Country]*bureau{}}
	for _, c := range countries {
		src := &random{src: rand.NewChaCha8([32]byte{1, c[0], c[1]})}
		f.bureaus[c] = &bureau{f: f, country: c, dir: t.TempDir(), random: src, keys: must(crypto.GenerateKeys(src)), engine: policy.Default()}
	}
	f.enact(countries)
	for _, c := range countries {
		f.bureaus[c].open()
	}
	return f
}

// enact puts a roster of these members into force; those in suspended are listed as such.
func (f *federation) enact(members []protocol.Country, suspended ...protocol.Country) {
	f.t.Helper()
	holder := must(crypto.GenerateKeys(rand.NewChaCha8([32]byte{9})))
	d := must(roster.Create("test", []roster.Holder{{Name: "holder", Key: holder.SigningJWK()}}, 1, begin, begin.AddDate(1, 0, 0)))
	for _, c := range members {
		k := f.bureaus[c].keys
		id := must(peer.IDFromPrivateKey(k.HostKey()))
		entry := must(roster.SignMember(roster.Member{Country: string(c), Name: "NCB " + string(c), PeerIDs: []string{id.String()},
			SigningKeys: []json.RawMessage{k.SigningJWK()}, SealingKeys: []json.RawMessage{k.SealingJWK()}, LogKey: k.LogVerifierKey("proofmark." + string(c)),
			ValidFrom: begin.Add(-time.Hour), ValidUntil: begin.AddDate(1, 0, 0)}, k.Signer()))
		if err := d.Add(entry, begin); err != nil {
			f.t.Fatal(err)
		}
	}
	for _, c := range suspended {
		if err := d.SetStatus(string(c), roster.Suspended, begin); err != nil {
			f.t.Fatal(err)
		}
	}
	f.roster = d.Roster()
}

func (b *bureau) open() {
	b.f.t.Helper()
	log := slog.New(slog.DiscardHandler)
	b.store = must(store.Open(store.Options{Dir: b.dir, Key: make([]byte, 32), Now: b.f.clock.now, Random: b.random,
		Signer: must(b.keys.LogSigner("proofmark." + string(b.country))), Log: log}))
	b.Dispatch = New(Options{Country: b.country, Store: b.store, Signer: b.keys.Signer(), Policy: func() *policy.Engine { return b.engine },
		Roster: func() *roster.Roster { return b.f.roster }, Now: b.f.clock.now, Random: b.random, Log: log,
		OnQueued: func(p protocol.Country, ch protocol.Channel) { b.queued = append(b.queued, string(p)+"/"+string(ch)) }})
	for _, typ := range protocol.Types() {
		b.Handle(typ, func(tx *store.Tx, in Received) error {
			if b.fail != nil {
				if err := b.fail(tx, in); err != nil {
					return err
				}
			}
			b.got = append(b.got, in)
			return tx.Put("handled/"+in.Document.ID, in.Document.Body)
		})
	}
	s := b.store
	b.f.t.Cleanup(func() { _ = s.Close() })
}

// reopen closes the store and opens everything anew from disk.
func (b *bureau) reopen() {
	b.f.t.Helper()
	if err := b.store.Close(); err != nil {
		b.f.t.Fatal(err)
	}
	b.open()
}

// rules puts policies into force at a bureau, beside the default ones.
func (b *bureau) rules(text string) {
	b.f.t.Helper()
	files := fstest.MapFS{"90-test.cedar": {Data: []byte(text)}, "40-inbound.cedar": {Data: []byte(`permit (principal is Country, action == Action::"accept", resource);`)}}
	b.engine = must(policy.Load(files))
}

func (b *bureau) update(act func(tx *store.Tx) error) {
	b.f.t.Helper()
	if err := b.store.Update(context.Background(), act); err != nil {
		b.f.t.Fatal(err)
	}
}

func (b *bureau) view(act func(tx *store.Tx) error) {
	b.f.t.Helper()
	if err := b.store.View(act); err != nil {
		b.f.t.Fatal(err)
	}
}

// signature is a publication with a canary in every field that may be withheld.
func signature(place string) *protocol.SignatureBody {
	return &protocol.SignatureBody{Exhibit: must(protocol.NewID(begin, rand.NewChaCha8([32]byte{3}))), ROI: "breech-face", Kind: protocol.CartridgeCase, Origin: protocol.Evidence,
		Calibre: "9x19", FiringPin: "circular", Pattern: "parallel", Algorithm: "pm-1", Signature: []byte("surface"), Quality: 0.9,
		Agency: "Canary-agency", CaseReference: "Canary-case", ExhibitNumber: "Canary-number", Narrative: "Canary-narrative", Offence: "Canary-offence", Place: place}
}

// attributes are what the schema of policies wants to know of a publication.
func attributes() map[string]any {
	return map[string]any{"calibre": "9x19", "offence": "homicide", "origin": protocol.Evidence, "terrorism": false, "customs": false, "trafficking": false, "group_size": int64(1),
		"handling": []string{}, "age_days": int64(3)}
}

func (b *bureau) publish(body *protocol.SignatureBody, attrs map[string]any) string {
	b.f.t.Helper()
	var id string
	b.update(func(tx *store.Tx) (err error) {
		id, err = b.Issue(tx, protocol.TypeSignature, body, Facts{Attributes: attrs, Purpose: "criminal-investigation", Kind: "exhibit", Object: "E-1", Case: "C-1", Actor: "tina"})
		return err
	})
	return id
}

// publishMany publishes in few transactions, a millisecond apart, and returns the ids in order.
func (b *bureau) publishMany(n int) (ids []string) {
	b.f.t.Helper()
	for len(ids) < n {
		b.update(func(tx *store.Tx) error {
			for range min(100, n-len(ids)) {
				b.f.clock.add(time.Millisecond)
				id, err := protocol.NewDocumentID(b.country, b.f.clock.now(), b.random)
				if err != nil {
					return err
				}
				err = b.IssueAs(tx, id, protocol.TypeSignature, signature("Canary-place"), Facts{Attributes: attributes(), Kind: "exhibit", Object: "E-1", Actor: "tina"})
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return nil
		})
	}
	return ids
}

// ack issues a directed document: the shortest there is.
func (b *bureau) ack(to protocol.Country, note string) string {
	b.f.t.Helper()
	id, err := b.tryAck(to, note, false)
	if err != nil {
		b.f.t.Fatal(err)
	}
	return id
}

func (b *bureau) tryAck(to protocol.Country, note string, twoPeople bool) (id string, err error) {
	err = b.store.Update(context.Background(), func(tx *store.Tx) error {
		lead, err := protocol.NewID(begin, b.random)
		if err != nil {
			return err
		}
		id, err = b.Issue(tx, protocol.TypeLeadAck, &protocol.LeadAckBody{Lead: lead, Pair: "pair", Note: note},
			Facts{To: to, Purpose: "criminal-investigation", Kind: "lead", Object: "pair", Actor: "olga", TwoPeople: twoPeople})
		return err
	})
	return id, err
}

// deliver carries what waits on a channel, and the receipts back, and returns the batches that went.
func deliver(from, to *bureau, ch protocol.Channel) (sent []*Batch) {
	t, ctx := from.f.t, context.Background()
	t.Helper()
	for {
		batch, err := from.NextBatch(ctx, to.country, ch)
		if err != nil {
			t.Fatal(err)
		}
		if batch == nil {
			return sent
		}
		sent = append(sent, batch)
		receipt, err := to.AcceptBatch(ctx, from.country, batch.Manifest, batch.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := from.AcceptReceipt(ctx, to.country, receipt); err != nil {
			t.Fatal(err)
		}
	}
}

// plain is everything that leaves with a batch, readable: the manifest, the messages, and what base64 in them hides.
func (b *bureau) plain(batch *Batch) []byte {
	b.f.t.Helper()
	joined := must(decompressor.DecodeAll(batch.Payload, make([]byte, 0, protocol.MaxBatch)))
	out := bytes.Join([][]byte{[]byte(batch.Manifest), joined}, nil)
	for _, raw := range must(splitAny(joined)) {
		msg := must(protocol.DecodeMessage(raw))
		payload, _, err := crypto.Unverified(msg.Document, crypto.TypeDocument, protocol.MaxMessage)
		if err != nil {
			b.f.t.Fatal(err)
		}
		out = append(out, payload...)
		for _, d := range msg.Disclosures {
			out = append(out, must(base64Decode(string(d)))...)
		}
	}
	return out
}

func splitAny(joined []byte) ([][]byte, error) {
	r := bytes.NewReader(joined)
	var out [][]byte
	for r.Len() > 0 {
		m, err := protocol.ReadFrame(r, protocol.MaxMessage)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// chain makes messages as a foreign implementation, or a hostile one, would: anything may be wrong with them.
type chain struct {
	from *bureau
	to   protocol.Country
	ch   protocol.Channel
	seq  uint64
	prev string
}

func (b *bureau) chainTo(to protocol.Country, ch protocol.Channel) *chain {
	return &chain{from: b, to: to, ch: ch}
}

// add makes the next message of the chain.
func (c *chain) add(jws string, change func(m *protocol.Message), disclosures ...protocol.Disclosure) []byte {
	c.seq++
	m := protocol.Message{From: c.from.country, To: c.to, Channel: c.ch, Seq: c.seq, Prev: c.prev, Terms: protocol.Terms{Handling: []string{"H0"}}, Document: jws, Disclosures: disclosures}
	if change != nil {
		change(&m)
	}
	b := must(json.Marshal(m))
	c.prev = protocol.MessageHash(b)
	return b
}

// batch signs messages as one batch.
func (b *bureau) batch(to protocol.Country, ch protocol.Channel, first uint64, change func(m *protocol.Manifest), msgs ...[]byte) *Batch {
	joined := protocol.JoinMessages(msgs)
	return b.sealed(to, ch, first, compressor.EncodeAll(joined, nil), func(m *protocol.Manifest) {
		m.Count, m.Size = len(msgs), len(joined)
		if len(msgs) > 0 {
			m.Head = protocol.MessageHash(msgs[len(msgs)-1])
		}
		if change != nil {
			change(m)
		}
	})
}

// sealed signs a manifest over any payload.
func (b *bureau) sealed(to protocol.Country, ch protocol.Channel, first uint64, payload []byte, change func(m *protocol.Manifest)) *Batch {
	sum := sha256.Sum256(payload)
	m := protocol.Manifest{From: b.country, To: to, Channel: ch, First: first, Count: 1, Head: hex.EncodeToString(sum[:]), Size: 1, SHA256: hex.EncodeToString(sum[:]), Sent: b.f.clock.now()}
	change(&m)
	return &Batch{Manifest: must(b.keys.Signer().Sign(crypto.TypeBatch, must(json.Marshal(m)))), Payload: payload, First: first}
}

// document signs a document of a bureau; change edits its payload.
func (b *bureau) document(typ protocol.Type, body protocol.Body, change func(doc map[string]any)) (jws string, all []protocol.Disclosure, id string) {
	id = must(protocol.NewDocumentID(b.country, b.f.clock.now(), b.random))
	payload, all, err := protocol.Compose(protocol.Header{ID: id, Type: typ, Issuer: b.country, Issued: b.f.clock.now(), Purpose: "criminal-investigation"}, body, b.random)
	if err != nil {
		b.f.t.Fatal(err)
	}
	if change != nil {
		var doc map[string]any
		if err := json.Unmarshal(payload, &doc); err != nil {
			b.f.t.Fatal(err)
		}
		change(doc)
		id, _ = doc["id"].(string)
		payload = must(json.Marshal(doc))
	}
	return must(b.keys.Signer().Sign(crypto.TypeDocument, payload)), all, id
}

func ackBody(note string) *protocol.LeadAckBody {
	return &protocol.LeadAckBody{Lead: must(protocol.NewID(begin, rand.NewChaCha8([32]byte{4}))), Pair: "pair", Note: note}
}

// record is a document as a bureau keeps it; nil if it has none with this id.
func (b *bureau) record(id string) (rec *Record) {
	_ = b.store.View(func(tx *store.Tx) (err error) {
		rec, err = Documents.Get(tx, id)
		return err
	})
	return rec
}

// kept lists the documents with a status.
func (b *bureau) kept(s Status) (out []*Record) {
	b.view(func(tx *store.Tx) error {
		for _, r := range Documents.ByPrefix(tx, "status-type", string(s)+"/") {
			out = append(out, r)
		}
		return nil
	})
	return out
}

func (b *bureau) delivery(doc string, to protocol.Country) (dl *Delivery) {
	_ = b.store.View(func(tx *store.Tx) (err error) {
		dl, err = Deliveries.Get(tx, deliveryID(doc, to))
		return err
	})
	return dl
}

// log is a bureau's audit log, oldest first.
func (b *bureau) log() []store.AuditRecord {
	b.f.t.Helper()
	out := must(b.store.QueryAudit(context.Background(), store.AuditQuery{Limit: 100_000}))
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// effects counts the audit entries of what was done, without those of batches and receipts that were refused whole.
func (b *bureau) effects() int {
	return b.entries(func(r store.AuditRecord) bool { return r.Kind != "exchange" })
}

// entries counts the audit entries that match.
func (b *bureau) entries(match func(r store.AuditRecord) bool) (n int) {
	for _, r := range b.log() {
		if match(r) {
			n++
		}
	}
	return n
}

func (b *bureau) accept(from *bureau, batch *Batch) (*protocol.Receipt, error) {
	receipt, err := b.AcceptBatch(context.Background(), from.country, batch.Manifest, batch.Payload)
	if receipt == "" {
		return nil, err
	}
	payload, _, uerr := crypto.Unverified(receipt, crypto.TypeReceipt, 1<<16)
	if uerr != nil {
		b.f.t.Fatal(uerr)
	}
	return must(protocol.DecodeReceipt(payload)), err
}

func texts(prefix string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%s %d", prefix, i+1))
	}
	return out
}

func base64Decode(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
