package roster

import (
	"bytes"
	"testing"
)

func FuzzParse(f *testing.F) {
	fed := newFederation(f)
	v1 := fed.first(f)
	anchor := v1.Hash()
	f.Add(marshal(f, v1))
	f.Add(marshal(f, fed.draft(f)))
	f.Add(marshal(f, fed.next(f, v1)))
	f.Add([]byte(`{"payload":"e30","signatures":[]}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b)
		if err != nil {
			return
		}
		again, err := d.Marshal()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("a second spelling of one document: %q (%v)", b, err)
		}
		d.Signatures()
		if _, err := d.VerifyFirst(anchor); err == nil && d.payload != v1.payload {
			t.Errorf("another content under the anchor: %q", b)
		}
		if _, err := d.VerifyNext(v1); err == nil {
			t.Errorf("a next version out of nothing: %q", b)
		}
	})
}

func FuzzOpenMember(f *testing.F) {
	pt := newBureau(f, "PT", "")
	f.Add(pt.entry(f))
	f.Add("..")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := OpenMember(s)
		if err != nil {
			if m.Country != "" {
				t.Errorf("a refused entry gives content: %+v", m)
			}
			return
		}
		if _, err := m.KeySet(); err != nil {
			t.Errorf("an accepted entry without usable keys: %v", err)
		}
	})
}

// FuzzMember takes the parser behind the signature, which a fuzzer cannot forge.
func FuzzMember(f *testing.F) {
	pt := newBureau(f, "PT", "")
	seed, err := encodeCanonical(pt.member(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"country":"PT"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Member
		if decodeCanonical(b, MaxEntry, &m) != nil {
			return
		}
		if _, err := m.check(); err != nil {
			return
		}
		if again, err := encodeCanonical(m); err != nil || !bytes.Equal(again, b) {
			t.Errorf("a second spelling of one entry: %q (%v)", b, err)
		}
	})
}

// FuzzRoster takes the parser behind the base64 of a document.
func FuzzRoster(f *testing.F) {
	fed := newFederation(f)
	seed, err := encodeCanonical(fed.draft(f).Roster())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"name":"x","version":1,"holders":null,"members":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := openRoster(b, nil)
		if err != nil {
			return
		}
		if r.Threshold < 1 || r.Threshold > len(r.Holders) || len(r.opened) != len(r.Members) {
			t.Errorf("accepted %+v", r)
		}
	})
}

func FuzzOpenHolder(f *testing.F) {
	public, err := encodeCanonical(newHolderKey(f, "Ana").Holder())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(public)
	f.Add([]byte(`{"version":1,"holder":{"name":"Ana","key":null},"sealed":null}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := OpenHolder(b, []byte("pass")); err == nil {
			t.Errorf("a holder out of nothing: %s", h.Name())
		}
		if h, err := ParseHolder(b); err == nil {
			if again, err := encodeCanonical(h); err != nil || !bytes.Equal(again, b) {
				t.Errorf("a second spelling of one holder: %q (%v)", b, err)
			}
		}
	})
}
