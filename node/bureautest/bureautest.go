// Package bureautest owns the bureaus that tests of the workflows work in: real stores, keys, rosters and documents, with a network that is a function call.
// It knows no workflow, and no node imports it.
package bureautest

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Clock is what all bureaus of a test go by.
type Clock struct {
	step time.Duration
	mu   sync.Mutex
	at   time.Time
}

// NewClock returns a clock that moves on by step each time it is looked at; with a step of zero it stands still unless it is moved.
func NewClock(at time.Time, step time.Duration) *Clock { return &Clock{at: at, step: step} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(c.step)
	return c.at
}

// Set moves the clock to a time.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// Add moves the clock on.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Federation is some bureaus that know each other as members.
type Federation struct {
	Clock   *Clock
	Bureaus []*Bureau // as they were named

	t      testing.TB
	begin  time.Time
	roster *roster.Roster
}

// Bureau is one country: what its workflows are built on.
type Bureau struct {
	Country protocol.Country
	Clock   *Clock // the federation's
	Keys    *crypto.Keys
	Engine  *policy.Engine // in force; the default policy until a test says otherwise
	Store   *store.Store
	Out     *dispatch.Dispatch
	Desk    *desk.Desk

	t   testing.TB
	f   *Federation
	dir string
}

// New makes the bureaus of some countries and a roster that is valid for twenty years. Their stores are not open yet.
func New(t testing.TB, clock *Clock, countries ...protocol.Country) *Federation {
	t.Helper()
	f := &Federation{Clock: clock, t: t, begin: clock.Now()}
	for _, c := range countries {
		f.Bureaus = append(f.Bureaus, &Bureau{Country: c, Clock: clock, Keys: Must(crypto.GenerateKeys(rand.Reader)), Engine: policy.Default(), t: t, f: f, dir: t.TempDir()})
	}
	f.Enact()
	return f
}

// Enact puts a roster in force in which some members are suspended and all others active.
func (f *Federation) Enact(suspended ...protocol.Country) {
	f.t.Helper()
	holder := Must(crypto.GenerateKeys(rand.Reader))
	until := f.begin.AddDate(20, 0, 0)
	d := Must(roster.Create("test", []roster.Holder{{Name: "holder", Key: holder.SigningJWK()}}, 1, f.begin, until))
	for _, b := range f.Bureaus {
		id := Must(peer.IDFromPrivateKey(b.Keys.HostKey()))
		entry := Must(roster.SignMember(roster.Member{Country: string(b.Country), Name: "NCB " + string(b.Country), PeerIDs: []string{id.String()},
			Addresses:   []string{"/ip4/127.0.0.1/tcp/4931"},
			SigningKeys: []json.RawMessage{b.Keys.SigningJWK()}, SealingKeys: []json.RawMessage{b.Keys.SealingJWK()}, LogKey: b.LogKey(),
			ValidFrom: f.begin.Add(-time.Hour), ValidUntil: until}, b.Keys.Signer()))
		if err := d.Add(entry, f.begin); err != nil {
			f.t.Fatal(err)
		}
	}
	for _, c := range suspended {
		if err := d.SetStatus(string(c), roster.Suspended, f.begin); err != nil {
			f.t.Fatal(err)
		}
	}
	f.roster = d.Roster()
}

// LogKey verifies what the bureau's audit log signs, in the form of golang.org/x/mod/sumdb/note.
func (b *Bureau) LogKey() string { return b.Keys.LogVerifierKey(b.origin()) }

func (b *Bureau) origin() string { return "proofmark." + string(b.Country) }

// Open opens the bureau's store, as it stands on disk, with the exchange of documents on it; the test's end closes it. what completes the options of the
// exchange; it may be nil.
func (b *Bureau) Open(what func(*dispatch.Options)) {
	b.t.Helper()
	log := slog.New(slog.DiscardHandler)
	s, err := store.Open(store.Options{Dir: b.dir, Key: make([]byte, 32), Now: b.Clock.Now, Random: rand.Reader, Signer: Must(b.Keys.LogSigner(b.origin())), Log: log})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = s.Close() })
	engine := func() *policy.Engine { return b.Engine }
	o := dispatch.Options{Country: b.Country, Store: s, Signer: b.Keys.Signer(), Policy: engine, Roster: func() *roster.Roster { return b.f.roster },
		Now: b.Clock.Now, Random: rand.Reader, Log: log}
	if what != nil {
		what(&o)
	}
	b.Store, b.Out, b.Desk = s, dispatch.New(o), &desk.Desk{Store: s, Policy: engine, Country: b.Country, Log: log}
}

// Carry delivers what waits for another bureau, each batch twice as a network may, brings the receipts back, and returns how many batches went. Without
// channels it is all of them.
func (b *Bureau) Carry(to *Bureau, channels ...protocol.Channel) (batches int) {
	b.t.Helper()
	if len(channels) == 0 {
		channels = protocol.Channels
	}
	ctx := b.t.Context()
	for _, ch := range channels {
		for {
			batch, err := b.Out.NextBatch(ctx, to.Country, ch)
			if err != nil {
				b.t.Fatal(err)
			}
			if batch == nil {
				break
			}
			batches++
			receipt, err := to.Out.AcceptBatch(ctx, b.Country, batch.Manifest, batch.Payload)
			if err == nil {
				receipt, err = to.Out.AcceptBatch(ctx, b.Country, batch.Manifest, batch.Payload)
			}
			if err == nil {
				err = b.Out.AcceptReceipt(ctx, to.Country, receipt)
			}
			if err != nil {
				b.t.Fatal(err)
			}
		}
	}
	return batches
}

// Issue sends a document past the workflows, as another implementation or a hostile member could, and returns its id.
func (b *Bureau) Issue(typ protocol.Type, body protocol.Body, facts dispatch.Facts) (id string) {
	b.t.Helper()
	b.Update(func(tx *store.Tx) (err error) {
		id, err = b.Out.Issue(tx, typ, body, facts)
		return err
	})
	return id
}

// Update acts on the bureau's store.
func (b *Bureau) Update(act func(*store.Tx) error) {
	b.t.Helper()
	if err := b.Store.Update(b.t.Context(), act); err != nil {
		b.t.Fatal(err)
	}
}

// View looks into the bureau's store.
func (b *Bureau) View(look func(*store.Tx) error) {
	b.t.Helper()
	if err := b.Store.View(look); err != nil {
		b.t.Fatal(err)
	}
}

// Refused says why the bureau refused documents of a type.
func (b *Bureau) Refused(typ protocol.Type) (reasons []string) {
	b.t.Helper()
	b.View(func(tx *store.Tx) error {
		for _, r := range dispatch.Documents.By(tx, "status-type", string(dispatch.Refused)+"/"+string(typ)) {
			reasons = append(reasons, r.Reason)
		}
		return tx.Err()
	})
	return reasons
}

// Events returns what the bureau's log says in answer to a question.
func (b *Bureau) Events(q store.AuditQuery) []store.AuditRecord {
	b.t.Helper()
	found, err := b.Store.QueryAudit(b.t.Context(), q)
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

// Must returns v; an error ends the test program, as nothing of what a bureau is made of may fail.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
