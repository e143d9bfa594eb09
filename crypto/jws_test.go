package crypto

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

func TestSignAndVerify(t *testing.T) {
	k := newKeys(t, 1)
	s, set := k.Signer(), keySet(t, k.SigningJWK())
	for _, payload := range []string{"", "{}", strings.Repeat("x", 100_000)} {
		compact, err := s.Sign(TypeDocument, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		got, kid, err := Verify(compact, TypeDocument, set, len(compact))
		if err != nil || string(got) != payload || kid != s.KeyID() {
			t.Errorf("payload of %d bytes: %d back, kid %s, %v", len(payload), len(got), kid, err)
		}
		if _, _, err := Verify(compact, TypeDocument, set, len(compact)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("over the limit: %v", err)
		}
		if _, _, err := Verify(compact, TypeDocument, KeySet{}, len(compact)); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("no keys: %v", err)
		}
	}
	for _, typ := range []string{"", "JWT", "proofmark-document"} {
		if _, err := s.Sign(typ, nil); err == nil {
			t.Errorf("signed under typ %q", typ)
		}
	}
}

func TestTypesAreSeparate(t *testing.T) {
	k := newKeys(t, 1)
	types := []string{TypeDocument, TypeBatch, TypeReceipt, TypeMember, TypeSuccession, TypeRoster}
	for _, signed := range types {
		compact, err := k.Signer().Sign(signed, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		for _, wanted := range types {
			_, _, err := Verify(compact, wanted, keySet(t, k.SigningJWK()), 1000)
			if ok := err == nil; ok != (signed == wanted) {
				t.Errorf("%s taken for %s: %v", signed, wanted, err)
			}
			if signed != wanted && !errors.Is(err, ErrWrongType) {
				t.Errorf("%s taken for %s: %v", signed, wanted, err)
			}
		}
	}
}

// rawJWS signs any header with a good key.
func rawJWS(k *Keys, header, payload string) string {
	b64 := base64.RawURLEncoding
	h, err := jws.NewSigner(jwa.EdDSA)
	if err != nil {
		panic(err)
	}
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	sig, err := h.Sign([]byte(input), k.signing)
	if err != nil {
		panic(err)
	}
	return input + "." + b64.EncodeToString(sig)
}

func TestVerifyRefuses(t *testing.T) {
	k, other := newKeys(t, 1), newKeys(t, 2)
	kid := k.Signer().KeyID()
	good, err := k.Signer().Sign(TypeDocument, []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	head := func(more string) string {
		return rawJWS(k, `{"alg":"EdDSA","kid":"`+kid+`","typ":"`+TypeDocument+`"`+more+`}`, "payload")
	}
	if _, _, err := Verify(head(""), TypeDocument, keySet(t, k.SigningJWK()), 4096); err != nil {
		t.Fatalf("the raw form itself is refused: %v", err)
	}
	stolen, err := other.Signer().Sign(TypeDocument, []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	hs, err := jws.Sign([]byte("payload"), jws.WithKey(jwa.HS256, []byte(k.signing[32:]), jws.WithProtectedHeaders(headers(t, kid, TypeDocument))))
	if err != nil {
		t.Fatal(err)
	}
	none, err := jws.Sign([]byte("payload"), jws.WithInsecureNoSignature(jws.WithProtectedHeaders(headers(t, kid, TypeDocument))))
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(good)
	flipped[len(parts[0])+2] ^= 1
	for name, c := range map[string]struct {
		compact string
		want    error
	}{
		"alg none":             {string(none), ErrMalformed},
		"HS256 with public":    {string(hs), ErrMalformed},
		"alg none, signed":     {rawJWS(k, `{"alg":"none","kid":"`+kid+`","typ":"`+TypeDocument+`"}`, "payload"), ErrMalformed},
		"alg in other case":    {rawJWS(k, `{"alg":"eddsa","kid":"`+kid+`","typ":"`+TypeDocument+`"}`, "payload"), ErrMalformed},
		"jwk":                  {head(`,"jwk":` + string(other.SigningJWK())), ErrMalformed},
		"jku":                  {head(`,"jku":"https://example.org"`), ErrMalformed},
		"x5u":                  {head(`,"x5u":"https://example.org"`), ErrMalformed},
		"crit":                 {head(`,"crit":["b64"],"b64":false`), ErrMalformed},
		"b64":                  {head(`,"b64":false`), ErrMalformed},
		"cty":                  {head(`,"cty":"x"`), ErrMalformed},
		"alg twice":            {head(`,"alg":"none"`), ErrMalformed},
		"ALG":                  {head(`,"ALG":"none"`), ErrMalformed},
		"no kid":               {rawJWS(k, `{"alg":"EdDSA","typ":"`+TypeDocument+`"}`, "payload"), ErrMalformed},
		"kid a number":         {rawJWS(k, `{"alg":"EdDSA","kid":1,"typ":"`+TypeDocument+`"}`, "payload"), ErrMalformed},
		"kid null":             {rawJWS(k, `{"alg":"EdDSA","kid":null,"typ":"`+TypeDocument+`"}`, "payload"), ErrMalformed},
		"no typ":               {rawJWS(k, `{"alg":"EdDSA","kid":"`+kid+`"}`, "payload"), ErrWrongType},
		"typ in capitals":      {rawJWS(k, `{"alg":"EdDSA","kid":"`+kid+`","typ":"PROOFMARK-document+jws"}`, "payload"), ErrWrongType},
		"header an array":      {rawJWS(k, `[]`, "payload"), ErrMalformed},
		"header null":          {rawJWS(k, `null`, "payload"), ErrMalformed},
		"header and more":      {rawJWS(k, `{} {}`, "payload"), ErrMalformed},
		"header large":         {head(`,"x":"` + strings.Repeat("x", maxHeader) + `"`), ErrTooLarge},
		"foreign key":          {stolen, ErrUnknownKey},
		"foreign under kid":    {rawJWS(other, `{"alg":"EdDSA","kid":"`+kid+`","typ":"`+TypeDocument+`"}`, "payload"), ErrWrongSignature},
		"altered payload":      {string(flipped), ErrWrongSignature},
		"detached":             {parts[0] + ".." + parts[2], ErrWrongSignature},
		"no signature":         {parts[0] + "." + parts[1] + ".", ErrMalformed},
		"short signature":      {parts[0] + "." + parts[1] + "." + parts[2][:84], ErrMalformed},
		"four parts":           {good + ".", ErrMalformed},
		"two parts":            {parts[0] + "." + parts[1], ErrMalformed},
		"empty":                {"", ErrMalformed},
		"JSON serialization":   {`{"payload":"` + parts[1] + `"}`, ErrMalformed},
		"padding":              {good + "=", ErrMalformed},
		"line break":           {good + "\n", ErrMalformed},
		"line break inside":    {parts[0] + "." + parts[1][:2] + "\n" + parts[1][2:] + "." + parts[2], ErrMalformed},
		"space before":         {" " + good, ErrMalformed},
		"last bits of base64":  {good[:len(good)-1] + lastBits(good), ErrMalformed},
		"base64 for base64url": {parts[0] + "." + parts[1] + "." + strings.Repeat("+", 86), ErrMalformed},
		"S + L":                {addOrder(t, good), ErrWrongSignature},
	} {
		t.Run(name, func(t *testing.T) {
			if payload, _, err := Verify(c.compact, TypeDocument, keySet(t, k.SigningJWK()), 4096); !errors.Is(err, c.want) || payload != nil {
				t.Errorf("payload %q, error %v, want %v", payload, err, c.want)
			}
		})
	}
}

func headers(t *testing.T, kid, typ string) jws.Headers {
	h := jws.NewHeaders()
	if err := errors.Join(h.Set("kid", kid), h.Set("typ", typ)); err != nil {
		t.Fatal(err)
	}
	return h
}

// lastBits gives the last character with one of its unused bits set: 64 bytes leave four such bits.
func lastBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, s[len(s)-1])|1])
}

