package roster

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/crypto"
)

// rotated is a member's entry after its signing and host keys were replaced by those of another bureau of the country: both stay listed, the old
// ones until the given day.
func rotated(t testing.TB, old, fresh *bureau, day int, until time.Time) (entry, consent string) {
	t.Helper()
	before := old.member(t)
	entry = fresh.entry(t, later(day), func(m *Member) {
		m.SigningKeys = append(m.SigningKeys, before.SigningKeys...)
		m.PeerIDs = append(m.PeerIDs, before.PeerIDs...)
		m.LogKey = before.LogKey
		m.Ends = []KeyEnd{{old.keys.Signer().KeyID(), until}, {before.PeerIDs[0], until}}
	})
	consent, err := Consent(entry, old.keys.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return entry, consent
}

func TestOldKeysEnd(t *testing.T) {
	f := newFederation(t)
	v1 := f.first(t)
	d := f.next(t, v1)
	old, fresh := f.bureaus["ES"], newBureau(t, "ES", "2")
	end := day0.AddDate(0, 2, 0)
	entry, consent := rotated(t, old, fresh, 1, end)
	if err := d.Add(entry, day0); !errors.Is(err, ErrKeyChange) {
		t.Errorf("a new signing key without the old one's consent: %v", err)
	}
	e, c, err := ParseMemberFile(MemberFile(entry, consent))
	if err != nil || e != entry || c != consent {
		t.Fatalf("member file: %v", err)
	}
	if err := d.AddSuccession(e, c, day0); err != nil {
		t.Fatal(err)
	}
	v2 := f.sign(t, d, 2)
	r, err := Verify([]*Document{v1, parse(t, marshal(t, v2))}, v1.Hash())
	if err != nil {
		t.Fatal(err)
	}
	m, _ := r.ByCountry("ES")
	for _, c := range []struct {
		at        time.Time
		peers     int
		oldSigns  bool
		freshKnow bool
	}{{end.Add(-time.Second), 2, true, true}, {end, 1, false, true}} {
		keys, err := m.KeySetAt(c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.PeerIDsAt(c.at); len(got) != c.peers || got[0] != m.PeerIDs[0] {
			t.Errorf("at %s: peer IDs %q", c.at, got)
		}
		if keys.Has(old.keys.Signer().KeyID()) != c.oldSigns || !keys.Has(fresh.keys.Signer().KeyID()) {
			t.Errorf("at %s: the old key signs: %v, want %v", c.at, !c.oldSigns, c.oldSigns)
		}
	}
	if all, err := m.KeySet(); err != nil || !all.Has(old.keys.Signer().KeyID()) {
		t.Errorf("what the old key signed cannot be proved any more: %v", err)
	}
	if _, ok := r.MemberByPeer(old.member(t).PeerIDs[0]); !ok {
		t.Error("the old peer ID is nobody's")
	}
}

func TestEndsAreOfOlderKeys(t *testing.T) {
	b := newBureau(t, "PT", "")
	older := newBureau(t, "PT", "older")
	kid := older.keys.Signer().KeyID()
	for what, ends := range map[string][]KeyEnd{
		"of the current key":     {{b.keys.Signer().KeyID(), day0}},
		"of the current peer ID": {{b.member(t).PeerIDs[0], day0}},
		"of an unknown key":      {{"nobody", day0}},
		"twice":                  {{kid, day0}, {kid, day0}},
		"without a time":         {{kid, time.Time{}}},
	} {
		m := b.member(t)
		m.SigningKeys = append(m.SigningKeys, older.keys.SigningJWK())
		m.Ends = ends
		if _, err := SignMember(m, b.keys.Signer()); err == nil {
			t.Errorf("end %s: signed", what)
		}
	}
}

func TestParseMemberFile(t *testing.T) {
	for _, s := range []string{"", " \n", "a b c", strings.Repeat("x", 2*MaxEntry+65)} {
		if _, _, err := ParseMemberFile([]byte(s)); err == nil {
			t.Errorf("%.20q: read", s)
		}
	}
	if e, c, err := ParseMemberFile([]byte("  a\r\n\tb \n")); e != "a" || c != "b" || err != nil {
		t.Errorf("%q %q %v", e, c, err)
	}
}

func TestOverride(t *testing.T) {
	f := newFederation(t)
	v1 := f.first(t)
	lost := newBureau(t, "ES", "after the fire")
	entry := lost.entry(t, later(1))
	d, err := v1.Next(day0.AddDate(0, 0, 2))
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, d.Announce(newBureau(t, "SE", "").entry(t)), "is not listed")
	wantError(t, d.Announce(newBureau(t, "ES", "3").entry(t)), ErrStale.Error())
	if err := d.Announce(entry); err != nil {
		t.Fatal(err)
	}
	if err := d.Announce(entry); err != nil {
		t.Errorf("the same again: %v", err)
	}
	v2 := parse(t, marshal(t, f.sign(t, d, 2)))
	r, err := v2.VerifyNext(v1)
	if err != nil {
		t.Fatal(err)
	}
	a := r.Announced()
	if len(a) != 1 || a[0].Member.Country != "ES" || a[0].Version != 2 || !a[0].Due().Equal(day0.AddDate(0, 0, 9)) {
		t.Fatalf("announced %+v", a)
	}
	due := a[0].Due()
	at := func(o Override) time.Time { return o.Due() }
	if r.Effective(due.Add(-time.Second), at) != r {
		t.Error("in effect too early")
	}
	if r.Effective(due, func(Override) time.Time { return due.Add(time.Hour) }) != r {
		t.Error("in effect before whoever asks has known it for its days")
	}
	in := r.Effective(due, at)
	m, _ := in.ByCountry("ES")
	if keys, err := m.KeySet(); err != nil || !keys.Has(lost.keys.Signer().KeyID()) || len(in.Announced()) != 0 {
		t.Errorf("not in effect on its day: %v", err)
	}
	if _, ok := in.MemberByPeer(lost.member(t).PeerIDs[0]); !ok {
		t.Error("the new peer ID is nobody's")
	}
	if _, ok := in.MemberByPeer(f.bureaus["ES"].member(t).PeerIDs[0]); ok {
		t.Error("the lost peer ID is still a member's")
	}
	if old, _ := r.ByCountry("ES"); len(old.PeerIDs) != 1 || old.PeerIDs[0] != f.bureaus["ES"].member(t).PeerIDs[0] {
		t.Error("the roster itself changed")
	}
	// The next version after its day lists it; one before carries it on, with the day of its announcement.
	carried, err := v2.Next(due.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	v3 := f.sign(t, carried, 2)
	if r, err := v3.VerifyNext(v2); err != nil || len(r.Announced()) != 1 || r.Announced()[0].Version != 2 {
		t.Errorf("carried on: %v", err)
	}
	folded, err := v3.Next(due)
	if err != nil {
		t.Fatal(err)
	}
	r, err = f.sign(t, folded, 2).VerifyNext(v3)
	if err != nil || len(r.Announced()) != 0 {
		t.Fatalf("folded: %v", err)
	}
	if m, _ := r.ByCountry("ES"); m.PeerIDs[0] != lost.member(t).PeerIDs[0] {
		t.Error("the override did not take its place")
	}
	back, err := v2.Next(due.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Withdraw("ES"); err != nil {
		t.Fatal(err)
	}
	if r, err := f.sign(t, back, 2).VerifyNext(v2); err != nil || len(r.Announced()) != 0 {
		t.Errorf("taken back: %v", err)
	}
	// The member has its keys after all: its own consent ends the override.
	own, err := v2.Next(due.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Add(f.bureaus["ES"].entry(t, later(5)), own.roster.Issued); err != nil {
		t.Fatal(err)
	}
	if r, err := f.sign(t, own, 2).VerifyNext(v2); err != nil || len(r.Announced()) != 0 {
		t.Errorf("the member's own entry: %v", err)
	}
}

// Holders who agree to replace a country at once do not get their way with any roster.
func TestOverrideCannotBeHurried(t *testing.T) {
	f := newFederation(t)
	v1 := f.first(t)
	thief := newBureau(t, "ES", "thief").entry(t, later(1))
	d, err := v1.Next(day0.AddDate(0, 0, 2))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Announce(thief); err != nil {
		t.Fatal(err)
	}
	v2 := f.sign(t, d, 2)
	listed := func(r *Roster, c string) *Listing { i, _ := r.find(c); return &r.Members[i] }
	next := func(from *Document, days int, change func(r *Roster)) *Document {
		r := from.Roster()
		r.Version, r.Previous, r.Issued = r.Version+1, from.Hash(), day0.AddDate(0, 0, days)
		change(r)
		b := forge(t, r, f.holders...)
		doc, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	for what, c := range map[string]struct {
		from *Document
		days int
		do   func(r *Roster)
		want string
	}{
		"no announcement":     {v1, 30, func(r *Roster) { listed(r, "ES").Entry = thief }, ErrKeyChange.Error()},
		"before its day":      {v2, 8, func(r *Roster) { l := listed(r, "ES"); l.Entry, l.Override = thief, nil }, ErrEarly.Error()},
		"announced backdated": {v1, 30, func(r *Roster) { listed(r, "ES").Override = &Override{thief, day0, 2} }, ErrChain.Error()},
		"day moved": {v2, 5, func(r *Roster) {
			l := listed(r, "ES")
			l.Override = &Override{thief, day0, l.Override.Version}
		}, ErrChain.Error()},
		"announced by an older version": {v2, 5, func(r *Roster) {
			listed(r, "FR").Override = &Override{newBureau(t, "FR", "x").entry(t, later(1)), day0.AddDate(0, 0, 5), 1}
		}, ErrChain.Error()},
		"another entry on its day": {v2, 30, func(r *Roster) {
			l := listed(r, "ES")
			l.Entry, l.Override = newBureau(t, "ES", "x").entry(t, later(2)), nil
		}, ErrKeyChange.Error()},
	} {
		_, err := next(c.from, c.days, c.do).VerifyNext(c.from)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
	r := v1.Roster()
	listed(r, "ES").Override = &Override{thief, r.Issued, 1}
	first := parse(t, forge(t, r, f.holders...))
	if _, err := first.VerifyFirst(first.Hash()); !errors.Is(err, ErrChain) {
		t.Errorf("version 1 with an override: %v", err)
	}
	r = v2.Roster() // keys of another member
	listed(r, "ES").Override.Entry = f.bureaus["PT"].entry(t, later(3))
	if _, err := Parse(forge(t, r, f.holders...)); err == nil {
		t.Error("an override with another country's entry was read")
	}
}

func TestAddresses(t *testing.T) {
	f := newFederation(t)
	d := f.draft(t)
	if err := d.SetStatus("FR", Suspended, day0); err != nil {
		t.Fatal(err)
	}
	r := f.sign(t, d, 2).Roster()
	now := day0.Add(48 * time.Hour)
	es := f.bureaus["ES"]
	good := AddressRecord{Country: "ES", Addresses: []string{"/ip4/192.0.2.7/tcp/4931"}, Issued: now, Until: now.AddDate(0, 6, 0)}
	for what, c := range map[string]struct {
		change func(*AddressRecord)
		by     *bureau
		want   string
	}{
		"good":                     {func(*AddressRecord) {}, es, ""},
		"of another":               {func(*AddressRecord) {}, f.bureaus["PT"], crypto.ErrUnknownKey.Error()},
		"of a stranger":            {func(a *AddressRecord) { a.Country = "SE" }, newBureau(t, "SE", ""), "not an active member"},
		"of a suspended one":       {func(a *AddressRecord) { a.Country = "FR" }, f.bureaus["FR"], "not an active member"},
		"before the entry":         {func(a *AddressRecord) { a.Issued = day0 }, es, ErrStale.Error()},
		"over":                     {func(a *AddressRecord) { a.Until = now }, es, "ends"},
		"over soon":                {func(a *AddressRecord) { a.Issued, a.Until = now.Add(-time.Hour), now.Add(-time.Minute) }, es, ErrStale.Error()},
		"in the future":            {func(a *AddressRecord) { a.Issued = now.Add(time.Hour) }, es, "future"},
		"for too long":             {func(a *AddressRecord) { a.Until = now.AddDate(3, 0, 0) }, es, "the limit is 400"},
		"nowhere":                  {func(a *AddressRecord) { a.Addresses = nil }, es, "want 1 to 16"},
		"twice":                    {func(a *AddressRecord) { a.Addresses = slices.Repeat(a.Addresses, 2) }, es, "stands twice"},
		"no address":               {func(a *AddressRecord) { a.Addresses = []string{"madrid"} }, es, "address"},
		"at another's peer":        {func(a *AddressRecord) { a.Addresses[0] += "/p2p/" + f.bureaus["PT"].member(t).PeerIDs[0] }, es, "not the member's"},
		"at its own peer":          {func(a *AddressRecord) { a.Addresses[0] += "/p2p/" + es.member(t).PeerIDs[0] }, es, ""},
		"with a key that has gone": {func(*AddressRecord) {}, newBureau(t, "ES", "2"), crypto.ErrUnknownKey.Error()},
	} {
		a := good
		a.Addresses = slices.Clone(good.Addresses)
		c.change(&a)
		record, err := SignAddresses(a, c.by.keys.Signer())
		if err == nil {
			_, err = r.Addresses(record, now)
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	fed := newFederation(f)
	r := fed.first(f).Roster()
	now := day0.Add(time.Hour)
	record, err := SignAddresses(AddressRecord{Country: "ES", Addresses: []string{"/ip4/192.0.2.7/tcp/4931"}, Issued: now, Until: now.AddDate(0, 6, 0)}, fed.bureaus["ES"].keys.Signer())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add(record[:len(record)-1] + "A")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := r.Addresses(s, now)
		if err == nil && (s != record || a.Country != "ES") {
			t.Errorf("another record was accepted: %q", s)
		}
	})
}

func TestReject(t *testing.T) {
	f := newFederation(t)
	v1 := f.first(t)
	a := f.sign(t, f.next(t, v1), 2)
	b, err := v1.Next(day0.AddDate(0, 2, 0))
	if err != nil {
		t.Fatal(err)
	}
	f.sign(t, b, 2)
	d := f.next(t, a)
	wantError(t, d.Reject(a), "follows that very roster")
	wantError(t, d.Reject(v1), "version 1")
	if err := d.Reject(b); err != nil {
		t.Fatal(err)
	}
	if err := d.Reject(b); err != nil || len(d.Roster().Rejects) != 1 {
		t.Errorf("twice: %v", err)
	}
	v3 := parse(t, marshal(t, f.sign(t, d, 2)))
	if r, err := v3.VerifyNext(a); err != nil || !slices.Equal(r.Rejects, []string{b.Hash()}) {
		t.Errorf("%v, rejects %q", err, r.Rejects)
	}
	if v4, err := v3.Next(v3.roster.Issued); err != nil || len(v4.Roster().Rejects) != 0 {
		t.Errorf("a rejection is carried on: %v", err)
	}
	for _, bad := range [][]string{{"sha256:00"}, {b.Hash(), b.Hash()}, {a.Hash()}} {
		r := v3.Roster()
		r.Rejects = bad
		if _, err := Parse(forge(t, r, f.holders...)); err == nil {
			t.Errorf("rejects %q: read", bad)
		}
	}
}

func TestCheckSignatures(t *testing.T) {
	f := newFederation(t)
	d := f.sign(t, f.draft(t), 1)
	if err := d.CheckSignatures(); err != nil {
		t.Errorf("one good signature: %v", err)
	}
	var g general
	if err := json.Unmarshal(marshal(t, d), &g); err != nil {
		t.Fatal(err)
	}
	changed := f.draft(t)
	if err := changed.SetStatus("ES", Suspended, day0); err != nil {
		t.Fatal(err)
	}
	g.Payload = changed.payload
	b, err := encodeCanonical(g)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, parse(t, b).CheckSignatures(), "signature of Ana")
}

func TestGrace(t *testing.T) {
	f := newFederation(t)
	r := f.first(t).Roster()
	end := r.ValidUntil
	for _, c := range []struct {
		at            time.Time
		expired, held bool
	}{{end.Add(-time.Second), false, false}, {end, true, false}, {end.Add(Grace - time.Second), true, false}, {end.Add(Grace), true, true}} {
		if r.Expired(c.at) != c.expired || r.Held(c.at) != c.held {
			t.Errorf("at %s: expired %v, held %v", c.at, r.Expired(c.at), r.Held(c.at))
		}
	}
}
