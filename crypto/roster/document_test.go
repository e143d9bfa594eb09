package roster

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

func TestCeremony(t *testing.T) {
	f := newFederation(t)
	d := f.draft(t)
	anchor := d.Hash()
	if _, err := d.VerifyFirst(anchor); !errors.Is(err, ErrThreshold) {
		t.Errorf("an unsigned draft: %v", err)
	}
	// The draft travels as a file from holder to holder.
	for i, h := range f.holders[1:] {
		d = parse(t, marshal(t, d))
		for range 2 { // signing twice changes nothing
			if err := d.Sign(h); err != nil {
				t.Fatal(err)
			}
		}
		got := d.Signatures()
		if len(got) != i+1 || got[i].Name != h.Name() || got[i].KeyID != h.KeyID() {
			t.Errorf("after %s: signatures %+v", h.Name(), got)
		}
		if _, err := d.VerifyFirst(anchor); (err == nil) != (i == 1) {
			t.Errorf("after %s: %v", h.Name(), err)
		}
	}
	if d.Hash() != anchor {
		t.Error("signing changed the hash")
	}
	b := marshal(t, d)
	if again := marshal(t, parse(t, b)); !bytes.Equal(again, b) {
		t.Error("a document changed when it was read and written")
	}
	r, err := parse(t, b).VerifyFirst(anchor)
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "Iberia" || r.Version != 1 || len(r.Members) != 3 || r.Members[0].Country != "ES" {
		t.Errorf("roster %+v", r)
	}
	if err := d.Sign(newHolderKey(t, "Mallory")); !errors.Is(err, ErrNotHolder) {
		t.Errorf("a stranger signs: %v", err)
	}
	if err := d.Add(newBureau(t, "IT", "").entry(t), day0); !errors.Is(err, ErrSigned) || !strings.Contains(err.Error(), "next version") {
		t.Errorf("adding to a signed draft: %v", err)
	}
	if err := d.SetStatus("PT", Suspended, day0); !errors.Is(err, ErrSigned) {
		t.Errorf("suspending in a signed draft: %v", err)
	}
}

func TestHashForms(t *testing.T) {
	d := newFederation(t).draft(t)
	if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(d.Hash()) {
		t.Errorf("hash %s", d.Hash())
	}
	if !regexp.MustCompile(`^\d{5}( \d{5}){7}$`).MatchString(d.Fingerprint()) {
		t.Errorf("fingerprint %s", d.Fingerprint())
	}
	before := d.Fingerprint()
	if err := d.SetStatus("PT", Suspended, day0); err != nil {
		t.Fatal(err)
	}
	if d.Fingerprint() == before {
		t.Error("another content has the same fingerprint")
	}
}

