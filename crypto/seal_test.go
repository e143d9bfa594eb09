package crypto

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/x25519"
)

func sealingKeys(t testing.TB, seed byte) *Keys {
	t.Helper()
	k, err := GenerateKeys(rand.NewChaCha8([32]byte{seed}))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealForOneRecipient(t *testing.T) {
	ke, fr := sealingKeys(t, 1), sealingKeys(t, 2)
	plain := bytes.Repeat([]byte("what travels on a stick "), 1000)
	sealed, err := SealFor(ke.SealingJWK(), TypeBundle, plain)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ke.Unseal(sealed, TypeBundle, 1<<20); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("the recipient reads %d bytes: %v", len(got), err)
	}
	again, err := SealFor(ke.SealingJWK(), TypeBundle, plain)
	if err != nil || again == sealed {
		t.Errorf("two seals are equal, or %v", err)
	}
	for what, c := range map[string]struct {
		keys   *Keys
		sealed string
		typ    string
		limit  int
		want   error
	}{
		"another country":     {fr, sealed, TypeBundle, 1 << 20, ErrNotForUs},
		"another use":         {ke, sealed, TypeDocument, 1 << 20, ErrWrongType},
		"too large":           {ke, sealed, TypeBundle, 1000, ErrTooLarge},
		"cut short":           {ke, sealed[:len(sealed)-8], TypeBundle, 1 << 20, ErrWrongSignature},
		"one character other": {ke, flip(sealed, len(sealed)/2), TypeBundle, 1 << 20, ErrWrongSignature},
		"no JWE":              {ke, "hello", TypeBundle, 1 << 20, ErrMalformed},
		"nothing":             {ke, "", TypeBundle, 1 << 20, ErrMalformed},
		"a sixth part":        {ke, sealed + ".x", TypeBundle, 1 << 20, ErrMalformed},
	} {
		if got, err := c.keys.Unseal(c.sealed, c.typ, c.limit); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %d bytes, %v, want %v", what, len(got), err, c.want)
		}
	}
}

func flip(s string, at int) string {
	c := byte('A')
	if s[at] == c {
		c = 'B'
	}
	return s[:at] + string(c) + s[at+1:]
}

// Only the exact form that SealFor writes is opened: other algorithms and compression, which a library would take, are refused before the key is used.
func TestUnsealRefusesOtherForms(t *testing.T) {
	ke := sealingKeys(t, 1)
	public := x25519.PublicKey(ke.sealing.PublicKey().Bytes())
	form := func(alg jwa.KeyEncryptionAlgorithm, options ...jwe.EncryptOption) string {
		h := jwe.NewHeaders()
		for name, v := range map[string]string{jwe.TypeKey: TypeBundle, jwe.KeyIDKey: x25519ID(ke.sealing)} {
			if err := h.Set(name, v); err != nil {
				t.Fatal(err)
			}
		}
		b, err := jwe.Encrypt([]byte("x"), append(options, jwe.WithKey(alg, public), jwe.WithProtectedHeaders(h))...)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for what, sealed := range map[string]string{
		"another key agreement": form(jwa.ECDH_ES_A256KW, jwe.WithContentEncryption(jwa.A256GCM)),
		"another cipher":        form(jwa.ECDH_ES, jwe.WithContentEncryption(jwa.A128CBC_HS256)),
		"compressed":            form(jwa.ECDH_ES, jwe.WithContentEncryption(jwa.A256GCM), jwe.WithCompress(jwa.Deflate)),
		"a header twice":        base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ECDH-ES","alg":"none"}`)) + "..a.b.c",
		"an unknown header":     base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ECDH-ES","enc":"A256GCM","p2c":99999999}`)) + "..a.b.c",
	} {
		if _, err := ke.Unseal(sealed, TypeBundle, 1<<20); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzUnseal(f *testing.F) {
	ke := sealingKeys(f, 1)
	sealed, err := SealFor(ke.SealingJWK(), TypeBundle, []byte("content"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(strings.Replace(sealed, ".", "..", 1))
	f.Add("....")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := ke.Unseal(s, TypeBundle, 1<<16); err == nil && string(got) != "content" {
			t.Errorf("%q opens as %q", s, got)
		}
	})
}
