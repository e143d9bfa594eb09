package identity

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

const (
	day    = 24 * time.Hour
	origin = "proofmark.PT"
)

var (
	begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	admin = desk.Actor{Name: "admin", Roles: []string{policy.Administrator}}
	tina  = desk.Actor{Name: "tina", Roles: []string{policy.Technician}}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// bureau is PT with its keys on disk, and the roster that its key holders have in force.
type bureau struct {
	t         *testing.T
	dir       string
	now       time.Time
	master    crypto.MasterKey
	addresses []string
	force     *roster.Document
	*Service
}

func newBureau(t *testing.T) *bureau {
	t.Helper()
	b := &bureau{t: t, dir: t.TempDir(), now: begin, master: must(crypto.NewMasterKey(rand.Reader)), addresses: []string{"/ip4/192.0.2.1/udp/4931/quic-v1"}}
	keys := must(crypto.GenerateKeys(rand.Reader))
	now := func() time.Time { return b.now }
	s := must(store.Open(store.Options{Dir: filepath.Join(b.dir, "store"), Key: b.master.Derive("badger"), Now: now, Random: rand.Reader, Signer: must(keys.LogSigner(origin)), MemTable: 8 << 20, Cache: 4 << 20}))
	t.Cleanup(func() { s.Close() })
	b.Service = b.open(keys, s)
	return b
}

func (b *bureau) open(keys *crypto.Keys, s *store.Store) *Service {
	return New(Options{Desk: &desk.Desk{Store: s, Policy: policy.Default, Country: "PT"}, Keys: keys, Seal: func(k *crypto.Keys) ([]byte, error) { return k.Seal(b.master) },
		KeysPath: filepath.Join(b.dir, "keys.sealed"), MemberPath: filepath.Join(b.dir, "member.jws"), Name: "NCB Lisbon", LogOrigin: origin,
		Addresses: func() ([]string, error) { return b.addresses, nil }, Now: func() time.Time { return b.now }, Random: rand.Reader,
		Roster: func() *roster.Roster {
			if b.force == nil {
				return nil
			}
			return b.force.Roster()
		}})
}

// enact has the key holders take the entry that lies in the file into a roster that is in force from now on.
func (b *bureau) enact() error {
	b.t.Helper()
	entry, consent, err := roster.ParseMemberFile(must(os.ReadFile(filepath.Join(b.dir, "member.jws"))))
	if err != nil {
		b.t.Fatal(err)
	}
	var next *roster.Document
	if b.force == nil {
		holder := must(crypto.GenerateKeys(rand.Reader))
		next = must(roster.Create("test", []roster.Holder{{Name: "holder", Key: holder.SigningJWK()}}, 1, b.now, b.now.AddDate(2, 0, 0)))
	} else {
		next = must(b.force.Next(b.now))
	}
	if err := next.AddSuccession(entry, consent, b.now); err != nil {
		return err
	}
	b.force = next
	return nil
}

func (b *bureau) mustEnact() {
	b.t.Helper()
	if err := b.enact(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bureau) me() roster.Member {
	m, ok := b.force.Roster().ByCountry("PT")
	if !ok {
		b.t.Fatal("PT is not listed")
	}
	return m.Member
}

func (b *bureau) rotate(use crypto.Use, overlap time.Duration) *Entry {
	b.t.Helper()
	e, err := b.Rotate(b.t.Context(), admin, "", use, overlap)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

func (b *bureau) hostID() string { return must(peer.IDFromPrivateKey(b.HostKey())).String() }

func TestEntry(t *testing.T) {
	b := newBureau(t)
	e, err := b.Renew(t.Context(), admin, "")
	if err != nil || e.Country != "PT" || e.Consent || !e.From.Equal(begin) || !e.Until.Equal(begin.AddDate(EntryYears, 0, 0)) || !slices.Equal(e.Addresses, b.addresses) || e.Path != filepath.Join(b.dir, "member.jws") {
		t.Fatalf("%+v, %v", e, err)
	}
	b.mustEnact()
	m := b.me()
	keys := b.Keys()
	if m.Name != "NCB Lisbon" || !bytes.Equal(m.SigningKeys[0], keys.SigningJWK()) || !bytes.Equal(m.SealingKeys[0], keys.SealingJWK()) || m.PeerIDs[0] != b.hostID() || m.LogKey != keys.LogVerifierKey(origin) || len(m.Ends) != 0 {
		t.Errorf("%+v", m)
	}
	// Two entries of one second: the later one is newer all the same, so that the key holders take it.
	b.addresses = []string{"/ip4/192.0.2.2/udp/4931/quic-v1"}
	if e, err = b.Renew(t.Context(), admin, ""); err != nil || !e.From.After(begin) {
		t.Fatalf("%+v, %v", e, err)
	}
	b.mustEnact()
	if got := b.me(); !slices.Equal(got.Addresses, b.addresses) || len(got.SigningKeys) != 1 {
		t.Errorf("%+v", got)
	}
	if _, err := b.Renew(t.Context(), tina, ""); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician renews the entry: %v", err)
	}
	b.addresses = []string{"not an address"}
	if _, err := b.Renew(t.Context(), admin, ""); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("an address that is none: %v", err)
	}
	b.addresses = nil
	left := must(filepath.Glob(filepath.Join(b.dir, ".proofmark-*")))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A new signing key is made, waits, is used once a roster lists it, and the old one proves what it signed until the overlap's end and beyond.
func TestSigningKeyRotates(t *testing.T) {
	b := newBureau(t)
	must(b.Renew(t.Context(), admin, ""))
	if _, err := b.Rotate(t.Context(), admin, "", crypto.ForSigning, day); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "not listed") {
		t.Errorf("before any roster: %v", err)
	}
	b.mustEnact()
	for name, q := range map[string]struct {
		who     desk.Actor
		use     crypto.Use
		overlap time.Duration
		want    error
	}{
		"no such use":        {admin, "log", 30 * day, desk.ErrInvalid},
		"too short":          {admin, crypto.ForSigning, day - time.Second, desk.ErrInvalid},
		"too long":           {admin, crypto.ForSigning, MaxOverlap + time.Second, desk.ErrInvalid},
		"not for technician": {tina, crypto.ForSigning, 30 * day, desk.ErrForbidden},
	} {
		if _, err := b.Rotate(t.Context(), q.who, "", q.use, q.overlap); !errors.Is(err, q.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	old := b.Signer().KeyID()
	if w := b.Warnings(b.now, b.hostID()); len(w) != 0 {
		t.Errorf("nothing waits: %q", w)
	}
	b.now = begin.Add(day)
	e, err := b.Rotate(t.Context(), admin, "key-1", crypto.ForSigning, 30*day)
	if err != nil || e.Use != crypto.ForSigning || e.Again || !e.Consent || !e.Overlap.Equal(b.now.Add(30*day)) {
		t.Fatalf("%+v, %v", e, err)
	}
	fresh := b.Keys().Signer().KeyID()
	if fresh == old || b.Signer().KeyID() != old {
		t.Errorf("signed with %s before a roster lists it; the old one is %s", b.Signer().KeyID(), old)
	}
	if w := b.Warnings(b.now, b.hostID()); len(w) != 1 || !strings.Contains(w[0], "A new signing key waits") {
		t.Errorf("warnings: %q", w)
	}
	// The same command again, and another one: no third key is made.
	if again := must(b.Rotate(t.Context(), admin, "key-1", crypto.ForSigning, 30*day)); again.Again || !again.From.Equal(e.From) {
		t.Errorf("the client that tries again gets %+v", again)
	}
	if again := b.rotate(crypto.ForSigning, 30*day); !again.Again || b.Keys().Signer().KeyID() != fresh {
		t.Errorf("typed once more: %+v", again)
	}
	// A crash before the roster: the keys on the disk are the new ones.
	reopened := b.open(must(crypto.OpenKeys(must(os.ReadFile(filepath.Join(b.dir, "keys.sealed"))), b.master)), b.o.Desk.Store)
	if reopened.Signer().KeyID() != old || reopened.Keys().Signer().KeyID() != fresh {
		t.Error("the keys on the disk are others")
	}
	b.mustEnact()
	if b.Signer().KeyID() != fresh || len(b.Warnings(b.now, b.hostID())) != 0 {
		t.Errorf("listed, and %s signs", b.Signer().KeyID())
	}
	m := b.me()
	if len(m.SigningKeys) != 2 || len(m.Ends) != 1 || m.Ends[0].Key != old || !m.Ends[0].Until.Equal(b.now.Add(30*day)) {
		t.Fatalf("%+v", m.Ends)
	}
	for at, want := range map[time.Time]bool{b.now: true, b.now.Add(30*day - time.Second): true, b.now.Add(30 * day): false} {
		if set := must(m.KeySetAt(at)); set.Has(old) != want || !set.Has(fresh) {
			t.Errorf("at %s the old key counts: %v", at, set.Has(old))
		}
	}
	// A renewal does not move the old key's end; another rotation keeps it and adds its own.
	b.now = begin.Add(10 * day)
	must(b.Renew(t.Context(), admin, ""))
	b.mustEnact()
	if got := b.me(); len(got.Ends) != 1 || !got.Ends[0].Until.Equal(begin.Add(31*day)) {
		t.Errorf("after a renewal: %+v", got.Ends)
	}
	b.rotate(crypto.ForSigning, 5*day)
	b.mustEnact()
	got := b.me()
	if len(got.SigningKeys) != 3 || len(got.Ends) != 2 || got.Ends[0].Key != fresh || !got.Ends[0].Until.Equal(begin.Add(15*day)) || got.Ends[1].Key != old || !got.Ends[1].Until.Equal(begin.Add(31*day)) {
		t.Errorf("after another rotation: %+v", got.Ends)
	}
}

// Without the old key's consent nobody's keys are exchanged: an entry that somebody else made is refused by the roster.
func TestEntriesNeedTheOldKey(t *testing.T) {
	b := newBureau(t)
	must(b.Renew(t.Context(), admin, ""))
	b.mustEnact()
	b.now = begin.Add(day)
	thief := b.open(must(crypto.GenerateKeys(rand.Reader)), b.o.Desk.Store)
	if _, err := thief.Rotate(t.Context(), admin, "", crypto.ForSigning, 30*day); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "override") {
		t.Errorf("keys that the roster does not list are rotated: %v", err)
	}
	if e, err := thief.Renew(t.Context(), admin, ""); err != nil || e.Consent {
		t.Fatalf("%+v, %v", e, err)
	}
	if err := b.enact(); err == nil {
		t.Error("the roster took other keys without the old one's word")
	}
	if w := thief.Warnings(b.now, ""); w != nil {
		t.Errorf("%q", w)
	}
}

func TestHostAndSealingKeysRotate(t *testing.T) {
	b := newBureau(t)
	must(b.Renew(t.Context(), admin, ""))
	b.mustEnact()
	b.now = begin.Add(day)
	oldHost, oldSealing := b.hostID(), b.Keys().SealingJWK()
	if e := b.rotate(crypto.ForSealing, 30*day); !e.Overlap.IsZero() || e.Consent {
		t.Errorf("a sealing key has no overlap in the roster, and its signer is the same: %+v", e)
	}
	b.now = b.now.Add(time.Hour)
	e := b.rotate(crypto.ForHost, 30*day)
	fresh := must(peer.IDFromPrivateKey(b.Keys().HostKey())).String()
	if fresh == oldHost || b.hostID() != oldHost || bytes.Equal(b.Keys().SealingJWK(), oldSealing) {
		t.Error("the host goes by a key that no roster lists, or none was made")
	}
	if w := b.Warnings(b.now, oldHost); len(w) != 2 || !strings.Contains(strings.Join(w, " "), "sealing") || !strings.Contains(strings.Join(w, " "), "host") {
		t.Errorf("warnings: %q", w)
	}
	b.mustEnact()
	m := b.me()
	if b.hostID() != fresh || !slices.Equal(m.PeerIDs, []string{fresh, oldHost}) || !m.Ended(oldHost, e.Overlap) || m.Ended(oldHost, e.Overlap.Add(-time.Second)) || len(m.SealingKeys) != 1 {
		t.Errorf("%+v", m)
	}
	// The host that is open keeps its old identity until the node is started again.
	if w := b.Warnings(b.now, oldHost); len(w) != 1 || !strings.Contains(w[0], "still goes by its old host key, which ends on "+e.Overlap.Format(time.DateOnly)) {
		t.Errorf("warnings: %q", w)
	}
	if w := b.Warnings(b.now, fresh); len(w) != 0 {
		t.Errorf("warnings: %q", w)
	}
	// An old host key that has ended leaves the entry; a signing key would stay.
	b.now = e.Overlap.Add(time.Second)
	must(b.Renew(t.Context(), admin, ""))
	b.mustEnact()
	if got := b.me(); !slices.Equal(got.PeerIDs, []string{fresh}) || len(got.Ends) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAnnouncements(t *testing.T) {
	b := newBureau(t)
	must(b.Renew(t.Context(), admin, ""))
	b.mustEnact()
	b.now = begin.Add(day)
	for _, given := range [][]string{nil, {"/dns/proofmark.example/tcp/4931"}} {
		want := given
		if want == nil {
			want = b.addresses
		}
		record, e, err := b.Announcement(t.Context(), admin, given)
		if err != nil || !slices.Equal(e.Addresses, want) {
			t.Fatalf("%v: %+v, %v", given, e, err)
		}
		a, err := b.force.Roster().Addresses(record, b.now)
		if err != nil || a.Country != "PT" || !slices.Equal(a.Addresses, want) || !a.Issued.Equal(b.now) {
			t.Errorf("%v: %+v, %v", given, a, err)
		}
		b.now = b.now.Add(time.Minute)
	}
	b.mustEnact() // the entry says the same
	if got := b.me(); got.Addresses[0] != "/dns/proofmark.example/tcp/4931" {
		t.Errorf("%+v", got)
	}
	if _, _, err := b.Announcement(t.Context(), admin, []string{"somewhere"}); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("no address: %v", err)
	}
	if _, _, err := b.Announcement(t.Context(), tina, nil); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician announces: %v", err)
	}
	var seen []string
	for _, r := range must(b.o.Desk.Store.QueryAudit(t.Context(), store.AuditQuery{Limit: 100})) {
		seen = append(seen, r.Event)
	}
	if got := strings.Join(seen, "; "); strings.Count(got, "addresses announced") != 2 || strings.Count(got, "refused") != 1 || strings.Count(got, "entry renewed") != 1 {
		t.Errorf("the log: %s", got)
	}
}

// What the roster lists and this node does not know is carried along within bounds, each key with its end.
func TestCarry(t *testing.T) {
	key := func() json.RawMessage { return must(crypto.GenerateKeys(rand.Reader)).SigningJWK() }
	kid := func(b json.RawMessage) string {
		_, id, err := crypto.ParseSigningJWK(b)
		return must(id, err)
	}
	old := roster.Member{}
	for range roster.MaxKeys {
		old.SigningKeys = append(old.SigningKeys, key())
	}
	old.Ends = []roster.KeyEnd{{Key: kid(old.SigningKeys[1]), Until: begin}}
	m := roster.Member{SigningKeys: []json.RawMessage{key()}, PeerIDs: []string{"p"}}
	carry(&m, old, begin, begin.Add(day))
	if len(m.SigningKeys) != roster.MaxKeys || len(m.Ends) != roster.MaxKeys-1 || !m.Ends[0].Until.Equal(begin.Add(day)) || !m.Ends[1].Until.Equal(begin) {
		t.Errorf("%d keys, %+v", len(m.SigningKeys), m.Ends)
	}
}
