package roster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto"
)

func TestMemberRoundTrip(t *testing.T) {
	b := newBureau(t, "PT", "")
	m := b.member(t)
	m.Name = "Polícia Judiciária <Lisboa> & 警察"
	m.ValidFrom = m.ValidFrom.Add(123 * time.Millisecond).In(time.FixedZone("x", 3600))
	m.Addresses = nil
	entry, err := SignMember(m, b.keys.Signer())
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenMember(entry)
	if err != nil {
		t.Fatal(err)
	}
	m.ValidFrom, m.Addresses = day0, []string{}
	if !reflect.DeepEqual(got, m) {
		t.Errorf("got %+v\nwant %+v", got, m)
	}
	set, err := got.KeySet()
	if err != nil || !set.Has(b.keys.Signer().KeyID()) {
		t.Errorf("key set without the signing key (%v)", err)
	}
	for at, want := range map[time.Time]bool{day0.Add(-1): false, day0: true, m.ValidUntil.Add(-1): true, m.ValidUntil: false} {
		if got.ValidAt(at) != want {
			t.Errorf("valid at %s: %v", at, !want)
		}
	}
}

func TestMemberRefused(t *testing.T) {
	b, other := newBureau(t, "PT", ""), newBureau(t, "ES", "")
	theirs := other.member(t)
	for name, c := range map[string]struct {
		change func(*Member)
		want   string
	}{
		"country unknown":      {func(m *Member) { m.Country = "XX" }, "ISO 3166"},
		"country small":        {func(m *Member) { m.Country = "pt" }, "capitals"},
		"name empty":           {func(m *Member) { m.Name = "" }, "empty"},
		"name spaces":          {func(m *Member) { m.Name = " NCB" }, "spaces"},
		"name long":            {func(m *Member) { m.Name = strings.Repeat("é", maxName+1) }, "characters"},
		"name control":         {func(m *Member) { m.Name = "a\x1b[2Jb" }, "unprintable"},
		"name bidi override":   {func(m *Member) { m.Name = "a\u202eb" }, "unprintable"},
		"name not UTF-8":       {func(m *Member) { m.Name = "a\xffb" }, "UTF-8"},
		"ends before it began": {func(m *Member) { m.ValidUntil = m.ValidFrom }, "before it begins"},
		"year 10000":           {func(m *Member) { m.ValidUntil = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "whole seconds"},
		"zero time":            {func(m *Member) { m.ValidFrom = time.Time{} }, "whole seconds"},
		"no peer ID":           {func(m *Member) { m.PeerIDs = nil }, "0 peer IDs"},
		"many peer IDs":        {func(m *Member) { m.PeerIDs = make([]string, MaxPeerIDs+1) }, "5 peer IDs"},
		"peer ID nonsense":     {func(m *Member) { m.PeerIDs = []string{"nonsense"} }, "peer ID"},
		"peer ID twice":        {func(m *Member) { m.PeerIDs = append(m.PeerIDs, m.PeerIDs[0]) }, "same key"},
		"peer ID of RSA":       {func(m *Member) { m.PeerIDs = []string{"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"} }, "peer ID"},
		"peer ID as CID":       {func(m *Member) { m.PeerIDs = []string{cidOf(t, m.PeerIDs[0])} }, "canonical"},
		"many addresses":       {func(m *Member) { m.Addresses = make([]string, MaxAddresses+1) }, "17 addresses"},
		"address nonsense":     {func(m *Member) { m.Addresses = []string{"127.0.0.1:4001"} }, "address"},
		"address twice":        {func(m *Member) { m.Addresses = append(m.Addresses, m.Addresses[0]) }, "twice"},
		"address long":         {func(m *Member) { m.Addresses = []string{"/dns/" + strings.Repeat("a", 295)} }, "300 bytes"},
		"address not canonic":  {func(m *Member) { m.Addresses = []string{m.Addresses[0] + "/"} }, "canonical"},
		"address of another":   {func(m *Member) { m.Addresses = []string{m.Addresses[0] + "/p2p/" + theirs.PeerIDs[0]} }, "not the member's"},
		"no signing key":       {func(m *Member) { m.SigningKeys = nil }, "0 signing keys"},
		"signing key twice":    {func(m *Member) { m.SigningKeys = append(m.SigningKeys, m.SigningKeys[0]) }, "same key"},
		"signing key X25519":   {func(m *Member) { m.SigningKeys = m.SealingKeys }, "want OKP, Ed25519"},
		"no sealing key":       {func(m *Member) { m.SealingKeys = nil }, "0 sealing keys"},
		"sealing key Ed25519":  {func(m *Member) { m.SealingKeys = m.SigningKeys }, "want OKP, X25519"},
		"no log key":           {func(m *Member) { m.LogKey = "" }, "log key"},
		"log key altered":      {func(m *Member) { m.LogKey = "x" + m.LogKey }, "log key"},
		"log key long":         {func(m *Member) { m.LogKey = strings.Repeat("x", 300) }, "300 bytes"},
		"signer is another":    {func(m *Member) { m.SigningKeys = theirs.SigningKeys }, "not the first"},
	} {
		t.Run(name, func(t *testing.T) {
			m := b.member(t)
			c.change(&m)
			_, err := SignMember(m, b.keys.Signer())
			wantError(t, err, c.want)
		})
	}
}

// What SignMember would not sign is refused as well when somebody signs it by other means.
func TestOpenMemberForged(t *testing.T) {
	b, other := newBureau(t, "PT", ""), newBureau(t, "ES", "")
	good, err := encodeCanonical(b.member(t))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(typ string, payload []byte, by *bureau) string {
		s, err := by.keys.Signer().Sign(typ, payload)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if _, err := OpenMember(sign(crypto.TypeMember, good, b)); err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) []byte {
		p := bytes.Replace(good, []byte(old), []byte(new), 1)
		if bytes.Equal(p, good) {
			t.Fatalf("%q is not in the payload", old)
		}
		return p
	}
	entry := b.entry(t)
	for name, c := range map[string]struct{ entry, want string }{
		"signed by another":  {sign(crypto.TypeMember, good, other), "not by its own first key"},
		"unknown country":    {sign(crypto.TypeMember, replace(`"PT"`, `"XX"`), b), "ISO 3166"},
		"signed as document": {sign(crypto.TypeDocument, good, b), "another use"},
		"field twice":        {sign(crypto.TypeMember, replace(`{`, `{"country":"ES",`), b), "twice"},
		"unknown field":      {sign(crypto.TypeMember, replace(`{`, `{"admin":true,`), b), "canonical"},
		"letter case":        {sign(crypto.TypeMember, replace(`"name"`, `"Name"`), b), "canonical"},
		"space":              {sign(crypto.TypeMember, replace(`{`, `{ `), b), "canonical"},
		"escape":             {sign(crypto.TypeMember, replace(`NCB`, `\u004eCB`), b), "canonical"},
		"time with zone":     {sign(crypto.TypeMember, replace(`2026-03-01T12:00:00Z`, `2026-03-01T12:00:00+00:00`), b), ""},
		"time with fraction": {sign(crypto.TypeMember, replace(`2026-03-01T12:00:00Z`, `2026-03-01T12:00:00.5Z`), b), "whole seconds"},
		"addresses null":     {sign(crypto.TypeMember, replace(`["/ip4/127.0.0.1/udp/4001/quic-v1"]`, `null`), b), "missing"},
		"null":               {sign(crypto.TypeMember, []byte(`null`), b), ""},
		"deep":               {sign(crypto.TypeMember, []byte(strings.Repeat("[", 5000)), b), "deeper"},
		"large":              {strings.Repeat("x", MaxEntry+1), "limit"},
		"altered":            {entry[:len(entry)-40] + "AAAA" + entry[len(entry)-36:], "signature is wrong"},
		"empty":              {"", "three parts"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenMember(c.entry)
			wantError(t, err, c.want)
		})
	}
}

