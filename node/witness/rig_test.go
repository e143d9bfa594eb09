package witness

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	rules "proofmark/crypto/witness"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// federation is a set of bureaus with real databases, whose questions reach each other without a network.
type federation struct {
	t       testing.TB
	ro      *roster.Roster
	bureaus map[protocol.Country]*bureau

	mu    sync.Mutex
	clock time.Time
	away  map[protocol.Country]bool // not connected with anybody
}

type bureau struct {
	*Service
	f        *federation
	c        protocol.Country
	keys     *crypto.Keys
	dir      string
	store    *store.Store
	restored *protocol.Restored
	options  func(*Options) // nil: the usual ones
}

func (f *federation) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.clock
}

func (f *federation) add(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock = f.clock.Add(d)
}

func (f *federation) leave(c protocol.Country, away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away[c] = away
}

func (f *federation) connected(a, b protocol.Country) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.away[a] && !f.away[b] && f.bureaus[b] != nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newFederation(t testing.TB, dir string, countries ...protocol.Country) *federation {
	return federationOf(t, dir, func(protocol.Country) bool { return true }, countries...)
}

// federationOf has bureaus of some members only; the others stand in the roster and are never connected.
func federationOf(t testing.TB, dir string, has func(protocol.Country) bool, countries ...protocol.Country) *federation {
	t.Helper()
	f := &federation{t: t, bureaus: map[protocol.Country]*bureau{}, clock: begin, away: map[protocol.Country]bool{}}
	holder, err := crypto.GenerateKeys(mathrand.NewChaCha8([32]byte{9}))
	check(t, err)
	d, err := roster.Create("test", []roster.Holder{{Name: "holder", Key: holder.SigningJWK()}}, 1, begin, begin.Add(1000*time.Hour))
	check(t, err)
	for i, c := range countries {
		keys, err := crypto.GenerateKeys(mathrand.NewChaCha8([32]byte{1, byte(i), c[0], c[1]}))
		check(t, err)
		id, err := peer.IDFromPrivateKey(keys.HostKey())
		check(t, err)
		entry, err := roster.SignMember(roster.Member{Country: string(c), Name: "NCB " + string(c), PeerIDs: []string{id.String()},
			SigningKeys: []json.RawMessage{keys.SigningJWK()}, SealingKeys: []json.RawMessage{keys.SealingJWK()}, LogKey: keys.LogVerifierKey("proofmark." + string(c)),
			ValidFrom: begin.Add(-time.Hour), ValidUntil: begin.Add(1000 * time.Hour)}, keys.Signer())
		check(t, err)
		check(t, d.Add(entry, begin))
		if !has(c) {
			continue
		}
		f.bureaus[c] = &bureau{f: f, c: c, keys: keys, dir: filepath.Join(dir, string(c))}
	}
	f.ro = d.Roster()
	for _, b := range f.bureaus {
		b.open()
	}
	return f
}

func (b *bureau) open() {
	b.f.t.Helper()
	origin := "proofmark." + string(b.c)
	signer, err := b.keys.LogSigner(origin)
	check(b.f.t, err)
	own, err := note.NewVerifier(b.keys.LogVerifierKey(origin))
	check(b.f.t, err)
	cosigner, err := rules.NewCosigner(origin, b.keys.LogKey())
	check(b.f.t, err)
	db, err := store.Open(store.Options{Dir: b.dir, Key: make([]byte, 32), Now: b.f.now, Random: rand.Reader, Signer: signer, Log: slog.New(slog.DiscardHandler)})
	check(b.f.t, err)
	b.store = db
	b.f.t.Cleanup(func() { _ = db.Close() })
	d := &desk.Desk{Store: db, Policy: func() *policy.Engine { return policy.Default() }, Country: b.c, Log: slog.New(slog.DiscardHandler)}
	o := Options{Desk: d, Now: b.f.now, Log: slog.New(slog.DiscardHandler), Roster: func() *roster.Roster { return b.f.ro }, Signer: signer, Own: own, Cosigner: cosigner,
		Restored:  func(*store.Tx) (*protocol.Restored, error) { return b.restored, nil },
		Connected: func(c protocol.Country) bool { return b.f.connected(b.c, c) },
		Talk: func(ctx context.Context, to protocol.Country, next func([]byte) ([]byte, error)) error {
			if !b.f.connected(b.c, to) {
				return errors.New("not connected")
			}
			q, err := next(nil)
			for err == nil && q != nil {
				var a []byte
				if a, err = b.f.bureaus[to].Answer(ctx, b.c, q); err == nil {
					q, err = next(a)
				}
			}
			return err
		}}
	if b.options != nil {
		b.options(&o)
	}
	b.Service = New(o)
}

