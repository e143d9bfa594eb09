package membership

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha3"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	chief = desk.Actor{Name: "chief", Roles: []string{policy.Administrator}}
)

// holderKeys are three key holders of all tests' federations; sealing their files takes argon2id at its full cost.
var holderKeys = sync.OnceValue(func() []*roster.HolderKey {
	passphrase := []byte("three keys for one door")
	keys := make([]*roster.HolderKey, 3)
	for i, name := range []string{"Lisbon", "Madrid", "Paris"} {
		private, _, err := roster.NewHolder(name, passphrase, rand.Reader)
		if err == nil {
			keys[i], err = roster.OpenHolder(private, passphrase)
		}
		if err != nil {
			panic(err)
		}
	}
	return keys
})

// countryKeys gives the keys of a country, the same for all tests.
func countryKeys(country string) *crypto.Keys {
	keys, err := crypto.GenerateKeys(bytes.NewReader(sha3.SumSHAKE256([]byte(country), 128)))
	if err != nil {
		panic(err)
	}
	return keys
}

func member(keys *crypto.Keys, country string, from, until time.Time) string {
	id, err := peer.IDFromPrivateKey(keys.HostKey())
	if err != nil {
		panic(err)
	}
	return signed(roster.Member{
		Country: country, Name: "NCB " + country, PeerIDs: []string{id.String()}, SigningKeys: []json.RawMessage{keys.SigningJWK()}, SealingKeys: []json.RawMessage{keys.SealingJWK()},
		LogKey: keys.LogVerifierKey("proofmark." + country), ValidFrom: from, ValidUntil: until,
	}, keys)
}

func signed(m roster.Member, keys *crypto.Keys) string {
	entry, err := roster.SignMember(m, keys.Signer())
	if err != nil {
		panic(err)
	}
	return entry
}

// federation makes rosters.
type federation struct {
	t      *testing.T
	holder []*roster.HolderKey
}

func (f federation) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// sign signs a draft by the first n holders and writes it.
func (f federation) sign(d *roster.Document, n int) []byte {
	f.t.Helper()
	for _, h := range f.holder[:n] {
		f.ok(d.Sign(h))
	}
	raw, err := d.Marshal()
	f.ok(err)
	return raw
}

// first is version 1 with a threshold of two of three.
func (f federation) first(name string, countries ...string) []byte {
	f.t.Helper()
	var holders []roster.Holder
	for _, h := range f.holder {
		holders = append(holders, h.Holder())
	}
	d, err := roster.Create(name, holders, 2, start, start.AddDate(1, 0, 0))
	f.ok(err)
	for _, c := range countries {
		f.ok(d.Add(member(countryKeys(c), c, start, start.AddDate(2, 0, 0)), start))
	}
	return f.sign(d, 2)
}

func (f federation) parse(raw []byte) *roster.Document {
	f.t.Helper()
	d, err := roster.Parse(raw)
	f.ok(err)
	return d
}

// next is the version after prev, signed by n holders, with further countries.
func (f federation) next(prev []byte, n int, countries ...string) []byte {
	f.t.Helper()
	d, err := f.parse(prev).Next(start)
	f.ok(err)
	for _, c := range countries {
		f.ok(d.Add(member(countryKeys(c), c, start, start.AddDate(2, 0, 0)), start))
	}
	return f.sign(d, n)
}

func (f federation) hash(raw []byte) string { return f.parse(raw).Hash() }

var testSigner = sync.OnceValues(func() (note.Signer, note.Verifier) {
	private, public, err := note.GenerateKey(rand.Reader, "proofmark.PT")
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		panic(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		panic(err)
	}
	return signer, verifier
})

// node is a membership service over a real store.
type node struct {
	*Service
	federation
	dir     string
	now     time.Time
	options []Option
}

func newNode(t *testing.T, options ...Option) *node {
	n := &node{federation: federation{t, holderKeys()}, dir: t.TempDir(), now: start, options: options}
	n.open()
	t.Cleanup(n.close)
	return n
}