// cidOf is the other spelling of a peer ID that libp2p reads.
func cidOf(t *testing.T, s string) string {
	t.Helper()
	id, err := peer.Decode(s)
	if err != nil {
		t.Fatal(err)
	}
	return peer.ToCid(id).String()
}

func TestHolderFiles(t *testing.T) {
	private, public, err := newHolder("Ana", []byte("pass"), seeded("Ana"), crypto.TestCost)
	if err != nil {
		t.Fatal(err)
	}
	h, err := OpenHolder(private, []byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParseHolder(public)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(p, h.Holder()) || h.Name() != "Ana" {
		t.Errorf("private %+v, public %+v", h.Holder(), p)
	}
	if _, err := OpenHolder(private, []byte("Pass")); !errors.Is(err, crypto.ErrWrongPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	other, _, err := newHolder("Ana", []byte("pass"), seeded("other"), crypto.TestCost)
	if err != nil {
		t.Fatal(err)
	}
	var mine, theirs holderFile
	if err := errors.Join(json.Unmarshal(private, &mine), json.Unmarshal(other, &theirs)); err != nil {
		t.Fatal(err)
	}
	mine.Holder = theirs.Holder
	swapped, err := encodeCanonical(mine)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenHolder(swapped, []byte("pass"))
	wantError(t, err, "not the one of its secret")
	for _, b := range []string{"", "null", "{}", string(public), fmt.Sprintf(`{"version":2,%s`, private[13:])} {
		if _, err := OpenHolder([]byte(b), []byte("pass")); err == nil {
			t.Errorf("opened %q", b)
		}
	}
	for _, b := range []string{"", "null", "{}", string(private), strings.Replace(string(public), "Ana", "A\u202ena", 1)} {
		if _, err := ParseHolder([]byte(b)); err == nil {
			t.Errorf("parsed %q", b)
		}
	}
	if _, _, err := newHolder("", []byte("pass"), seeded("x"), crypto.TestCost); err == nil {
		t.Error("made a holder without a name")
	}
	if _, _, err := newHolder("Ana", nil, seeded("x"), crypto.TestCost); err == nil {
		t.Error("made a holder without a passphrase")
	}
}