// copyTo writes the database, closed for the moment, into another folder.
func (b *bureau) copyTo(dir string) {
	b.f.t.Helper()
	check(b.f.t, b.store.Close())
	check(b.f.t, os.CopyFS(dir, os.DirFS(b.dir)))
	check(b.f.t, keepPrivate(dir))
	b.open()
}

func keepPrivate(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		} else if err == nil {
			err = os.Chmod(path, 0o600)
		}
		return err
	})
}

// putBack opens another folder in place of the database.
func (b *bureau) putBack(dir string) {
	b.f.t.Helper()
	check(b.f.t, b.store.Close())
	b.dir = dir
	b.open()
}

// grow appends entries to the log.
func (b *bureau) grow(n int) {
	b.f.t.Helper()
	for i := range n {
		check(b.f.t, b.store.Update(context.Background(), func(tx *store.Tx) error {
			tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActCollect, Decision: "permit"},
				AuditBody: protocol.AuditBody{Actor: "test", Kind: "exhibit", Object: fmt.Sprint(b.c, i), Event: "something happened"}})
			return nil
		}))
	}
}

func (b *bureau) size() int64 {
	b.f.t.Helper()
	n, err := b.store.AuditSize()
	check(b.f.t, err)
	return n
}

// turn lets every bureau look once, a minute later.
func (f *federation) turn() {
	f.t.Helper()
	f.add(time.Minute)
	for _, c := range slices.Sorted(maps.Keys(f.bureaus)) {
		check(f.t, f.bureaus[c].look(context.Background()))
	}
}

func (b *bureau) state() *Status {
	b.f.t.Helper()
	var out *Status
	check(b.f.t, b.store.View(func(tx *store.Tx) (err error) {
		out, err = b.status(tx)
		return err
	}))
	return out
}

func (b *bureau) view(c protocol.Country) *LogView {
	b.f.t.Helper()
	v, err := b.Show(context.Background(), desk.Actor{Name: "A", Roles: []string{policy.Auditor}}, string(c))
	check(b.f.t, err)
	return v
}

// question is what a bureau would ask a witness that is taken to hold shown; any is changed before it is signed.
func (b *bureau) question(shown rules.Tree, change func(*rules.Offer)) []byte {
	b.f.t.Helper()
	var o rules.Offer
	check(b.f.t, b.store.View(func(tx *store.Tx) error {
		c, err := b.checkpoint(tx)
		if err == nil {
			o, err = b.head(tx, c, shown)
		}
		return err
	}))
	if change != nil {
		change(&o)
	}
	head, err := rules.SignHead(o.Head, b.o.Signer)
	check(b.f.t, err)
	q, err := json.Marshal(ask{Checkpoint: o.New.Note, Head: head, Proof: o.Proof})
	check(b.f.t, err)
	return q
}

func (b *bureau) answerTo(from protocol.Country, q []byte) answer {
	b.f.t.Helper()
	raw, err := b.Answer(context.Background(), from, q)
	check(b.f.t, err)
	a, err := decodeAnswer(raw)
	check(b.f.t, err)
	return a
}
