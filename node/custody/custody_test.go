package custody

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

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/backup"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var admin = desk.Actor{Name: "admin", Roles: []string{policy.Administrator}}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// bureau is a country's store with backups and custody over it.
type bureau struct {
	t       *testing.T
	dir     string
	country protocol.Country
	keys    *crypto.Keys
	store   *store.Store
	backup  *backup.Service
	now     time.Time
	options Options
	*Service
}

// bureaus makes stores of countries that share one roster. What one sends the others take, in process.
func bureaus(t *testing.T, countries ...protocol.Country) map[protocol.Country]*bureau {
	t.Helper()
	out := map[protocol.Country]*bureau{}
	holder := must(crypto.GenerateKeys(rand.Reader))
	draft := must(roster.Create("test", []roster.Holder{{Name: "holder", Key: holder.SigningJWK()}}, 1, begin, begin.Add(240*time.Hour)))
	for _, c := range countries {
		b := &bureau{t: t, dir: t.TempDir(), country: c, keys: must(crypto.GenerateKeys(rand.Reader))}
		out[c] = b
		origin := "proofmark." + string(c)
		var signer note.Signer = must(b.keys.LogSigner(origin))
		master := must(crypto.NewMasterKey(rand.Reader))
		b.now = begin
		now := func() time.Time { return b.now }
		b.store = must(store.Open(store.Options{Dir: filepath.Join(b.dir, "store"), Key: master.Derive("badger"), Now: now, Random: rand.Reader, Signer: signer, MemTable: 8 << 20, Cache: 4 << 20}))
		t.Cleanup(func() { b.store.Close() })
		d := &desk.Desk{Store: b.store, Policy: policy.Default, Country: c}
		b.backup = backup.New(backup.Options{Desk: d, Signer: b.keys.Signer, Master: master, Now: now, Random: rand.Reader,
			Files: func() ([]backup.File, error) {
				return []backup.File{{Name: "keys.sealed", Content: must(b.keys.Seal(master))}}, nil
			}})
		must(b.backup.SetRecovery(t.Context(), admin, "", must(crypto.NewRecoveryKey(rand.Reader)).JWK(), false))
		entry := must(roster.SignMember(roster.Member{Country: string(c), Name: "NCB " + string(c), PeerIDs: []string{peerID(b.keys)}, SigningKeys: []json.RawMessage{b.keys.SigningJWK()},
			SealingKeys: []json.RawMessage{b.keys.SealingJWK()}, LogKey: b.keys.LogVerifierKey(origin), ValidFrom: begin.Add(-time.Hour), ValidUntil: begin.Add(240 * time.Hour)}, b.keys.Signer()))
		if err := draft.Add(entry, begin); err != nil {
			t.Fatal(err)
		}
		b.options = Options{Desk: d, Signer: b.keys.Signer, Dir: filepath.Join(b.dir, "custody"), Grants: map[protocol.Country]int64{}, Now: now, Random: rand.Reader, Roster: draft.Roster}
		b.options.Ask = func(ctx context.Context, holder protocol.Country, q Question, _ int64) (Proof, error) {
			return out[holder].Prove(ctx, c, q)
		}
		b.options.Send = func(ctx context.Context, to protocol.Country, o Offer, file io.ReaderAt, _ func(int64)) (string, int64, error) {
			return hand(ctx, out[to].Service, c, o, io.NewSectionReader(file, 0, o.Size))
		}
		b.Service = New(b.options)
	}
	return out
}

func peerID(k *crypto.Keys) string { return must(peer.IDFromPrivateKey(k.HostKey())).String() }

// hand gives a holder what it lacks of a file.
func hand(ctx context.Context, holder *Service, owner protocol.Country, o Offer, file io.ReadSeeker) (string, int64, error) {
	in, err := holder.Take(ctx, owner, o)
	if err != nil || in.Receipt != "" {
		if in != nil {
			return in.Receipt, 0, err
		}
		return "", 0, err
	}
	defer in.Close()
	if err := in.Start(in.Have); err != nil {
		return "", 0, err
	}
	if _, err := file.Seek(in.Have, io.SeekStart); err != nil {
		return "", 0, err
	}
	buf := make([]byte, 1000)
	for sent := int64(0); ; {
		n, err := file.Read(buf)
		if errors.Is(err, io.EOF) {
			r, err := in.Done(ctx)
			return r, sent, err
		}
		if err == nil {
			err = in.Add(buf[:n])
		}
		if err != nil {
			return "", sent, err
		}
		sent += int64(n)
	}
}

// made is a backup in memory with its offer.
type made struct {
	Offer
	raw []byte
	id  string
}

