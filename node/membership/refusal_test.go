package membership

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/store"
)

// What is refused changes nothing, says what to do, and is in the log where it may be an attack.
func TestRefused(t *testing.T) {
	f := federation{t, holderKeys()}
	v1 := f.first("Test", "PT", "ES")
	v2 := f.next(v1, 2, "FR")
	v3 := f.next(v2, 2)
	other := f.first("Another", "PT")
	fork2 := f.next(v1, 2, "DE")
	fork3 := f.next(fork2, 2)
	unsigned, err := f.parse(v2).Next(start)
	f.ok(err)

	// ES with other keys, without the consent of the old ones, as k of n holders might be made to sign it.
	stolen := forgeEntry(t, f, v2, member(countryKeys("ZZ"), "ES", start.Add(time.Hour), start.AddDate(2, 0, 0)))

	anchor := f.hash(v1)
	for _, c := range []struct {
		what      string
		installed [][]byte
		documents [][]byte
		anchor    string
		class     error
		ground    string // of the audit entry; "" = none
		words     string
	}{
		{"nothing", nil, nil, anchor, desk.ErrInvalid, "", "name the roster's file"},
		{"no roster", nil, [][]byte{[]byte("{}")}, anchor, desk.ErrInvalid, "", "document 1 of 1"},
		{"one broken document", nil, [][]byte{v1, v2[:len(v2)/2]}, anchor, desk.ErrInvalid, "", "document 2 of 2"},
		{"too many documents", nil, slices.Repeat([][]byte{v1}, MaxDocuments+1), anchor, desk.ErrInvalid, "", "several steps"},
		{"too many bytes", nil, slices.Repeat([][]byte{make([]byte, MaxBytes/MaxDocuments+1)}, MaxDocuments), anchor, desk.ErrInvalid, "", "several steps"},
		{"no anchor", nil, [][]byte{v1}, " ", desk.ErrInvalid, "", "needs the anchor"},
		{"no anchor at all", nil, [][]byte{v1}, "yes", desk.ErrInvalid, "", "is no anchor"},
		{"half an anchor", nil, [][]byte{v1}, anchor[:40], desk.ErrInvalid, "", "is no anchor"},
		{"no first version", nil, [][]byte{v2, v3}, anchor, desk.ErrInvalid, "", "every version from 1 on"},
		{"a gap", nil, [][]byte{v1, v3}, anchor, desk.ErrInvalid, "", "versions between"},
		{"wrong anchor", nil, [][]byte{v1}, f.hash(other), desk.ErrConflict, "wrong-anchor", "do not install"},
		{"wrong fingerprint", nil, [][]byte{v1}, f.parse(other).Fingerprint(), desk.ErrConflict, "wrong-anchor", f.parse(v1).Fingerprint()},
		{"the anchor of a later version", nil, [][]byte{v1, v2}, f.hash(v2), desk.ErrConflict, "wrong-anchor", "do not install"},
		{"another federation", nil, [][]byte{other}, anchor, desk.ErrConflict, "wrong-anchor", "do not install"},
		{"first version with one signature", nil, [][]byte{f.less(v1)}, anchor, desk.ErrConflict, "too-few-signatures", "Ask the key holders"},
		{"second version with one signature", nil, [][]byte{v1, f.less(v2)}, anchor, desk.ErrConflict, "too-few-signatures", "Ask the key holders"},
		{"two of one version", nil, [][]byte{v1, v2, fork2}, anchor, desk.ErrConflict, "fork", f.parse(fork2).Fingerprint()},
		{"a chain that changes its past", nil, [][]byte{v1, v2, fork3}, anchor, desk.ErrConflict, "broken-chain", "Do not choose"},

		{"a gap after what is installed", [][]byte{v1}, [][]byte{v3}, "", desk.ErrInvalid, "", "versions between"},
		{"fork of what is installed", [][]byte{v1, v2}, [][]byte{fork2}, "", desk.ErrConflict, "fork", f.parse(v2).Fingerprint()},
		{"fork of an older one", [][]byte{v1, v2, v3}, [][]byte{fork2}, "", desk.ErrConflict, "fork", "Do not choose"},
		{"fork that leads on", [][]byte{v1, v2}, [][]byte{v1, fork2, fork3}, "", desk.ErrConflict, "fork", "Do not choose"},
		{"next of a fork", [][]byte{v1, v2}, [][]byte{fork3}, "", desk.ErrConflict, "broken-chain", "Do not choose"},
		{"another federation's first", [][]byte{v1}, [][]byte{other}, "", desk.ErrConflict, "fork", "Do not choose"},
		{"another federation's anchor", [][]byte{v1}, [][]byte{other}, f.hash(other), desk.ErrConflict, "wrong-anchor", "make a new node"},
		{"an older version", [][]byte{v1, v2, v3}, [][]byte{v2}, "", desk.ErrConflict, "older-version", "never goes back"},
		{"older versions", [][]byte{v1, v2, v3}, [][]byte{v1, v2}, anchor, desk.ErrConflict, "older-version", "latest"},
		{"a draft", [][]byte{v1, v2}, [][]byte{f.sign(unsigned, 0)}, "", desk.ErrConflict, "too-few-signatures", "Ask the key holders"},
		{"stolen keys", [][]byte{v1, v2}, [][]byte{stolen}, "", desk.ErrConflict, "key-change", "old key"},
	} {
		t.Run(c.what, func(t *testing.T) {
			n := newNode(t)
			if c.installed != nil {
				n.installs(anchor, c.installed...)
			}
			before := n.Service.now.Load()
			n.OnChange(func() { t.Error("OnChange was called") })
			in, err := n.Install(ctx, chief, "k1", c.documents, c.anchor)
			if in != nil || !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.words) {
				t.Fatalf("installed %v, error %v, want %v with %q", in != nil, err, c.class, c.words)
			}
			if n.Hash() != before.hash() {
				t.Error("another roster is in force")
			}
			denied := n.entries(store.AuditQuery{Decision: "deny", Actor: "chief"}) // evidence of a fork is kept by the node
			if c.ground == "" && len(denied) != 0 || c.ground != "" && (len(denied) != 1 || denied[0].Ground != c.ground || denied[0].Actor != "chief" || denied[0].Object == "") {
				t.Errorf("refusals in the log %+v, want ground %q", denied, c.ground)
			}
			n.close()
			n.open()
			if n.Hash() != before.hash() || n.Anchor() != before.anchor() {
				t.Error("another roster after a restart")
			}
			if c.installed == nil { // the refusal spoils nothing, and its key is free again
				if in, err := n.Install(ctx, chief, "k1", [][]byte{v1}, anchor); err != nil || in.Version != 1 {
					t.Errorf("the right roster afterwards: %v", err)
				}
			}
		})
	}
}

