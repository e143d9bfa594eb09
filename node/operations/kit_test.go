package operations

import (
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
	olga = desk.Actor{Name: "olga", Roles: []string{policy.NCBOperator}}
	otto = desk.Actor{Name: "otto", Roles: []string{policy.NCBOperator}}
	tina = desk.Actor{Name: "tina", Roles: []string{policy.Technician}}
)

// clock is what all bureaus of a test go by; it moves on a little each time, so that no two stamps are the same.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Millisecond)
	return c.at
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

// bureau is one country's operations on a real store; the network between bureaus is a function call.
type bureau struct {
	t       testing.TB
	country protocol.Country
	store   *store.Store
	mail    *dispatch.Dispatch
	policy  *policy.Engine
	changes int
	*Service
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

func newBureaus(t testing.TB, countries ...protocol.Country) ([]*bureau, *clock) {
	t.Helper()
	start := begin.AddDate(0, 0, -10)
	c := &clock{at: start}
	seeded := func(b ...byte) *crypto.Keys {
		var seed [32]byte
		copy(seed[:], b)
		return ok[*crypto.Keys](t)(crypto.GenerateKeys(rand.NewChaCha8(seed)))
	}
	d := ok[*roster.Document](t)(roster.Create("test", []roster.Holder{{Name: "holder", Key: seeded(9).SigningJWK()}}, 1, start, start.AddDate(1, 0, 0)))
	var out []*bureau
	for _, country := range countries {
		k := seeded(1, country[0], country[1])
		logKey, vkey, err := note.GenerateKey(crand.Reader, "proofmark."+string(country))
		if err != nil {
			t.Fatal(err)
		}
		id := ok[peer.ID](t)(peer.IDFromPrivateKey(k.HostKey()))
		if err := d.Add(ok[string](t)(roster.SignMember(roster.Member{Country: string(country), Name: "NCB " + string(country), PeerIDs: []string{id.String()},
			SigningKeys: []json.RawMessage{k.SigningJWK()}, SealingKeys: []json.RawMessage{k.SealingJWK()}, LogKey: vkey,
			ValidFrom: start.Add(-time.Hour), ValidUntil: start.AddDate(1, 0, 0)}, k.Signer())), start); err != nil {
			t.Fatal(err)
		}
		b := &bureau{t: t, country: country, policy: policy.Default()}
		log := slog.New(slog.DiscardHandler)
		b.store = ok[*store.Store](t)(store.Open(store.Options{Dir: t.TempDir(), Key: make([]byte, 32), Now: c.now, Random: crand.Reader, Signer: ok[note.Signer](t)(note.NewSigner(logKey)), Log: log}))
		t.Cleanup(func() { _ = b.store.Close() })
		engine := func() *policy.Engine { return b.policy }
		b.mail = dispatch.New(dispatch.Options{Country: country, Store: b.store, Signer: k.Signer(), Policy: engine, Roster: func() *roster.Roster { return d.Roster() },
			Operations: func(tx *store.Tx, with protocol.Country) ([]policy.Operation, error) { return b.Running(tx, with) }, Now: c.now, Random: crand.Reader, Log: log})
		b.mail.Handle(protocol.TypeSignature, func(*store.Tx, dispatch.Received) error { return nil })
		b.Service = New(&desk.Desk{Store: b.store, Policy: engine, Country: country, Log: log}, b.mail, func() { b.changes++ })
		out = append(out, b)
	}
	return out, c
}

// rest carries what waits between all bureaus until nothing does, with the upkeep of each.
func rest(t testing.TB, all ...*bureau) {
	t.Helper()
	for again := true; again; {
		again = false
		for _, from := range all {
			if err := from.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := from.mail.OfferAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, to := range all {
				if to != from {
					again = deliver(t, from, to) > 0 || again
				}
			}
		}
	}
}

func deliver(t testing.TB, from, to *bureau) (n int) {
	t.Helper()
	for _, ch := range []protocol.Channel{protocol.Urgent, protocol.Bulk} {
		for {
			batch := ok[*dispatch.Batch](t)(from.mail.NextBatch(t.Context(), to.country, ch))
			if batch == nil {
				break
			}
			n++
			receipt := ok[string](t)(to.mail.AcceptBatch(t.Context(), from.country, batch.Manifest, batch.Payload))
			if err := from.mail.AcceptReceipt(t.Context(), to.country, receipt); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}

// publish issues a signature that is tagged.
func (b *bureau) publish(tags ...string) string {
	b.t.Helper()
	var id string
	err := b.store.Update(b.t.Context(), func(tx *store.Tx) (err error) {
		exhibit, err := protocol.NewID(tx.Now(), tx.Random())
		if err != nil {
			return err
		}
		body := &protocol.SignatureBody{Exhibit: exhibit, ROI: "breech-face", Kind: protocol.CartridgeCase, Origin: protocol.Evidence, Calibre: "9x19", FiringPin: "circular",
			Pattern: "parallel", Algorithm: "test", Signature: []byte("surface"), Quality: 0.5}
		id, err = b.mail.Issue(tx, protocol.TypeSignature, body, dispatch.Facts{Purpose: Purpose, Kind: policy.KindExhibit, Object: exhibit, Actor: "tina",
			Attributes: map[string]any{"calibre": "9x19", "origin": protocol.Evidence, "offence": "", "terrorism": false, "customs": false, "trafficking": false,
				"group_size": int64(0), "operations": append([]string{}, tags...)}, Event: tx.Now()})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// held is a document as it stands at a bureau; nil where it is not.
func (b *bureau) held(id string) (rec *dispatch.Record) {
	b.t.Helper()
	_ = b.store.View(func(tx *store.Tx) error {
		rec, _ = dispatch.Documents.Get(tx, id)
		return nil
	})
	return rec
}

// issue sends a document past the service, as a hostile member could.
func (b *bureau) issue(typ protocol.Type, body protocol.Body, to protocol.Country) {
	b.t.Helper()
	if err := b.store.Update(b.t.Context(), func(tx *store.Tx) error {
		_, err := b.mail.Issue(tx, typ, body, dispatch.Facts{Among: []protocol.Country{to}, Purpose: Purpose, Actor: "test", Attributes: map[string]any{"members": []string{string(to)}}})
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
}

// refused lists why a bureau refused documents of a type.
func (b *bureau) refused(typ protocol.Type) (out []string) {
	b.t.Helper()
	if err := b.store.View(func(tx *store.Tx) error {
		for _, r := range dispatch.Documents.By(tx, "status-type", string(dispatch.Refused)+"/"+string(typ)) {
			out = append(out, r.Reason)
		}
		return tx.Err()
	}); err != nil {
		b.t.Fatal(err)
	}
	return out
}

// runningAfter is what would run with ES if an operation were as given.
func (b *bureau) runningAfter(tx *store.Tx, o *Operation) []policy.Operation {
	b.t.Helper()
	if err := operations.Put(tx, o.ID, o); err != nil {
		b.t.Fatal(err)
	}
	return ok[[]policy.Operation](b.t)(b.Running(tx, "ES"))
}
