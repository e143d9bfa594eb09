package tracing

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var (
	operator     = desk.Actor{Name: "olga", Roles: []string{policy.NCBOperator}}
	investigator = desk.Actor{Name: "ivan", Roles: []string{policy.Investigator}}
	technician   = desk.Actor{Name: "tina", Roles: []string{policy.Technician}}
)

// bureau is one country's tracing on a real store; the network between bureaus is a function call.
type bureau struct {
	t       testing.TB
	country protocol.Country
	dir     string
	keys    *crypto.Keys
	logKey  string // signs the audit log, in sumdb/note's form
	logVkey string // verifies it
	roster  *roster.Roster
	policy  *policy.Engine
	clock   *clock

	store *store.Store
	mail  *dispatch.Dispatch
	*Service
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

// now moves on a little each time, so that no two stamps are the same.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Millisecond)
	return c.at
}

func ok[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newBureaus(t testing.TB, countries ...protocol.Country) []*bureau {
	t.Helper()
	c := &clock{at: now}
	holder := ok[*crypto.Keys](t)(crypto.GenerateKeys(rand.NewChaCha8([32]byte{9})))
	d := ok[*roster.Document](t)(roster.Create("test", []roster.Holder{{Name: "holder", Key: holder.SigningJWK()}}, 1, now, now.AddDate(1, 0, 0)))
	out := make([]*bureau, len(countries))
	for i, country := range countries {
		k := ok[*crypto.Keys](t)(crypto.GenerateKeys(rand.NewChaCha8([32]byte{1, country[0], country[1]})))
		out[i] = &bureau{t: t, country: country, dir: t.TempDir(), keys: k, policy: policy.Default(), clock: c}
		var err error
		if out[i].logKey, out[i].logVkey, err = note.GenerateKey(crand.Reader, "proofmark."+string(country)); err != nil {
			t.Fatal(err)
		}
		id := ok[peer.ID](t)(peer.IDFromPrivateKey(k.HostKey()))
		entry := ok[string](t)(roster.SignMember(roster.Member{Country: string(country), Name: "NCB " + string(country), PeerIDs: []string{id.String()},
			SigningKeys: []json.RawMessage{k.SigningJWK()}, SealingKeys: []json.RawMessage{k.SealingJWK()}, LogKey: out[i].logVkey,
			ValidFrom: now.Add(-time.Hour), ValidUntil: now.AddDate(1, 0, 0)}, k.Signer()))
		if err := d.Add(entry, now); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range out {
		b.roster = d.Roster()
		b.open()
	}
	return out
}

func (b *bureau) open() {
	b.t.Helper()
	log := slog.New(slog.DiscardHandler)
	signer := ok[note.Signer](b.t)(note.NewSigner(b.logKey))
	b.store = ok[*store.Store](b.t)(store.Open(store.Options{Dir: b.dir, Key: make([]byte, 32), Now: b.clock.now, Random: crand.Reader, Signer: signer, Log: log}))
	engine := func() *policy.Engine { return b.policy }
	b.mail = dispatch.New(dispatch.Options{Country: b.country, Store: b.store, Signer: b.keys.Signer(), Policy: engine,
		Roster: func() *roster.Roster { return b.roster }, Now: b.clock.now, Random: crand.Reader, Log: log})
	b.Service = New(&desk.Desk{Store: b.store, Policy: engine, Country: b.country, Log: log}, b.mail)
	if err := b.Resume(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	s := b.store
	b.t.Cleanup(func() { _ = s.Close() })
}

// restart closes the store and opens everything anew from what is on disk.
func (b *bureau) restart() {
	b.t.Helper()
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// deliver carries what waits in from for to, and the receipts back, and returns how many batches went.
func deliver(t *testing.T, from, to *bureau) int {
	t.Helper()
	n := 0
	for _, ch := range []protocol.Channel{protocol.Urgent, protocol.Bulk} {
		for {
			batch := ok[*dispatch.Batch](t)(from.mail.NextBatch(t.Context(), to.country, ch))
			if batch == nil {
				break
			}
			n++
			receipt := ok[string](t)(to.mail.AcceptBatch(t.Context(), from.country, batch.Manifest, batch.Payload))
			if again := ok[string](t)(to.mail.AcceptBatch(t.Context(), from.country, batch.Manifest, batch.Payload)); again == "" {
				t.Fatal("the same batch again has no receipt")
			}
			if err := to.SearchArrived(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := from.mail.AcceptReceipt(t.Context(), to.country, receipt); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}

// events counts the audit entries with an event, in a bureau's log.
func (b *bureau) events(event string) int {
	b.t.Helper()
	n := 0
	for _, r := range ok[[]store.AuditRecord](b.t)(b.store.QueryAudit(b.t.Context(), store.AuditQuery{Limit: 1000})) {
		if r.Event == event {
			n++
		}
	}
	return n
}

// refused returns why a bureau refused the documents of a type.
func (b *bureau) refused(typ protocol.Type) []string {
	b.t.Helper()
	var out []string
	err := b.store.View(func(tx *store.Tx) error {
		for _, r := range dispatch.Documents.By(tx, "status-type", string(dispatch.Refused)+"/"+string(typ)) {
			out = append(out, r.Reason)
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// issue sends a document past the service, as another implementation or a hostile member could.
func (b *bureau) issue(to protocol.Country, typ protocol.Type, body protocol.Body) string {
	b.t.Helper()
	var id string
	err := b.store.Update(b.t.Context(), func(tx *store.Tx) (err error) {
		id, err = b.mail.Issue(tx, typ, body, dispatch.Facts{To: to, Purpose: Purpose, Actor: "test"})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

var soldInGermany = NewFirearm{
	Reference: "ES-RA-7", Status: "stolen", StatusDate: time.Date(2025, 5, 4, 0, 0, 0, 0, time.UTC), Case: "ES-C-1",
	FirearmDescription: protocol.FirearmDescription{Kind: "pistol", Make: "Crvena Zastava", Model: "CZ 99", Calibre: "9x19", Serial: "AB 10482", CountryOfManufacture: "RS", Year: 1996},
	Custody: []protocol.CustodyStep{
		{Role: "manufacturer", Country: "RS", Name: "Zastava Arms", Date: time.Date(1996, 2, 1, 0, 0, 0, 0, time.UTC)},
		{Role: "retailer", Country: "DE", Name: "Waffen Huber", Date: time.Date(1997, 3, 4, 0, 0, 0, 0, time.UTC)},
		{Role: "first-purchaser", Country: "ES", Name: "Juan Pérez", Date: time.Date(1998, 1, 10, 0, 0, 0, 0, time.UTC)},
	},
}

// ask is a request that lacks nothing.
func ask(to protocol.Country, serial string) NewTrace {
	return NewTrace{To: to, Firearm: protocol.FirearmDescription{Kind: "pistol", Make: "Zastava", Model: "CZ 99", Calibre: "9 mm Luger", Serial: serial, CountryOfManufacture: "RS"},
		LegalJustification: "found in an arms cache", Circumstances: "search of a flat", IntendedUse: "prosecution", Agency: "PJ Lisboa", Case: "PT-C-9",
		RecoveryPlace: "Lisboa", RecoveryDate: &protocol.Interval{From: now.AddDate(0, 0, -10), To: now.AddDate(0, 0, -9)}, Narrative: "under the floor", Officer: "Insp. Silva", Possessor: "unknown man"}
}