func (n *node) open() {
	n.t.Helper()
	signer, _ := testSigner()
	st, err := store.Open(store.Options{
		Dir: n.dir, Key: bytes.Repeat([]byte{5}, 32), Random: rand.Reader, Signer: signer, MemTable: 8 << 20, Cache: 4 << 20,
		Now: func() time.Time { return n.now },
	})
	n.ok(err)
	engine := policy.Default()
	n.Service, err = New(&desk.Desk{Store: st, Policy: func() *policy.Engine { return engine }, Country: "PT"}, n.options...)
	n.ok(err)
}

func (n *node) close() {
	_, verifier := testSigner()
	if _, err := n.desk.Store.VerifyAudit(ctx, verifier, nil); err != nil {
		n.t.Error(err)
	}
	if err := n.desk.Store.Close(); err != nil {
		n.t.Error(err)
	}
}

func (n *node) entries(q store.AuditQuery) []store.AuditRecord {
	n.t.Helper()
	q.Limit = 1000
	list, err := n.desk.Store.QueryAudit(ctx, q)
	n.ok(err)
	return list
}

// installs fails the test unless the documents come into force.
func (n *node) installs(anchor string, documents ...[]byte) *Installed {
	n.t.Helper()
	in, err := n.Install(ctx, chief, "", documents, anchor)
	n.ok(err)
	return in
}

func TestNoRoster(t *testing.T) {
	n := newNode(t)
	if n.Current() != nil || n.Hash() != "" || n.Anchor() != "" || n.Document() != nil {
		t.Error("an empty node has a roster")
	}
	if chain, err := n.Chain(); err != nil || len(chain) != 0 {
		t.Errorf("chain of %d, %v", len(chain), err)
	}
	if w := n.Warnings(start); len(w) != 1 || !strings.Contains(w[0], "no roster") {
		t.Errorf("warnings %q", w)
	}
}

func TestInstallAndFollow(t *testing.T) {
	n := newNode(t)
	changes := 0
	n.OnChange(func() {
		changes++
		if n.Current() == nil || n.Hash() != n.parse(n.Document()).Hash() {
			t.Error("called before the roster was in force")
		}
	})
	v1 := n.first("Test", "PT", "ES")
	v2 := n.next(v1, 2, "FR")
	v3 := n.next(v2, 3)
	in := n.installs(n.hash(v1), v1)
	if in.Version != 1 || in.Added != 1 || in.Members != 2 || in.Hash != n.hash(v1) || in.Anchor != in.Hash || in.Name != "Test" || len(in.Warnings) != 0 {
		t.Errorf("installed %+v", in)
	}
	before := n.Current()
	for _, again := range [][][]byte{{v1}, {v1, v1}} {
		if in := n.installs("", again...); in.Added != 0 || in.Version != 1 {
			t.Errorf("again: %+v", in)
		}
	}
	if n.Current() != before || changes != 1 {
		t.Errorf("a repetition changed the roster (%d changes)", changes)
	}
	in = n.installs("", v3, v1, v2)
	if in.Version != 3 || in.Added != 2 || in.Members != 3 || in.Anchor != n.hash(v1) || changes != 2 {
		t.Errorf("two versions at once: %+v, %d changes", in, changes)
	}
	if _, ok := n.Current().ByCountry("FR"); !ok {
		t.Error("FR is not in the roster in force")
	}
	if before.Version != 1 {
		t.Error("a roster that was handed out changed")
	}
	n.close()
	n.open()
	if n.Current().Version != 3 || n.Hash() != n.hash(v3) || n.Anchor() != n.hash(v1) || !bytes.Equal(n.Document(), v3) {
		t.Error("another roster after a restart")
	}
	chain, err := n.Chain()
	n.ok(err)
	if !slices.EqualFunc(chain, [][]byte{v1, v2, v3}, bytes.Equal) {
		t.Error("the chain is not what was installed")
	}
	newcomer := newNode(t)
	if in := newcomer.installs(n.Anchor(), chain...); in.Version != 3 || in.Added != 3 {
		t.Errorf("a newcomer installed %+v", in)
	}
	if got := len(n.entries(store.AuditQuery{Action: string(protocol.ActAdminister), Kind: "roster"})); got != 2 {
		t.Errorf("%d entries of installations, want 2", got)
	}
	if got := len(n.entries(store.AuditQuery{Decision: "deny"})); got != 0 {
		t.Errorf("%d refusals in the log, want none", got)
	}
}