// Any JOSE library can check a holder's signature over the document's general serialization.
func TestOtherLibraryReadsDocument(t *testing.T) {
	f := newFederation(t)
	b := marshal(t, f.first(t))
	for _, h := range f.holders[:2] {
		key, err := jwk.ParseKey(h.Holder().Key)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := jws.Verify(b, jws.WithKey(jwa.EdDSA, key))
		if err != nil {
			t.Fatal(err)
		}
		var r Roster
		if err := json.Unmarshal(payload, &r); err != nil || r.Name != "Iberia" {
			t.Errorf("payload %.60s (%v)", payload, err)
		}
	}
	key, err := jwk.ParseKey(f.holders[2].Holder().Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify(b, jws.WithKey(jwa.EdDSA, key)); err == nil {
		t.Error("a holder who did not sign is found among the signatures")
	}
}

func TestChain(t *testing.T) {
	f := newFederation(t)
	v1 := f.first(t)
	anchor := v1.Hash()

	// Version 2: ES moves, IT joins, FR is suspended.
	v2 := f.next(t, v1)
	moved := f.bureaus["ES"].entry(t, later(10), func(m *Member) { m.Addresses = []string{"/ip4/192.0.2.1/tcp/4001"} })
	for _, err := range []error{v2.Add(moved, day0), v2.Add(newBureau(t, "IT", "").entry(t), day0), v2.SetStatus("FR", Suspended, day0.AddDate(0, 1, 0))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f.sign(t, v2, 3)

	// Version 3: PT has a new key beside the old one; the old one consents.
	v3 := f.next(t, v2)
	fresh := newBureau(t, "PT", "2")
	rotated := fresh.entry(t, later(40), func(m *Member) {
		m.SigningKeys = append(m.SigningKeys, f.bureaus["PT"].keys.SigningJWK())
	})
	if err := v3.Add(rotated, day0); !errors.Is(err, ErrKeyChange) {
		t.Errorf("a new key without consent: %v", err)
	}
	consent, err := Consent(rotated, f.bureaus["PT"].keys.Signer())
	if err != nil {
		t.Fatal(err)
	}
	if err := v3.AddSuccession(rotated, consent, day0); err != nil {
		t.Fatal(err)
	}
	f.sign(t, v3, 2)

	// Version 4: the old key goes; the new one signs alone.
	v4 := f.next(t, v3)
	if err := v4.Add(fresh.entry(t, later(80)), day0); err != nil {
		t.Fatal(err)
	}
	f.sign(t, v4, 2)

	var chain []*Document
	for _, d := range []*Document{v1, v2, v3, v4} {
		chain = append(chain, parse(t, marshal(t, d)))
	}
	r, err := Verify(chain, anchor)
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != 4 || r.Previous != v3.Hash() || r.ValidUntil.Sub(r.Issued) != v1.roster.ValidUntil.Sub(day0) {
		t.Errorf("roster %+v", r)
	}
	for name, c := range map[string][]*Document{"empty": nil, "no first": chain[1:], "gap": {chain[0], chain[2]}, "order": {chain[0], chain[2], chain[1]}, "repeated": {chain[0], chain[0]}} {
		if _, err := Verify(c, anchor); !errors.Is(err, ErrChain) {
			t.Errorf("chain %s: %v", name, err)
		}
	}
	if _, err := Verify(chain, v2.Hash()); !errors.Is(err, ErrAnchor) {
		t.Errorf("a wrong anchor: %v", err)
	}
}

func TestLookup(t *testing.T) {
	f := newFederation(t)
	d := f.draft(t)
	if err := d.SetStatus("FR", Suspended, day0); err != nil {
		t.Fatal(err)
	}
	if err := d.Add(newBureau(t, "IT", "").entry(t, later(30)), day0); err != nil {
		t.Fatal(err)
	}
	r := parse(t, marshal(t, d)).Roster()
	names := func(list []Standing) string {
		var s []string
		for _, m := range list {
			s = append(s, m.Country)
		}
		return strings.Join(s, " ")
	}
	for at, want := range map[time.Time]string{
		day0.Add(-time.Second): "ES PT", day0: "ES PT", day0.AddDate(0, 0, 30): "ES IT PT",
		day0.AddDate(2, 0, 0): "ES IT PT", day0.AddDate(2, 0, 0).Add(Grace): "",
	} {
		if got := names(r.Active(at)); got != want {
			t.Errorf("active at %s: %q, want %q", at, got, want)
		}
	}
	if got := names(r.All()); got != "ES FR IT PT" {
		t.Errorf("all: %s", got)
	}
	id := f.bureaus["FR"].member(t).PeerIDs[0]
	s, ok := r.MemberByPeer(id)
	if !ok || s.Country != "FR" || s.Status != Suspended || s.Active(day0) {
		t.Errorf("by peer: %+v, %v", s, ok)
	}
	if s, ok := r.ByCountry("PT"); !ok || s.PeerIDs[0] != f.bureaus["PT"].member(t).PeerIDs[0] || !s.Active(day0) {
		t.Errorf("by country: %+v, %v", s, ok)
	}
	if _, ok := r.MemberByPeer(newBureau(t, "DE", "").member(t).PeerIDs[0]); ok {
		t.Error("a stranger is a member")
	}
	if _, ok := r.ByCountry("DE"); ok {
		t.Error("DE is a member")
	}
	for at, want := range map[time.Time]bool{day0: false, r.ValidUntil.Add(-1): false, r.ValidUntil: true} {
		if r.Expired(at) != want {
			t.Errorf("expired at %s: %v", at, !want)
		}
	}
	r.Members[0].Status = Suspended
	if d.roster.Members[0].Status != Active {
		t.Error("changing the copy changed the document")
	}
}

func TestAddReplaces(t *testing.T) {
	f := newFederation(t)
	d := f.draft(t)
	pt := f.bureaus["PT"]
	before := d.Hash()
	if err := d.Add(pt.entry(t), day0.AddDate(0, 0, 5)); err != nil || d.Hash() != before {
		t.Errorf("the same entry again: %v", err)
	}
	if err := d.Add(pt.entry(t, func(m *Member) { m.Name = "other" }), day0); !errors.Is(err, ErrStale) {
		t.Errorf("another entry of the same time: %v", err)
	}
	if err := d.Add(pt.entry(t, later(-5)), day0); !errors.Is(err, ErrStale) {
		t.Errorf("an older entry: %v", err)
	}
	if err := d.Add(newBureau(t, "PT", "thief").entry(t, later(5)), day0); !errors.Is(err, ErrKeyChange) {
		t.Errorf("an entry by a new key: %v", err)
	}
	if err := d.Add(pt.entry(t, later(400)), day0.AddDate(3, 0, 0)); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired entry: %v", err)
	}
	if d.Hash() != before {
		t.Error("a refused entry changed the draft")
	}
	if err := d.SetStatus("PT", Suspended, day0.AddDate(0, 0, 2)); err != nil {
		t.Fatal(err)
	}
	if err := d.Add(pt.entry(t, later(6)), day0.AddDate(0, 0, 6)); err != nil {
		t.Fatal(err)
	}
	if s, _ := d.Roster().ByCountry("PT"); s.Status != Suspended || !s.Since.Equal(day0.AddDate(0, 0, 2)) {
		t.Errorf("a new entry lifted the suspension: %+v", s)
	}
	for country, status := range map[string]Status{"DE": Suspended, "PT": "gone"} {
		if err := d.SetStatus(country, status, day0); err == nil {
			t.Errorf("%s became %s", country, status)
		}
	}
	if _, err := d.Next(day0.Add(-time.Hour)); err == nil {
		t.Error("the next version was issued before this one")
	}
}