// addOrder adds the group order L to the S half of a signature: the second signature for a verifier that does not check the range of
// S (RFC 8032 section 5.1.7).
func addOrder(t *testing.T, compact string) string {
	i := strings.LastIndexByte(compact, '.') + 1
	sig, err := base64.RawURLEncoding.DecodeString(compact[i:])
	if err != nil {
		t.Fatal(err)
	}
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	carry := 0
	for j, b := range order {
		sum := int(sig[32+j]) + int(b) + carry
		sig[32+j], carry = byte(sum), sum>>8
	}
	return compact[:i] + base64.RawURLEncoding.EncodeToString(sig)
}

// What this package signs is verified by a JOSE library from public facts alone, and the other way round.
func TestOtherLibrary(t *testing.T) {
	k := newKeys(t, 1)
	compact, err := k.Signer().Sign(TypeDocument, []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.ParseKey(k.SigningJWK())
	if err != nil {
		t.Fatal(err)
	}
	if payload, err := jws.Verify([]byte(compact), jws.WithKey(jwa.EdDSA, key)); err != nil || string(payload) != `{"a":1}` {
		t.Errorf("payload %s, %v", payload, err)
	}
	theirs, err := jws.Sign([]byte("x"), jws.WithKey(jwa.EdDSA, k.signing, jws.WithProtectedHeaders(headers(t, k.Signer().KeyID(), TypeDocument))))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Verify(string(theirs), TypeDocument, keySet(t, k.SigningJWK()), 1000); err != nil {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	k := newKeys(f, 1)
	good, err := k.Signer().Sign(TypeDocument, []byte("payload"))
	if err != nil {
		f.Fatal(err)
	}
	set := keySet(f, k.SigningJWK())
	f.Add(good)
	f.Add(rawJWS(k, `{"alg":"none","kid":"x","typ":"`+TypeDocument+`","crit":["x"]}`, ""))
	f.Add("..")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		payload, kid, err := Verify(s, TypeDocument, set, 4096)
		if err != nil {
			return
		}
		if s != good && string(payload) == "payload" {
			t.Errorf("a second form of one signed object: %s", s)
		}
		if kid != k.Signer().KeyID() {
			t.Errorf("kid %s", kid)
		}
	})
}

