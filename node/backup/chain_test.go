package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// bureau is a store with the acts of backup over it.
type bureau struct {
	t        *testing.T
	dir      string
	store    *store.Store
	keys     *crypto.Keys
	master   crypto.MasterKey
	recovery *crypto.RecoveryKey
	*Service
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var admin = desk.Actor{Name: "admin", Roles: []string{policy.Administrator}}

func newBureau(t *testing.T, country protocol.Country) *bureau {
	t.Helper()
	b := &bureau{t: t, dir: t.TempDir(), keys: must(crypto.GenerateKeys(rand.Reader)), master: must(crypto.NewMasterKey(rand.Reader)), recovery: must(crypto.NewRecoveryKey(rand.Reader))}
	var signer note.Signer = must(b.keys.LogSigner("proofmark." + string(country)))
	now := func() time.Time { return begin }
	b.store = must(store.Open(store.Options{Dir: filepath.Join(b.dir, "store"), Key: b.master.Derive("badger"), Now: now, Random: rand.Reader, Signer: signer, MemTable: 8 << 20, Cache: 4 << 20}))
	t.Cleanup(func() { b.store.Close() })
	b.Service = New(Options{Desk: &desk.Desk{Store: b.store, Policy: policy.Default, Country: country}, Signer: b.keys.Signer, Master: b.master, Now: now, Random: rand.Reader,
		Files: func() ([]File, error) {
			return []File{{"keys.sealed", must(b.keys.Seal(b.master))}, {"policy/a.cedar", []byte("// none")}}, nil
		}})
	return b
}

func (b *bureau) setRecovery() {
	b.t.Helper()
	if _, err := b.SetRecovery(b.t.Context(), admin, "", b.recovery.JWK(), false); err != nil {
		b.t.Fatal(err)
	}
}

// write changes the database, makes a backup and writes it to a file.
func (b *bureau) write(name, since string) Part {
	b.t.Helper()
	if err := b.store.Update(b.t.Context(), func(tx *store.Tx) error { return tx.Put(name, bytes.Repeat([]byte(name), 50_000)) }); err != nil {
		b.t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := b.Create(b.t.Context(), admin, Request{Since: since}, &buf, nil); err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(b.dir, name+Suffix)
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return must(Measure(b.t.Context(), path, nil))
}

func TestChainsAreHeldInOrder(t *testing.T) {
	b := newBureau(t, "PT")
	if _, err := b.Create(t.Context(), admin, Request{}, &bytes.Buffer{}, nil); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "recovery init") {
		t.Errorf("a backup without a recovery key: %v", err)
	}
	b.setRecovery()
	full := b.write("full", "")
	one := b.write("one", full.ID)
	two := b.write("two", one.ID)
	twin := b.write("twin", one.ID) // another end of the same chain
	name := func(p Part) string { return FileName(&Made{ID: p.ID, Chain: p.Chain, Number: p.Number, At: p.Made}) }
	if two.Made != twin.Made || name(two) == name(twin) || name(full) >= name(one) {
		t.Errorf("of one second, with one number: %s and %s; before them %s and %s", name(two), name(twin), name(full), name(one))
	}
	other := newBureau(t, "ES")
	other.setRecovery()
	foreign := other.write("foreign", "")
	foreignOne := other.write("foreign-one", foreign.ID)
	second := b.write("second", "")
	for _, c := range []struct {
		name  string
		parts []Part
		want  string // empty: whole
	}{
		{"whole", []Part{full, one, two}, ""},
		{"the other end", []Part{full, one, twin}, ""},
		{"the full one alone", []Part{full}, ""},
		{"nothing", nil, "there is no backup"},
		{"without the full one", []Part{one, two}, "the full backup of chain"},
		{"a gap", []Part{full, two}, "two.backup is number 2 where number 1 is wanted"},
		{"exchanged", []Part{full, two, one}, "two.backup is number 2 where number 1 is wanted"},
		{"both ends", []Part{full, one, two, twin}, "twin.backup is number 2 where number 3 is wanted"},
		{"another country's", []Part{full, foreignOne}, "is of ES"},
		{"another chain's full one", []Part{second, one, two}, "belongs to chain"},
	} {
		err := CheckOrder(c.parts)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrChain) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if got, err := Gather(t.Context(), []string{two.Path, full.Path, one.Path}, nil); err != nil || len(got) != 3 || got[2].ID != two.ID {
		t.Errorf("gathered in any order: %d files, %v", len(got), err)
	}
	// One bit of the file in the middle.
	raw := must(os.ReadFile(one.Path))
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(one.Path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Gather(t.Context(), []string{full.Path, one.Path, two.Path}, nil); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "two.backup follows a file with another content than one.backup") {
		t.Errorf("a changed file in the middle: %v", err)
	}
	if _, err := b.Create(t.Context(), admin, Request{Since: foreign.ID}, &bytes.Buffer{}, nil); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("an increment of another database's backup: %v", err)
	}
	if _, err := b.Create(t.Context(), desk.Actor{Name: "tina", Roles: []string{policy.Technician}}, Request{}, &bytes.Buffer{}, nil); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician's backup: %v", err)
	}
}

