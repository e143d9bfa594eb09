package roster

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto"
)

var day0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func seeded(s string) *rand.ChaCha8 {
	var seed [32]byte
	copy(seed[:], s)
	return rand.NewChaCha8(seed)
}

// bureau is one country with its keys, made from its name and a generation.
type bureau struct {
	country string
	keys    *crypto.Keys
}

func newBureau(t testing.TB, country, generation string) *bureau {
	t.Helper()
	k, err := crypto.GenerateKeys(seeded(country + generation))
	if err != nil {
		t.Fatal(err)
	}
	return &bureau{country, k}
}

func (b *bureau) member(t testing.TB) Member {
	t.Helper()
	id, err := peer.IDFromPrivateKey(b.keys.HostKey())
	if err != nil {
		t.Fatal(err)
	}
	return Member{
		Country: b.country, Name: "NCB " + b.country,
		PeerIDs: []string{id.String()}, Addresses: []string{"/ip4/127.0.0.1/udp/4001/quic-v1"},
		SigningKeys: []json.RawMessage{b.keys.SigningJWK()}, SealingKeys: []json.RawMessage{b.keys.SealingJWK()},
		LogKey:    b.keys.LogVerifierKey("proofmark." + b.country),
		ValidFrom: day0, ValidUntil: day0.AddDate(2, 0, 0),
	}
}

func (b *bureau) entry(t testing.TB, changes ...func(*Member)) string {
	t.Helper()
	m := b.member(t)
	for _, change := range changes {
		change(&m)
	}
	entry, err := SignMember(m, b.keys.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

func later(days int) func(*Member) { return func(m *Member) { m.ValidFrom = day0.AddDate(0, 0, days) } }

func newHolderKey(t testing.TB, name string) *HolderKey {
	t.Helper()
	private, _, err := newHolder(name, []byte("pass of "+name), seeded(name), crypto.TestCost)
	if err != nil {
		t.Fatal(err)
	}
	h, err := OpenHolder(private, []byte("pass of "+name))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// federation is three holders of whom two must sign, and three members.
type federation struct {
	holders []*HolderKey
	bureaus map[string]*bureau
}

func newFederation(t testing.TB) *federation {
	t.Helper()
	f := &federation{bureaus: map[string]*bureau{}}
	for _, name := range []string{"Ana", "Bruno", "Chloé"} {
		f.holders = append(f.holders, newHolderKey(t, name))
	}
	for _, c := range []string{"PT", "ES", "FR"} {
		f.bureaus[c] = newBureau(t, c, "")
	}
	return f
}

func (f *federation) public() []Holder {
	var list []Holder
	for _, h := range f.holders {
		list = append(list, h.Holder())
	}
	return list
}

func (f *federation) draft(t testing.TB) *Document {
	t.Helper()
	d, err := Create("Iberia", f.public(), 2, day0, day0.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"PT", "ES", "FR"} {
		if err := d.Add(f.bureaus[c].entry(t), day0); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (f *federation) first(t testing.TB) *Document {
	t.Helper()
	return f.sign(t, f.draft(t), 2)
}

func (f *federation) sign(t testing.TB, d *Document, n int) *Document {
	t.Helper()
	for _, h := range f.holders[:n] {
		if err := d.Sign(h); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (f *federation) next(t testing.TB, prev *Document) *Document {
	t.Helper()
	d, err := prev.Next(prev.roster.Issued.AddDate(0, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// forge writes a document over any roster with the given signers, without any check.
func forge(t testing.TB, r *Roster, signers ...*HolderKey) []byte {
	t.Helper()
	payload, err := encodeCanonical(r)
	if err != nil {
		t.Fatal(err)
	}
	return forgeBytes(t, payload, signers...)
}

func forgeBytes(t testing.TB, payload []byte, signers ...*HolderKey) []byte {
	t.Helper()
	g := general{Payload: base64.RawURLEncoding.EncodeToString(payload), Signatures: []signature{}}
	for _, h := range signers {
		compact, err := h.signer.Sign(crypto.TypeRoster, payload)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(compact, ".")
		g.Signatures = append(g.Signatures, signature{Protected: parts[0], Signature: parts[2]})
	}
	b, err := encodeCanonical(g)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, b []byte) *Document {
	t.Helper()
	d, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func marshal(t testing.TB, d *Document) []byte {
	t.Helper()
	b, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one that says %q", err, part)
	}
}
