package roster

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"proofmark/crypto"
)

// Second versions signed by all three holders of the first: what even they cannot do, or what is not theirs to do.
func TestNextVersionRefused(t *testing.T) {
	f := newFederation(t)
	v1 := f.first(t)
	pt := f.bureaus["PT"]
	fresh, thief := newBureau(t, "PT", "2"), newBureau(t, "PT", "thief")
	strangers := []*HolderKey{newHolderKey(t, "Mallory"), newHolderKey(t, "Mallory II"), newHolderKey(t, "Mallory III")}
	set := func(entry, consent string) func(*Roster) {
		return func(r *Roster) { r.Members[2].Entry, r.Members[2].Succession = entry, consent }
	}
	consent := func(entry string, by *bureau) string {
		s, err := Consent(entry, by.keys.Signer())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	rotated := fresh.entry(t, later(10))
	if _, err := parse(t, forge(t, f.next(t, v1).Roster(), f.holders...)).VerifyNext(v1); err != nil {
		t.Fatalf("an unchanged next version: %v", err)
	}
	for name, c := range map[string]struct {
		change  func(*Roster)
		signers []*HolderKey
		is      error // nil = trusted
	}{
		"same keys, later":                   {set(pt.entry(t, later(10)), ""), f.holders, nil},
		"new key with consent":               {set(rotated, consent(rotated, pt)), f.holders, nil},
		"new key without consent":            {set(rotated, ""), f.holders, ErrKeyChange},
		"consent by the new key":             {set(rotated, consent(rotated, fresh)), f.holders, ErrKeyChange},
		"consent by another country":         {set(rotated, consent(rotated, f.bureaus["ES"])), f.holders, ErrKeyChange},
		"consent to another entry":           {set(thief.entry(t, later(10)), consent(rotated, pt)), f.holders, ErrKeyChange},
		"a document as consent":              {set(rotated, signedAs(t, pt, crypto.TypeDocument)), f.holders, ErrKeyChange},
		"the old entry as consent":           {set(rotated, pt.entry(t)), f.holders, ErrKeyChange},
		"consent of nonsense":                {set(rotated, "nonsense"), f.holders, ErrKeyChange},
		"old entry played again":             {set(pt.entry(t, later(-10)), ""), f.holders, ErrStale},
		"same time, other content":           {set(pt.entry(t, func(m *Member) { m.Name = "x" }), ""), f.holders, ErrStale},
		"second new key, not proved":         {set(pt.entry(t, later(10), addKey(thief)), ""), f.holders, ErrKeyChange},
		"second new key, consent":            {set(fresh.entry(t, later(10), addKey(thief)), consent(fresh.entry(t, later(10), addKey(thief)), pt)), f.holders, ErrKeyChange},
		"member dropped":                     {func(r *Roster) { r.Members = r.Members[:2] }, f.holders, ErrChain},
		"other name":                         {func(r *Roster) { r.Name = "x" }, f.holders, ErrChain},
		"version skipped":                    {func(r *Roster) { r.Version = 3 }, f.holders, ErrChain},
		"previous hash of another":           {func(r *Roster) { r.Previous = "sha256:" + strings.Repeat("0", 64) }, f.holders, ErrChain},
		"issued before":                      {func(r *Roster) { r.Issued = day0.AddDate(0, 0, -1) }, f.holders, ErrChain},
		"one signature":                      {func(*Roster) {}, f.holders[:1], ErrThreshold},
		"threshold lowered for itself":       {func(r *Roster) { r.Threshold = 1 }, f.holders[:1], ErrThreshold},
		"holders replaced by themselves":     {func(r *Roster) { r.Holders = holdersOf(strangers) }, strangers, ErrThreshold},
		"holders replaced, one old signs":    {func(r *Roster) { r.Holders = holdersOf(strangers) }, append(slices.Clone(strangers), f.holders[0]), ErrThreshold},
		"holders replaced by enough old":     {func(r *Roster) { r.Holders = holdersOf(strangers) }, f.holders[:2], nil},
		"newcomer with an expired entry":     {newcomer(t, true), f.holders, errExpired},
		"newcomer":                           {newcomer(t, false), f.holders, nil},
		"another's entry under an old name":  {func(r *Roster) { r.Members[2].Country = "RO" }, f.holders, errNotParsed},
		"suspension without the member's ok": {func(r *Roster) { r.Members[2].Status = Suspended }, f.holders, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.next(t, v1).Roster()
			c.change(r)
			d, err := Parse(forge(t, r, c.signers...))
			switch {
			case errors.Is(c.is, errNotParsed):
				if err == nil {
					t.Error("parsed")
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			_, err = d.VerifyNext(v1)
			if errors.Is(c.is, errExpired) {
				wantError(t, err, "expired")
			} else if !errors.Is(err, c.is) {
				t.Errorf("error %v, want %v", err, c.is)
			}
		})
	}
}

// Expectations of the table that have no sentinel in the package.
var (
	errNotParsed = errors.New("refused by Parse")
	errExpired   = errors.New("refused as expired")
)

func addKey(b *bureau) func(*Member) {
	return func(m *Member) { m.SigningKeys = append(m.SigningKeys, b.keys.SigningJWK()) }
}

func holdersOf(list []*HolderKey) []Holder {
	var out []Holder
	for _, h := range list {
		out = append(out, h.Holder())
	}
	return out
}

func newcomer(t *testing.T, expired bool) func(*Roster) {
	return func(r *Roster) {
		entry := newBureau(t, "SE", "").entry(t, func(m *Member) {
			if expired {
				m.ValidUntil = day0.AddDate(0, 0, 20) // version 2 is issued a month after day 0
			}
		})
		r.Members = append(r.Members, Listing{Country: "SE", Entry: entry, Status: Active, Since: day0})
	}
}

// A lapsed entry that was listed already does not stop the federation from going on.
func TestLapsedMemberDoesNotBlock(t *testing.T) {
	f := newFederation(t)
	d := f.draft(t)
	it := newBureau(t, "IT", "")
	if err := d.Add(it.entry(t, func(m *Member) { m.ValidUntil = day0.AddDate(0, 0, 20) }), day0); err != nil {
		t.Fatal(err)
	}
	v1 := f.sign(t, d, 2)
	v2 := f.sign(t, f.next(t, v1), 2)
	r, err := Verify([]*Document{v1, v2}, v1.Hash())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Active(r.Issued.Add(Grace)) {
		if s.Country == "IT" {
			t.Error("a lapsed member is active")
		}
	}
}

// A version 1 that brings an expired entry is refused even with the right anchor.
func TestFirstWithExpiredEntry(t *testing.T) {
	f := newFederation(t)
	r := f.draft(t).Roster()
	r.Issued, r.ValidUntil = day0.AddDate(3, 0, 0), day0.AddDate(4, 0, 0)
	d := parse(t, forge(t, r, f.holders...))
	_, err := d.VerifyFirst(d.Hash())
	wantError(t, err, "expired")
}

// A key that a member names beside its first is not enough to sign its entry: the signer is the first.
func TestEntrySignedBySecondKey(t *testing.T) {
	pt, es := newBureau(t, "PT", ""), newBureau(t, "ES", "")
	m := pt.member(t)
	m.SigningKeys = []json.RawMessage{es.keys.SigningJWK(), pt.keys.SigningJWK()}
	payload, err := encodeCanonical(m)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := pt.keys.Signer().Sign(crypto.TypeMember, payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenMember(entry); !errors.Is(err, crypto.ErrUnknownKey) {
		t.Errorf("error %v", err)
	}
}