func TestFoldersKnowTheirFiles(t *testing.T) {
	b := newBureau(t, "PT")
	b.setRecovery()
	full := b.write("full", "")
	one := b.write("one", full.ID)
	index := func(parts ...Part) {
		t.Helper()
		raw := must(json.Marshal(Index{Country: "PT", Files: parts}))
		if err := os.WriteFile(filepath.Join(b.dir, IndexName), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	index(full, one)
	if got, err := Gather(t.Context(), []string{b.dir}, nil); err != nil || len(got) != 2 {
		t.Fatalf("%d files, %v", len(got), err)
	}
	lost := one
	lost.Name = "lost" + Suffix
	index(full, lost)
	if _, err := Gather(t.Context(), []string{b.dir}, nil); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "lost.backup is missing, the index names it as number 1") {
		t.Errorf("the last file is missing: %v", err)
	}
	index(full, one)
	if err := os.Truncate(one.Path, one.Size-1); err != nil {
		t.Fatal(err)
	}
	if _, err := Gather(t.Context(), []string{b.dir}, nil); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "is not the file that was written") {
		t.Errorf("the last file is cut: %v", err)
	}
	for name, raw := range map[string]string{"no JSON": "{", "a path that climbs": `{"files":[{"name":"../x.backup"}]}`, "a field twice": `{"files":[],"files":[]}`} {
		if err := os.WriteFile(filepath.Join(b.dir, IndexName), []byte(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadIndex(b.dir); err == nil {
			t.Errorf("%s was taken for an index", name)
		}
	}
}

func TestContentIsForTheRecoveryKeyAlone(t *testing.T) {
	b := newBureau(t, "PT")
	b.setRecovery()
	full := b.write("full", "")
	one := b.write("one", full.ID)
	v, err := VerifyContent(t.Context(), full, b.recovery, nil)
	if err != nil || v.Files != 2 || v.Records.Written < 3 || v.Records.Kept != 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	if v, err := VerifyContent(t.Context(), one, b.recovery, nil); err != nil || v.Records.Kept < 2 {
		t.Errorf("an increment: %+v, %v", v, err)
	}
	if _, err := VerifyContent(t.Context(), full, must(crypto.NewRecoveryKey(rand.Reader)), nil); !errors.Is(err, crypto.ErrNotForUs) || !strings.Contains(err.Error(), b.recovery.KeyID()) {
		t.Errorf("another recovery key: %v", err)
	}
	raw := must(os.ReadFile(full.Path))
	if bytes.Contains(raw, []byte("fullfull")) || bytes.Contains(raw, []byte("keys.sealed")) || bytes.Contains(raw, b.master[:]) {
		t.Error("the file shows what is in it")
	}
	body := len(magic) + 2 + len(full.Head.raw)
	for name, bad := range map[string][]byte{
		"cut by one byte": raw[:len(raw)-1], "cut to its head": raw[:body], "with a tail": append(bytes.Clone(raw), 0), "changed in its content": flip(raw, body+100),
		"changed at its end": flip(raw, len(raw)-1), "another's content": append(bytes.Clone(raw[:body]), must(os.ReadFile(one.Path))[body:]...),
		"changed in its head": flip(raw, 200), "changed in its magic": flip(raw, 0), "nothing": nil,
	} {
		path := filepath.Join(b.dir, "bad"+Suffix)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Measure(t.Context(), path, nil)
		if err == nil {
			_, err = VerifyContent(t.Context(), p, b.recovery, nil)
		}
		if !errors.Is(err, ErrContent) && !errors.Is(err, ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// What changes between the database's moment and the reading of the files is younger in the files, never older.
func TestTheFilesAreNotOlderThanTheDatabase(t *testing.T) {
	b := newBureau(t, "PT")
	b.setRecovery()
	var entries int64
	files := b.o.Files
	b.o.Files = func() ([]File, error) {
		entries = entriesOf(string(must(b.store.Checkpoint())))
		list, err := files()
		if err == nil { // a policy is put in force at this very moment
			err = b.store.Update(t.Context(), func(tx *store.Tx) error {
				tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActAlter, Decision: "permit"}, AuditBody: protocol.AuditBody{Actor: "admin", Kind: policy.KindPolicy, Event: "policy put in force"}})
				return nil
			})
		}
		return list, err
	}
	made, err := b.Create(t.Context(), admin, Request{}, io.Discard, nil)
	if err != nil || entries == 0 || made.Entries != entries {
		t.Errorf("the database in it has %d entries of the log, there were %d when the files were read; %v", made.Entries, entries, err)
	}
	b.o.Files = func() ([]File, error) { return nil, errors.New("no files today") }
	if _, err := b.Create(t.Context(), admin, Request{}, io.Discard, func(*Head) { t.Error("a backup without its files began") }); err == nil || !strings.Contains(err.Error(), "no files today") {
		t.Errorf("%v", err)
	}
}

// TestABrokenBackupIsKnownToNobody breaks off in the middle of a write.
func TestABrokenBackupIsKnownToNobody(t *testing.T) {
	b := newBureau(t, "PT")
	b.setRecovery()
	full := b.write("full", "")
	if _, err := b.Create(t.Context(), admin, Request{}, &narrow{room: 500}, nil); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Fatalf("a full disk: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	if _, err := b.Create(ctx, admin, Request{}, &narrow{room: 1 << 30, then: stop}, func(*Head) { stop() }); !errors.Is(err, context.Canceled) {
		t.Fatalf("a client that went away: %v", err)
	}
	n := 0
	if err := b.store.View(func(tx *store.Tx) error {
		for range Backups.All(tx) {
			n++
		}
		return tx.Err()
	}); err != nil || n != 1 {
		t.Errorf("%d backups are on record, want that of %s alone; %v", n, full.Name, err)
	}
}

// narrow takes so many bytes.
type narrow struct {
	room int
	then func()
}

func (n *narrow) Write(p []byte) (int, error) {
	if n.room -= len(p); n.room < 0 {
		return 0, errors.New("the disk is full")
	}
	return len(p), nil
}

func FuzzReadHead(f *testing.F) {
	keys := must(crypto.GenerateKeys(rand.Reader))
	recovery := must(crypto.NewRecoveryKey(rand.Reader))
	h := &Head{Version: version, Country: "PT", ID: strings.Repeat("a", 32), Chain: strings.Repeat("a", 32), Made: begin, UpTo: 7, Checkpoint: "proofmark.PT\n0\n\n", Recovery: recovery.KeyID(),
		Key: must(crypto.SealFor(recovery.JWK(), crypto.TypeBackupKey, make([]byte, 32))), Signing: keys.SigningJWK()}
	good := must(h.seal(keys.Signer()))
	f.Add(good)
	f.Add(good[:len(good)-5])
	f.Add([]byte(magic + "\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ReadHead(bytes.NewReader(b))
		if err == nil && h.check() != nil {
			t.Errorf("a head that breaks its own rules was read: %+v", h)
		}
		if err != nil && !errors.Is(err, ErrForm) {
			t.Errorf("%v", err)
		}
	})
}

func FuzzContents(f *testing.F) {
	f.Add("policy/a.cedar")
	f.Add("../../etc/passwd")
	f.Add("a/b/c")
	f.Fuzz(func(t *testing.T, name string) {
		c := contents{Master: make([]byte, 32), Files: []string{name}}
		if c.check() == nil && (filepath.IsAbs(name) || !filepath.IsLocal(name) || strings.Count(name, "/") > 1) {
			t.Errorf("%q would leave the data folder", name)
		}
	})
}