func (b *bureau) make(name, since string) made {
	b.t.Helper()
	if err := b.store.Update(b.t.Context(), func(tx *store.Tx) error {
		return tx.Put("test/"+name, []byte(rand.Text()+strings.Repeat(name, 1000)))
	}); err != nil {
		b.t.Fatal(err)
	}
	var buf bytes.Buffer
	m := must(b.backup.Create(b.t.Context(), admin, backup.Request{Since: since}, &buf, nil))
	head := must(backup.ReadHead(bytes.NewReader(buf.Bytes())))
	return made{Offer{Name: name + backup.Suffix, Size: m.Size, SHA256: m.SHA256, Head: head.JWS()}, buf.Bytes(), m.ID}
}

func (b *bureau) files(owner string) (out []string) {
	entries, err := os.ReadDir(filepath.Join(b.options.Dir, owner))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// folderOf writes backups of one chain as the command does.
func (b *bureau) folderOf(chain ...made) string {
	b.t.Helper()
	dir := b.t.TempDir()
	index := backup.Index{Country: b.country}
	for i, m := range chain {
		index.Files = append(index.Files, backup.Part{Name: m.Name, ID: m.id, Chain: chain[0].id, Number: i, SHA256: m.SHA256, Size: m.Size, Made: begin})
		if err := os.WriteFile(filepath.Join(dir, m.Name), m.raw, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, backup.IndexName), must(json.Marshal(index)), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return dir
}

func TestWhatAHolderTakes(t *testing.T) {
	all := bureaus(t, "PT", "ES", "FR")
	pt, es, fr := all["PT"], all["ES"], all["FR"]
	es.options.Grants["PT"] = 1 << 20
	ctx := t.Context()
	full := pt.make("full", "")
	one := pt.make("one", full.id)
	two := pt.make("two", one.id)
	foreign := fr.make("foreign", "")
	give := func(m made) error {
		_, _, err := hand(ctx, es.Service, "PT", m.Offer, bytes.NewReader(m.raw))
		return err
	}
	with := func(m made, f func(*made)) made { f(&m); return m }
	check := func(name string, m made, want string) {
		t.Helper()
		err := give(m)
		if want == "" && err != nil || want != "" && (!errors.As(err, new(Refusal)) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	check("an increment first", one, "the full backup of chain")
	check("another country's", foreign, "is a backup of FR")
	check("another country's head on its own bytes", with(full, func(m *made) { m.Head = foreign.Head }), "is a backup of FR")
	check("a head that is none", with(full, func(m *made) { m.Head = "x" }), "not a backup")
	check("a name with slashes", with(full, func(m *made) { m.Name = "../full.backup" }), "letters, digits")
	check("a hash that climbs", with(full, func(m *made) { m.SHA256 = "../" + m.SHA256[3:] }), "not a SHA-256")
	check("no bytes", with(full, func(m *made) { m.Size = 0 }), "0 bytes")
	check("more than is granted", with(full, func(m *made) { m.Size = 2 << 20 }), "of the 1048576 that are granted to PT, 0 are used")
	check("more than any disk", with(full, func(m *made) { m.Size = 1 << 62 }), "granted")
	check("another hash", with(full, func(m *made) { m.SHA256 = strings.Repeat("0a", 32) }), "is not the file that was offered")
	check("a bit flipped", with(full, func(m *made) { m.raw = bytes.Clone(m.raw); m.raw[len(m.raw)/2] ^= 1 }), "is not the file that was offered")
	check("truncated", with(full, func(m *made) { m.raw = m.raw[:len(m.raw)-1] }), "is not the file that was offered")
	check("the head of another of its backups", with(full, func(m *made) { m.Head = pt.make("other", "").Head }), "is not the file that was offered")
	if left := es.files("PT"); len(left) != 0 {
		t.Errorf("what was refused left %v", left)
	}
	if _, err := fr.Take(ctx, "PT", full.Offer); !errors.As(err, new(Refusal)) || !strings.Contains(err.Error(), "keeps no copies for PT") {
		t.Errorf("without a grant: %v", err)
	}
	check("full", full, "")
	check("a gap", two, "number 2 where number 1 is wanted")
	check("one", one, "")
	check("one again", one, "")
	check("one with another content", with(one, func(m *made) { m.SHA256 = strings.Repeat("0a", 32) }), "with another content")
	check("another end of the chain", pt.make("twin", full.id), "number 1 where number 2 is wanted")
	check("two under a name that is taken", with(two, func(m *made) { m.Name = one.Name }), "under the name")
	check("two", two, "")
	es.options.Grants["PT"] = full.Size + one.Size + two.Size + 10
	check("a new chain without room beside the old one", pt.make("roomless", ""), "are used")
	if left := es.files("PT"); len(left) != 3 {
		t.Errorf("ES keeps %v", left)
	}
	es.options.Grants["PT"] = 1 << 20
	check("a new chain", pt.make("new", ""), "")
	check("a file of the old chain that is kept", one, "")
	check("the old chain goes on", pt.make("three", two.id), "belongs to a chain that another one followed")
	if left := es.files("PT"); len(left) != 4 {
		t.Errorf("after a new full one ES keeps %v", left)
	}
}

// A transfer that was cut goes on in the middle of the file, also after a restart; another file's beginnings are removed.
func TestTransfersGoOn(t *testing.T) {
	all := bureaus(t, "PT", "ES")
	pt, es := all["PT"], all["ES"]
	es.options.Grants["PT"] = 1 << 20
	full := pt.make("full", "")
	in := must(es.Take(t.Context(), "PT", full.Offer))
	half := full.Size / 2
	if err := errors.Join(in.Start(0), in.Add(full.raw[:half])); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if list := must(es.List(t.Context(), admin)); len(list) != 1 || list[0].Arriving != half || list[0].Complete || len(list[0].Files) != 0 {
		t.Errorf("in the middle: %+v", list)
	}
	if _, err := es.Begin(t.Context(), admin, "PT", ""); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("an export of half a file: %v", err)
	}
	es.Service = New(es.options)
	if in = must(es.Take(t.Context(), "PT", full.Offer)); in.Have != half || in.Prefix == "" {
		t.Fatalf("%d bytes are there, %d were taken", in.Have, half)
	}
	in.Close()
	if r, sent, err := hand(t.Context(), es.Service, "PT", full.Offer, bytes.NewReader(full.raw)); err != nil || r == "" || sent != full.Size-half {
		t.Errorf("%q, %d bytes, %v", r, sent, err)
	}
	next := pt.make("next", full.id)
	in = must(es.Take(t.Context(), "PT", next.Offer))
	if err := errors.Join(in.Start(0), in.Add(next.raw[:100])); err != nil {
		t.Fatal(err)
	}
	in.Close()
	must(es.Take(t.Context(), "PT", pt.make("instead", full.id).Offer)).Close()
	if left := es.files("PT"); len(left) != 1 {
		t.Errorf("ES keeps %v", left)
	}
}

// A receipt counts only when the holder's own key signed it for this very file.
func TestReceiptsAreHeldAgainstTheFile(t *testing.T) {
	all := bureaus(t, "PT", "ES", "FR")
	pt, es, fr := all["PT"], all["ES"], all["FR"]
	full := pt.make("full", "")
	folder := pt.folderOf(full)
	good := protocol.CustodyReceipt{Holder: "ES", Owner: "PT", Name: full.Name, ID: full.id, Chain: full.id, Size: full.Size, SHA256: full.SHA256, At: begin}
	sign := func(by *bureau, typ string, f func(*protocol.CustodyReceipt)) string {
		r := good
		f(&r)
		return must(by.keys.Signer().Sign(typ, must(json.Marshal(r))))
	}
	same := func(*protocol.CustodyReceipt) {}
	for _, q := range []struct {
		name, receipt string
		good          bool
	}{
		{"none", "", false}, {"garbage", "a.b.c", false}, {"another's signature", sign(fr, crypto.TypeCustody, same), false}, {"signed for another use", sign(es, crypto.TypeReceipt, same), false},
		{"another hash", sign(es, crypto.TypeCustody, func(r *protocol.CustodyReceipt) { r.SHA256 = strings.Repeat("0a", 32) }), false},
		{"another size", sign(es, crypto.TypeCustody, func(r *protocol.CustodyReceipt) { r.Size++ }), false},
		{"another owner", sign(es, crypto.TypeCustody, func(r *protocol.CustodyReceipt) { r.Owner = "FR" }), false},
		{"another holder", sign(es, crypto.TypeCustody, func(r *protocol.CustodyReceipt) { r.Holder = "FR" }), false},
		{"another name", sign(es, crypto.TypeCustody, func(r *protocol.CustodyReceipt) { r.Name = "../x" }), false},
		{"a chain before without an end", sign(es, crypto.TypeCustody, func(r *protocol.CustodyReceipt) { r.Previous = strings.Repeat("0a", 16) }), false}, {"without a time", sign(es, crypto.TypeCustody, func(r *protocol.CustodyReceipt) { r.At = time.Time{} }), false},
		{"good", sign(es, crypto.TypeCustody, same), true},
	} {
		o := pt.options
		o.Send = func(context.Context, protocol.Country, Offer, io.ReaderAt, func(int64)) (string, int64, error) {
			return q.receipt, 0, nil
		}
		s := New(o)
		sent, err := s.Send(t.Context(), admin, Request{Folder: folder, Holders: []string{"ES"}}, nil)
		if err != nil || (sent[0].Fault == "") != q.good || sent[0].Kept == 1 != q.good {
			t.Errorf("%s: %+v, %v", q.name, sent, err)
		}
		if status := must(s.Status(t.Context(), admin)); (len(status) == 1) != q.good {
			t.Errorf("%s: the owner keeps %+v", q.name, status)
		}
	}
	tech := desk.Actor{Name: "tina", Roles: []string{policy.Technician}}
	if _, err := pt.Send(t.Context(), tech, Request{Folder: folder, Holders: []string{"ES"}}, nil); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician sends copies: %v", err)
	}
	if _, err := fr.Send(t.Context(), admin, Request{Folder: folder, Holders: []string{"ES"}}, nil); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("FR sends what PT has made: %v", err)
	}
}
