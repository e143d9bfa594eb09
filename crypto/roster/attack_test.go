package roster

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"proofmark/crypto"
)

// Rosters that all three holders signed and that must be refused for what they say.
func TestForgedRosterRefused(t *testing.T) {
	f := newFederation(t)
	base := f.draft(t)
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	list := func(b *bureau, changes ...func(*Member)) Listing {
		return Listing{Country: b.country, Entry: b.entry(t, changes...), Status: Active, Since: day0}
	}
	if _, err := Parse(forge(t, base.Roster(), f.holders...)); err != nil {
		t.Fatalf("the base itself: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*Roster)
		want   string
	}{
		"no name":                   {func(r *Roster) { r.Name = "" }, "name"},
		"version 0":                 {func(r *Roster) { r.Version = 0 }, "the first is 1"},
		"version 1 with a previous": {func(r *Roster) { r.Previous = "sha256:00" }, "previous hash"},
		"version 2 without":         {func(r *Roster) { r.Version = 2 }, "previous hash"},
		"threshold 0":               {func(r *Roster) { r.Threshold = 0 }, "threshold of 0"},
		"threshold negative":        {func(r *Roster) { r.Threshold = -1 }, "threshold of -1"},
		"threshold over holders":    {func(r *Roster) { r.Threshold = 4 }, "threshold of 4"},
		"no holders":                {func(r *Roster) { r.Holders, r.Threshold = []Holder{}, 0 }, "0 key holders"},
		"too many holders":          {func(r *Roster) { r.Holders = make([]Holder, MaxHolders+1) }, "65 key holders"},
		"one key, two holders": {func(r *Roster) {
			r.Holders[1].Key = r.Holders[0].Key
		}, "stands twice"},
		"one key in two spellings": {func(r *Roster) {
			x := string(r.Holders[0].Key)
			r.Holders[1].Key = json.RawMessage(`{"kty":"OKP",` + strings.Replace(x[1:], `,"kty":"OKP"`, "", 1))
		}, "canonical"},
		"one name, two holders":    {func(r *Roster) { r.Holders[1].Name = r.Holders[0].Name }, "twice"},
		"holder's key is private":  {func(r *Roster) { r.Holders[1].Key = json.RawMessage(`{"crv":"Ed25519","d":"AA","kty":"OKP","x":"AA"}`) }, "private key"},
		"valid until before":       {func(r *Roster) { r.ValidUntil = r.Issued }, "before it begins"},
		"members null":             {func(r *Roster) { r.Members = nil }, "missing"},
		"too many members":         {func(r *Roster) { r.Members = make([]Listing, MaxMembers+1) }, "1001 members"},
		"country twice":            {func(r *Roster) { r.Members = slices.Insert(r.Members, 0, list(es)) }, "stands once"},
		"countries unsorted":       {func(r *Roster) { slices.Reverse(r.Members) }, "ascending"},
		"entry of another country": {func(r *Roster) { r.Members[2].Entry = newBureau(t, "IT", "").entry(t) }, "holds an entry of IT"},
		"entry as a document":      {func(r *Roster) { r.Members[2].Entry = signedAs(t, pt, crypto.TypeDocument) }, "another use"},
		"entry altered":            {func(r *Roster) { r.Members[2].Entry = "x" + r.Members[2].Entry[1:] }, "header"},
		"entry empty":              {func(r *Roster) { r.Members[2].Entry = "" }, "three parts"},
		"entry large":              {func(r *Roster) { r.Members[2].Entry = strings.Repeat("x", MaxEntry+1) }, "limit"},
		"consent large":            {func(r *Roster) { r.Members[2].Succession = strings.Repeat("x", MaxEntry+1) }, "consent"},
		"status unknown":           {func(r *Roster) { r.Members[2].Status = "admin" }, "status"},
		"since missing":            {func(r *Roster) { r.Members[2].Since = time.Time{} }, "since"},
		"peer ID of another": {func(r *Roster) {
			r.Members[2] = list(pt, func(m *Member) { m.PeerIDs = append(m.PeerIDs, es.member(t).PeerIDs[0]) })
		}, "belongs to ES"},
		"signing key of another": {func(r *Roster) {
			r.Members[2] = list(pt, func(m *Member) { m.SigningKeys = append(m.SigningKeys, es.keys.SigningJWK()) })
		}, "belongs to ES"},
		"sealing key of another": {func(r *Roster) {
			r.Members[2] = list(pt, func(m *Member) { m.SealingKeys = []json.RawMessage{es.keys.SealingJWK()} })
		}, "belongs to ES"},
		"log key of another": {func(r *Roster) {
			r.Members[2] = list(pt, func(m *Member) { m.LogKey = es.keys.LogVerifierKey("proofmark.PT") })
		}, "belongs to ES"},
		"log name of another": {func(r *Roster) {
			r.Members[2] = list(pt, func(m *Member) { m.LogKey = pt.keys.LogVerifierKey("proofmark.ES") })
		}, "name of the log of ES"},
	} {
		t.Run(name, func(t *testing.T) {
			r := base.Roster()
			c.change(r)
			forged := forge(t, r, f.holders...)
			_, err := Parse(forged)
			wantError(t, err, c.want)
			_, err = ParseBeside(forged, base.Roster()) // most entries are known and right
			wantError(t, err, c.want)
		})
	}
}

func signedAs(t *testing.T, b *bureau, typ string) string {
	t.Helper()
	payload, err := encodeCanonical(b.member(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.keys.Signer().Sign(typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// One content has one spelling, in the payload and around it.
func TestSpellingsRefused(t *testing.T) {
	f := newFederation(t)
	d := f.first(t)
	file := marshal(t, d)
	payload, err := base64.RawURLEncoding.DecodeString(d.payload)
	if err != nil {
		t.Fatal(err)
	}
	swap := func(b []byte, old, new string) []byte {
		out := bytes.Replace(b, []byte(old), []byte(new), 1)
		if bytes.Equal(out, b) {
			t.Fatalf("%q is not there", old)
		}
		return out
	}
	inside := func(old, new string) []byte { return forgeBytes(t, swap(payload, old, new), f.holders...) }
	outside := func(old, new string) []byte { return swap(file, old, new) }
	protected := `"protected":"` + d.signatures[0].Protected + `"`
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"payload, field twice":       {inside(`{"name":"Iberia"`, `{"name":"Iberia","name":"Iberia"`), "twice"},
		"payload, unsorted":          {inside(`"name":"Iberia","version":1`, `"version":1,"name":"Iberia"`), "canonical"},
		"payload, unknown field":     {inside(`{`, `{"more":1,`), "canonical"},
		"payload, letter case":       {inside(`"threshold"`, `"Threshold"`), "canonical"},
		"payload, space":             {inside(`{`, `{ `), "canonical"},
		"payload, number form":       {inside(`"version":1`, `"version":1e0`), ""},
		"payload, escape":            {inside(`Iberia`, `\u0049beria`), "canonical"},
		"payload, more after":        {inside(`"members":`, `"members":`+"\n"), "canonical"},
		"unprotected header":         {outside(`{`+protected, `{"header":{"kid":"x"},`+protected), "canonical"},
		"unknown field outside":      {outside(`{`, `{"more":1,`), "canonical"},
		"payload twice":              {outside(`{`, `{"payload":"e30",`), "twice"},
		"flattened":                  {[]byte(`{"payload":"` + d.payload + `",` + protected + `,"signature":"` + d.signatures[0].Signature + `"}`), "canonical"},
		"signatures null":            {[]byte(`{"payload":"` + d.payload + `","signatures":null}`), "missing"},
		"padding":                    {outside(`","signatures"`, `=","signatures"`), "base64"},
		"unsigned with padding":      {[]byte(`{"payload":"` + d.payload + `=","signatures":[]}`), "base64url"},
		"unsigned with a line break": {[]byte(`{"payload":"` + d.payload[:4] + `\n` + d.payload[4:] + `","signatures":[]}`), "base64url"},
		"more after":                 {append(bytes.Clone(file), '{', '}'), "more than one value"},
		"cut":                        {file[:len(file)/2], "roster document"},
		"empty":                      {nil, "roster document"},
		"null":                       {[]byte("null"), "roster document"},
		"deep":                       {bytes.Repeat([]byte("["), 1<<20), "deeper"},
		"large":                      {bytes.Repeat([]byte(" "), MaxDocument+1), "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.b)
			wantError(t, err, c.want)
		})
	}
}

// Only distinct holders with good signatures count.
func TestSignaturesCounted(t *testing.T) {
	f := newFederation(t)
	r := f.draft(t).Roster()
	payload, err := encodeCanonical(r)
	if err != nil {
		t.Fatal(err)
	}
	encoded := base64.RawURLEncoding.EncodeToString(payload)
	stranger, twin := newHolderKey(t, "Mallory"), newHolderKey(t, "Mallory II")
	one := func(h *HolderKey, typ string) signature {
		compact, err := h.signer.Sign(typ, payload)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(compact, ".")
		return signature{Protected: parts[0], Signature: parts[2]}
	}
	good := func(h *HolderKey) signature { return one(h, crypto.TypeRoster) }
	claimed := good(f.holders[1])
	claimed.Signature = good(stranger).Signature
	hs, err := jws.Sign(payload, jws.WithKey(jwa.HS256, []byte(f.holders[1].holder.Key), jws.WithProtectedHeaders(headers(t, f.holders[1]))))
	if err != nil {
		t.Fatal(err)
	}
	none, err := jws.Sign(payload, jws.WithInsecureNoSignature(jws.WithProtectedHeaders(headers(t, f.holders[1]))))
	if err != nil {
		t.Fatal(err)
	}
	split := func(compact []byte) signature {
		parts := strings.Split(string(compact), ".")
		return signature{Protected: parts[0], Signature: parts[2]}
	}
	for name, c := range map[string]struct {
		list []signature
		want string // empty = trusted
	}{
		"two holders":                     {[]signature{good(f.holders[0]), good(f.holders[2])}, ""},
		"two holders and a stranger":      {[]signature{good(stranger), good(f.holders[0]), good(f.holders[2])}, ""},
		"none at all":                     {nil, "0 of the 2"},
		"one holder":                      {[]signature{good(f.holders[0])}, "1 of the 2"},
		"one holder and strangers":        {[]signature{good(f.holders[0]), good(stranger), good(twin)}, "1 of the 2"},
		"one holder twice":                {[]signature{good(f.holders[0]), good(f.holders[0])}, "has signed already"},
		"a stranger twice":                {[]signature{good(f.holders[0]), good(stranger), good(stranger)}, "has signed already"},
		"a stranger in a holder's name":   {[]signature{good(f.holders[0]), claimed}, "signature is wrong"},
		"wrong one beside enough good":    {[]signature{good(f.holders[0]), good(f.holders[2]), claimed}, "signature is wrong"},
		"signature for another use":       {[]signature{good(f.holders[0]), one(f.holders[1], crypto.TypeDocument)}, "another use"},
		"HS256 with a public key":         {[]signature{good(f.holders[0]), split(hs)}, "HS256"},
		"alg none":                        {[]signature{good(f.holders[0]), split(none)}, "none"},
		"no protected header":             {[]signature{{Signature: good(f.holders[0]).Signature}}, "header"},
		"more signatures than allowed":    {slices.Repeat([]signature{good(stranger)}, MaxHolders+1), "65 signatures"},
		"signature moved to another text": {[]signature{good(f.holders[0]), moved(t, f)}, "signature is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			list := append([]signature{}, c.list...)
			b, err := encodeCanonical(general{encoded, list})
			if err != nil {
				t.Fatal(err)
			}
			d, err := Parse(b)
			if err == nil {
				_, err = d.VerifyFirst(d.Hash())
			}
			if c.want != "" {
				wantError(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// moved is a good signature of the second holder over another roster.
func moved(t *testing.T, f *federation) signature {
	t.Helper()
	d := f.draft(t)
	if err := d.SetStatus("PT", Suspended, day0); err != nil {
		t.Fatal(err)
	}
	if err := d.Sign(f.holders[1]); err != nil {
		t.Fatal(err)
	}
	return d.signatures[0]
}

func headers(t *testing.T, h *HolderKey) jws.Headers {
	t.Helper()
	hs := jws.NewHeaders()
	if err := errors.Join(hs.Set("kid", h.KeyID()), hs.Set("typ", crypto.TypeRoster)); err != nil {
		t.Fatal(err)
	}
	return hs
}
