package release

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/correlate"
	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/ballistics"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/tracing"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// begin is 7 s after a whole tick.
var begin = time.Date(2026, 3, 1, 12, 0, 7, 0, time.UTC)

var (
	tech  = desk.Actor{Name: "tech", Roles: []string{policy.Technician}}
	exam1 = desk.Actor{Name: "exam1", Roles: []string{policy.Examiner}}
	exam2 = desk.Actor{Name: "exam2", Roles: []string{policy.Examiner}}
	ncb   = desk.Actor{Name: "ncb", Roles: []string{policy.NCBOperator}}
)

// clock stands still unless it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

// bureau is one country's releases on a real store; the network between bureaus is a function call.
type bureau struct {
	t       testing.TB
	f       *federation
	country protocol.Country
	dir     string
	keys    *crypto.Keys
	engine  *policy.Engine
	store   *store.Store
	out     *dispatch.Dispatch
	desk    *desk.Desk
	lab     *ballistics.Service
	quota   int
	steps   []string // of every look, separated by requests
	line    func(b []byte) ([]byte, error)
	*Service
}

type federation struct {
	t       testing.TB
	clock   *clock
	roster  *roster.Roster
	bureaus map[protocol.Country]*bureau
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// rules are the default policy with more in a file of its own.
func rules(t testing.TB, more string, without ...string) *policy.Engine {
	t.Helper()
	files := fstest.MapFS{"99-more.cedar": {Data: []byte(more)}}
	for _, name := range must(fs.Glob(policy.DefaultFiles(), "*.cedar")) {
		text := must(fs.ReadFile(policy.DefaultFiles(), name))
		for _, w := range without {
			text = bytes.ReplaceAll(text, []byte(w), nil)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	e, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newFederation(t testing.TB, countries ...protocol.Country) *federation {
	t.Helper()
	f := &federation{t: t, clock: &clock{at: begin}, bureaus: map[protocol.Country]*bureau{}}
	for _, c := range countries {
		f.bureaus[c] = &bureau{t: t, f: f, country: c, dir: t.TempDir(), keys: must(crypto.GenerateKeys(rand.Reader)), engine: policy.Default(), quota: 20}
	}
	f.enact()
	for _, c := range countries {
		f.bureaus[c].open()
	}
	return f
}

func (f *federation) enact(suspended ...protocol.Country) {
	f.t.Helper()
	holder := must(crypto.GenerateKeys(rand.Reader))
	d := must(roster.Create("test", []roster.Holder{{Name: "holder", Key: holder.SigningJWK()}}, 1, begin, begin.AddDate(20, 0, 0)))
	for c, b := range f.bureaus {
		id := must(peer.IDFromPrivateKey(b.keys.HostKey()))
		entry := must(roster.SignMember(roster.Member{Country: string(c), Name: "NCB " + string(c), PeerIDs: []string{id.String()},
			SigningKeys: []json.RawMessage{b.keys.SigningJWK()}, SealingKeys: []json.RawMessage{b.keys.SealingJWK()}, LogKey: b.keys.LogVerifierKey("proofmark." + string(c)),
			ValidFrom: begin.Add(-time.Hour), ValidUntil: begin.AddDate(20, 0, 0)}, b.keys.Signer()))
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
	b.t.Helper()
	log := slog.New(slog.DiscardHandler)
	b.store = must(store.Open(store.Options{Dir: b.dir, Key: make([]byte, 32), Now: b.f.clock.now, Random: rand.Reader, Signer: must(b.keys.LogSigner("proofmark." + string(b.country)))}))
	engine := func() *policy.Engine { return b.engine }
	d := &desk.Desk{Store: b.store, Policy: engine, Country: b.country, Log: log}
	b.out = dispatch.New(dispatch.Options{Country: b.country, Store: b.store, Signer: b.keys.Signer(), Policy: engine, Roster: func() *roster.Roster { return b.f.roster },
		Now: b.f.clock.now, Random: rand.Reader, Log: log})
	tracing.New(d, b.out)
	b.lab, b.desk = ballistics.New(d, b.out, b.f.clock.now), d
	b.Service = New(Options{Desk: d, Out: b.out, Now: b.f.clock.now, Fetch: b.over, Quota: b.quota, Chunk: protocol.MinScanChunk})
	b.looked = func(step string) { b.steps = append(b.steps, step) }
	s := b.store
	b.t.Cleanup(func() { _ = s.Close() })
}

// over is the network: bytes come straight out of the other bureau, in frames of odd sizes, through line.
func (b *bureau) over(ctx context.Context, from protocol.Country, release string, scan protocol.ReleasedScan, offset int64, take func([]byte) error, done func() error) error {
	src, err := b.f.bureaus[from].Open(ctx, b.country, release, scan.SHA256, offset)
	if err != nil {
		return errors.Join(ErrRefused, err)
	}
	all, err := src.Read()
	if err != nil {
		return err
	}
	for all = all[offset:]; len(all) > 0; {
		frame := all[:min(3001, len(all))]
		all = all[len(frame):]
		if err := src.Standing(); err != nil {
			return err
		}
		if b.line != nil {
			if frame, err = b.line(frame); err != nil {
				return err
			}
		}
		if err := take(frame); err != nil {
			return err
		}
	}
	err = done()
	src.Sent(err == nil)
	return err
}

// carry delivers everything from one bureau to another, and the receipts back. It returns the documents' sizes as they were signed.
func (f *federation) carry(from, to protocol.Country) {
	f.t.Helper()
	for _, ch := range protocol.Channels {
		for {
			batch, err := f.bureaus[from].out.NextBatch(f.t.Context(), to, ch)
			if err != nil {
				f.t.Fatal(err)
			}
			if batch == nil {
				break
			}
			receipt, err := f.bureaus[to].out.AcceptBatch(f.t.Context(), from, batch.Manifest, batch.Payload)
			if err == nil {
				err = f.bureaus[from].out.AcceptReceipt(f.t.Context(), to, receipt)
			}
			if err != nil {
				f.t.Fatal(err)
			}
		}
	}
}

// shot stands for a scan: what it shows does not matter here, and its chunks are all different.
var shot = sync.OnceValue(func() []byte {
	b := make([]byte, 150_001)
	if _, err := mathrand.NewChaCha8([32]byte{3}).Read(b); err != nil {
		panic(err)
	}
	return b
})

// The laboratory's records as it keeps them; making them its own way takes longer than anything a test does with them.
var (
	signatures   = store.NewCollection[ballistics.Signature]("signature")
	acquisitions = store.NewCollection("acquisition", store.Index[ballistics.Acquisition]{Name: "exhibit", Keys: func(a *ballistics.Acquisition) []string { return []string{a.Exhibit} }})
)

// enrol makes an exhibit with a scan and publishes its signature, which it returns.
func (b *bureau) enrol() (signature string) {
	b.t.Helper()
	err := b.store.Update(b.t.Context(), func(tx *store.Tx) error {
		hash, err := tx.PutBlob(shot())
		if err != nil {
			return err
		}
		exhibit := must(protocol.NewID(tx.Now(), tx.Random()))
		signature = must(protocol.NewDocumentID(b.country, tx.Now(), tx.Random()))
		a := &ballistics.Acquisition{ID: exhibit, Exhibit: exhibit, Number: "E-1", ROI: correlate.BreechFace, Scans: []ballistics.Scan{{File: "e1.x3p", Hash: hash, Bytes: len(shot())}}, Signature: signature}
		sig := &ballistics.Signature{ID: signature, Country: b.country, Own: true, Exhibit: exhibit, ROI: a.ROI, Number: a.Number, Case: "C-1"}
		body := &protocol.SignatureBody{Exhibit: exhibit, ROI: string(a.ROI), Kind: protocol.CartridgeCase, Origin: protocol.Evidence, Calibre: "9 mm Luger", FiringPin: protocol.Unknown,
			Pattern: protocol.Unknown, Algorithm: "none", Signature: []byte{1}, Quality: 1}
		facts := dispatch.Facts{Purpose: Purpose, Actor: tech.Name, Event: begin.AddDate(0, 0, -2), Attributes: map[string]any{"calibre": body.Calibre, "origin": body.Origin, "handling": []string{},
			"offence": "homicide", "terrorism": false, "customs": false, "trafficking": false, "group_size": int64(0)}}
		return errors.Join(acquisitions.Put(tx, a.ID, a), signatures.Put(tx, signature, sig), b.out.IssueAs(tx, signature, protocol.TypeSignature, body, facts))
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return signature
}

// ask has a bureau ask for a scan, delivers the request and lets the owner judge it.
func (b *bureau) ask(signature string, owner protocol.Country) *Request {
	b.t.Helper()
	r, err := b.Request(b.t.Context(), exam1, "", Ask{Signature: signature, Reason: "side by side"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.f.carry(b.country, owner)
	b.f.bureaus[owner].judge()
	return r
}

func (b *bureau) judge() {
	b.t.Helper()
	if err := b.Judge(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bureau) show(ref string) *Request {
	b.t.Helper()
	r, err := b.Show(b.t.Context(), exam1, ref)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// entries finds what a log says of scans.
func (b *bureau) entries(event string) []store.AuditRecord {
	b.t.Helper()
	var out []store.AuditRecord
	for _, e := range must(b.store.QueryAudit(b.t.Context(), store.AuditQuery{Limit: 1000})) {
		if e.Event == event {
			out = append(out, e)
		}
	}
	return out
}

// answers are the signed refusals that a bureau holds, by request.
func (b *bureau) answers() map[string]*dispatch.Record {
	b.t.Helper()
	out := map[string]*dispatch.Record{}
	err := b.store.View(func(tx *store.Tx) error {
		for _, r := range dispatch.Documents.By(tx, "status-type", string(dispatch.Accepted)+"/"+string(protocol.TypeScanRefusal)) {
			payload, _, err := crypto.Unverified(r.JWS, crypto.TypeDocument, protocol.MaxMessage)
			if err != nil {
				return err
			}
			doc, err := protocol.Open(payload, r.Disclosures)
			if err != nil {
				return err
			}
			body, err := protocol.BodyOf[protocol.ScanRefusalBody](doc)
			if err != nil {
				return err
			}
			out[body.Request] = r
		}
		return tx.Err()
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// context_ is what a Fetch is given first.
type context_ = context.Context

// send issues a document past the service, as another implementation or a hostile member could.
func (b *bureau) send(to protocol.Country, typ protocol.Type, body protocol.Body) {
	b.t.Helper()
	err := b.store.Update(b.t.Context(), func(tx *store.Tx) error {
		_, err := b.out.Issue(tx, typ, body, dispatch.Facts{To: to, Purpose: Purpose, Actor: "test"})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// refusedReason is why the latest document of a type was refused.
func (b *bureau) refusedReason(typ protocol.Type) (reason string) {
	b.t.Helper()
	err := b.store.View(func(tx *store.Tx) error {
		var last time.Time
		for _, r := range dispatch.Documents.By(tx, "status-type", string(dispatch.Refused)+"/"+string(typ)) {
			if !r.At.Before(last) {
				reason, last = reason+"; "+r.Reason, r.At
			}
		}
		return tx.Err()
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return reason
}