func TestAnchorForms(t *testing.T) {
	f := federation{t, holderKeys()}
	v1 := f.first("Test", "PT")
	hash, fingerprint := f.hash(v1), f.parse(v1).Fingerprint()
	for _, anchor := range []string{
		hash, " " + hash + "\n", strings.ToUpper(hash), strings.TrimPrefix(hash, "sha256:"), fingerprint, strings.ReplaceAll(fingerprint, " ", ""), strings.ReplaceAll(fingerprint, " ", "\n"),
	} {
		if in := newNode(t).installs(anchor, v1); in.Anchor != hash {
			t.Errorf("%q: anchor %s", anchor, in.Anchor)
		}
	}
}

func TestRetriedCommand(t *testing.T) {
	n := newNode(t)
	v1 := n.first("Test", "PT")
	v2 := n.next(v1, 2, "ES")
	first, err := n.Install(ctx, chief, "k1", [][]byte{v1}, n.hash(v1))
	n.ok(err)
	n.installs("", v2)
	// The retry of a command that was followed by another gets its own result, not the refusal of an older version.
	again, err := n.Install(ctx, chief, "k1", [][]byte{v1}, n.hash(v1))
	if err != nil || again.Version != 1 || again.Added != first.Added {
		t.Errorf("retry: %+v, %v", again, err)
	}
	if n.Current().Version != 2 || len(n.entries(store.AuditQuery{Decision: "deny"})) != 0 {
		t.Error("the retry changed something")
	}
	if _, err := n.Install(ctx, chief, "k1", [][]byte{v2}, ""); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("the key for another roster: %v, want ErrConflict", err)
	}
}

func TestOthersInstallNothing(t *testing.T) {
	n := newNode(t)
	v1 := n.first("Test", "PT")
	for _, role := range policy.Roles() {
		if role == policy.Administrator {
			continue
		}
		_, err := n.Install(ctx, desk.Actor{Name: "anna", Roles: []string{role}}, "", [][]byte{v1}, n.hash(v1))
		if !errors.Is(err, desk.ErrForbidden) || n.Current() != nil {
			t.Errorf("%s: %v, want ErrForbidden", role, err)
		}
	}
	if got := len(n.entries(store.AuditQuery{Actor: "anna", Decision: "deny"})); got != len(policy.Roles())-1 {
		t.Errorf("%d refusals in the log, want %d", got, len(policy.Roles())-1)
	}
}

// Many install different versions of one chain at once: the roster only ever goes forward, and every reader sees a whole state.
func TestInstallTogether(t *testing.T) {
	n := newNode(t)
	chain := [][]byte{n.first("Test", "PT")}
	for range 5 {
		chain = append(chain, n.next(chain[len(chain)-1], 2))
	}
	anchor := n.hash(chain[0])
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	readers.Go(func() {
		last := 0
		for {
			st := n.Service.now.Load()
			if v := st.version(); v < last || v > 0 && (st.roster.Version != v || st.document.Hash() != st.hash()) {
				t.Errorf("version %d after %d, or a state that contradicts itself", v, last)
			} else {
				last = v
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range chain {
		writers.Go(func() {
			_, err := n.Install(ctx, chief, fmt.Sprint("k", i), chain[:i+1], anchor)
			if err != nil && !errors.Is(err, desk.ErrConflict) {
				t.Errorf("up to version %d: %v", i+1, err)
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if n.Current().Version != len(chain) {
		t.Errorf("version %d in force, want %d", n.Current().Version, len(chain))
	}
}

func peerID(t *testing.T, keys *crypto.Keys) string {
	t.Helper()
	id, err := peer.IDFromPrivateKey(keys.HostKey())
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func protocolCountry(s string) protocol.Country {
	c, err := protocol.ParseCountry(s)
	if err != nil {
		panic(err)
	}
	return c
}