// less is a document with its first signature alone.
func (f federation) less(raw []byte) []byte {
	f.t.Helper()
	d := f.parse(raw)
	cut := bytes.Index(raw, []byte(`},{"protected"`))
	if cut < 0 || len(d.Signatures()) != 2 {
		f.t.Fatal("the document has no second signature to cut off")
	}
	short := append(bytes.Clone(raw[:cut]), "}]}"...)
	if len(f.parse(short).Signatures()) != 1 {
		f.t.Fatal("the cut document has not one signature")
	}
	return short
}

func TestWarnings(t *testing.T) {
	f := federation{t, holderKeys()}
	pt, es := countryKeys("PT"), countryKeys("ES")
	self := Self{KeyID: pt.Signer().KeyID(), PeerID: peerID(t, pt)}
	foreign := Self{KeyID: es.Signer().KeyID(), PeerID: peerID(t, es)}
	roster1 := func(from, until time.Time, status roster.Status) *roster.Roster {
		var holders []roster.Holder
		for _, h := range f.holder {
			holders = append(holders, h.Holder())
		}
		d, err := roster.Create("Test", holders, 2, start, start.AddDate(1, 0, 0))
		f.ok(err)
		f.ok(d.Add(member(pt, "PT", from, until), start))
		f.ok(d.SetStatus("PT", status, start))
		return d.Roster()
	}
	year := func(n int) time.Time { return start.AddDate(n, 0, 0) }
	sound := roster1(start, year(3), roster.Active)
	for _, c := range []struct {
		what    string
		roster  *roster.Roster
		now     time.Time
		country string
		self    *Self
		want    []string
	}{
		{"all is well", sound, start, "PT", &self, nil},
		{"keys not given", sound, start, "PT", nil, nil},
		{"not listed", sound, start, "ES", &foreign, []string{"ES is not in the roster"}},
		{"other keys", sound, start, "PT", &foreign, []string{"other signing keys", "other peer IDs"}},
		{"soon to expire", sound, year(1).AddDate(0, 0, -29), "PT", &self, []string{"roster expires on 2027-03-02"}},
		{"expired", sound, year(1), "PT", &self, []string{"roster expired on 2027-03-02"}},
		{"from the future", sound, start.Add(-time.Hour), "PT", &self, []string{"This machine's clock is wrong: it shows"}},
		{"within the skew of clocks", roster1(start.Add(-time.Hour), year(3), roster.Active), start.Add(-4 * time.Minute), "PT", &self, nil},
		{"suspended", roster1(start, year(3), roster.Suspended), start, "PT", &self, []string{"suspended since 2026-03-02"}},
		{"entry soon to expire", roster1(start, start.AddDate(0, 0, 20), roster.Active), start, "PT", &self, []string{"entry of PT expires on 2026-03-22"}},
		{"entry expired", roster1(start, start.AddDate(0, 0, 20), roster.Active), start.AddDate(0, 0, 20), "PT", &self, []string{"entry of PT expired on 2026-03-22"}},
	} {
		got := warnings(c.roster, c.now, protocolCountry(c.country), c.self)
		ok := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			ok = ok && strings.Contains(got[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// A bureau may install a roster that it is not in; it is told.
func TestInstallAsStranger(t *testing.T) {
	pt := countryKeys("PT")
	n := newNode(t, WithSelf(func() Self { return Self{KeyID: pt.Signer().KeyID(), PeerID: peerID(t, pt)} }))
	v1 := n.first("Test", "ES", "FR")
	if in := n.installs(n.hash(v1), v1); len(in.Warnings) != 1 || !strings.Contains(in.Warnings[0], "PT is not in the roster") {
		t.Errorf("warnings %q", in.Warnings)
	}
	if in := n.installs("", n.next(v1, 2, "PT")); len(in.Warnings) != 0 {
		t.Errorf("warnings as a member %q", in.Warnings)
	}
	if w := n.Warnings(start.AddDate(1, 0, 0)); len(w) != 1 || !strings.Contains(w[0], "expired") {
		t.Errorf("warnings a year later %q", w)
	}
}

// A store that was tampered with does not bring a roster into force.
func TestDamagedStore(t *testing.T) {
	f := federation{t, holderKeys()}
	v1 := f.first("Test", "PT")
	v2 := f.next(v1, 2)
	other := f.next(v1, 2, "ES")
	for what, damage := range map[string]func(tx *store.Tx) error{
		"a version is missing": func(tx *store.Tx) error { return versions.Delete(tx, versionID(1)) },
		"another document": func(tx *store.Tx) error {
			v, err := versions.Get(tx, versionID(2))
			if err != nil {
				return err
			}
			if v.Blob, err = tx.PutBlob(other); err != nil {
				return err
			}
			return versions.Put(tx, versionID(2), v)
		},
		"no document": func(tx *store.Tx) error {
			v, err := versions.Get(tx, versionID(2))
			if err != nil {
				return err
			}
			return tx.DeleteBlob(v.Blob)
		},
	} {
		n := newNode(t)
		n.installs(f.hash(v1), v1, v2)
		f.ok(n.desk.Store.Update(ctx, damage))
		if _, err := New(n.desk); err == nil {
			t.Errorf("%s: the roster is loaded", what)
		}
	}
}

// forgeEntry is the version after prev with another entry in the place of its country's, put there past all checks and signed by two
// holders.
func forgeEntry(t *testing.T, f federation, prev []byte, entry string) []byte {
	t.Helper()
	m, err := roster.OpenMember(entry)
	f.ok(err)
	draft, err := f.parse(prev).Next(start)
	f.ok(err)
	var general struct {
		Payload    string `json:"payload"`
		Signatures []any  `json:"signatures"`
	}
	f.ok(json.Unmarshal(f.sign(draft, 0), &general))
	payload, err := base64.RawURLEncoding.DecodeString(general.Payload)
	f.ok(err)
	for _, l := range draft.Roster().Members {
		if l.Country == m.Country {
			payload = bytes.Replace(payload, []byte(l.Entry), []byte(entry), 1)
		}
	}
	general.Payload = base64.RawURLEncoding.EncodeToString(payload)
	forged, err := json.Marshal(general)
	f.ok(err)
	return f.sign(f.parse(forged), 2)
}

func FuzzParseAnchor(f *testing.F) {
	for _, s := range []string{"", "sha256:", strings.Repeat("0", 40), strings.Repeat("aB", 32), "sha256:" + strings.Repeat("f", 64), strings.Repeat("12345 ", 8), strings.Repeat("1", 257)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		hash, fingerprint, err := parseAnchor(given)
		if (err == nil) == (hash == "" && fingerprint == "") || hash != "" && fingerprint != "" || err != nil && !errors.Is(err, desk.ErrInvalid) {
			t.Fatalf("%q: hash %q, fingerprint %q, %v", given, hash, fingerprint, err)
		}
		if hash != "" && len(hash) != len("sha256:")+64 || fingerprint != "" && len(fingerprint) != 47 {
			t.Fatalf("%q: hash %q, fingerprint %q", given, hash, fingerprint)
		}
	})
}
