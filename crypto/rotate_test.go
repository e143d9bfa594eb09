package crypto

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestRotate(t *testing.T) {
	k, m := newKeys(t, 1), newMaster(t, 2)
	sealed, err := SealFor(k.SealingJWK(), TypeBundle, []byte("for the old key"))
	if err != nil {
		t.Fatal(err)
	}
	next := k
	for i, use := range []Use{ForSigning, ForSealing, ForHost, ForSigning} {
		if next, err = next.Rotate(use, seeded(byte(10+i))); err != nil {
			t.Fatal(err)
		}
	}
	b, err := next.Seal(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenKeys(b, m)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.Signers(); len(s) != 3 || s[2].KeyID() != k.Signer().KeyID() || s[0].KeyID() == s[1].KeyID() || s[0].KeyID() != got.Signer().KeyID() {
		t.Errorf("%d signers, the first key is not the oldest", len(s))
	}
	if h := got.HostKeys(); len(h) != 2 || !h[1].Equals(k.HostKey()) || !h[0].Equals(got.HostKey()) || h[0].Equals(h[1]) {
		t.Errorf("%d host keys", len(h))
	}
	if bytes.Equal(got.SealingJWK(), k.SealingJWK()) || !got.HasSealing(k.SealingJWK()) || k.HasSealing(got.SealingJWK()) {
		t.Error("the sealing key was not rotated, or the old one is forgotten")
	}
	if !bytes.Equal(got.log, k.log) {
		t.Error("the log's key changed")
	}
	if plain, err := got.Unseal(sealed, TypeBundle, 1<<20); err != nil || string(plain) != "for the old key" {
		t.Errorf("what was sealed for the old key does not open: %v", err)
	}
	foreign, err := SealFor(newKeys(t, 9).SealingJWK(), TypeBundle, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := got.Unseal(foreign, TypeBundle, 1<<20); !errors.Is(err, ErrNotForUs) {
		t.Errorf("for a stranger: %v", err)
	}
	if _, err := k.Rotate("log", seeded(1)); err == nil {
		t.Error("the log's key was rotated")
	}
	if _, err := k.Rotate(ForHost, strings.NewReader("short")); err == nil {
		t.Error("rotated with too little randomness")
	}
	for i := range maxOlder + 3 {
		if next, err = next.Rotate(ForHost, seeded(byte(50+i))); err != nil {
			t.Fatal(err)
		}
	}
	if b, err = next.Seal(m); err != nil || len(next.HostKeys()) != 1+maxOlder {
		t.Fatalf("%d host keys, %v", len(next.HostKeys()), err)
	}
	if _, err := OpenKeys(b, m); err != nil {
		t.Errorf("many older keys: %v", err)
	}
}