// Sign and Verify take only the signature itself from the library; what they write and read must be letter by letter what it writes and reads.
func TestSignedAsTheLibrarySigns(t *testing.T) {
	k := newKeys(t, 1)
	for _, typ := range []string{TypeDocument, TypeBatch, TypeReceipt, TypeMember, TypeSuccession, TypeRoster} {
		for _, payload := range []string{"", "{}", strings.Repeat("é<>&", 1000)} {
			own, err := k.Signer().Sign(typ, []byte(payload))
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := jws.Sign([]byte(payload), jws.WithKey(jwa.EdDSA, k.signing, jws.WithProtectedHeaders(headers(t, k.Signer().KeyID(), typ))))
			if err != nil {
				t.Fatal(err)
			}
			if own != string(theirs) {
				t.Errorf("%s: signed as\n%s\nthe library signs\n%s", typ, own, theirs)
			}
			if read, err := jws.Verify([]byte(own), jws.WithKey(jwa.EdDSA, k.signing.Public())); err != nil || string(read) != payload {
				t.Errorf("%s: the library reads %q: %v", typ, read, err)
			}
		}
	}
}

// A header in another spelling, which the usual one's short way does not know, is read as well.
func TestHeaderInAnotherSpelling(t *testing.T) {
	k := newKeys(t, 1)
	kid := k.Signer().KeyID()
	for _, header := range []string{`{"typ":"` + TypeDocument + `","kid":"` + kid + `","alg":"EdDSA"}`, `{"alg":"EdDSA", "kid":"` + kid + `","typ":"` + TypeDocument + `"}`,
		`{"alg":"EdDSA","kid":"\u00` + hexOf(kid[0]) + kid[1:] + `","typ":"` + TypeDocument + `"}`} {
		if _, got, err := Verify(rawJWS(k, header, "x"), TypeDocument, keySet(t, k.SigningJWK()), 4096); err != nil || got != kid {
			t.Errorf("%s: kid %s, %v", header, got, err)
		}
	}
}

func hexOf(c byte) string { return hex.EncodeToString([]byte{c}) }
