package crypto

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"proofmark/protocol"
)

// The typ headers of what is signed. They separate the domains: a signature made for one is never valid for another.
const (
	TypeDocument   = "proofmark-document+jws"
	TypeBatch      = "proofmark-batch+jws"
	TypeReceipt    = "proofmark-receipt+jws"
	TypeStanding   = "proofmark-standing+jws"   // how far a node's log and its channels with one other are
	TypeMember     = "proofmark-member+jws"     // a member's entry in the roster
	TypeSuccession = "proofmark-succession+jws" // an old key's consent to a new entry
	TypeRoster     = "proofmark-roster+jws"     // a key holder's signature over the roster
	TypeAddresses  = "proofmark-addresses+jws"  // where a member says that it is now
)

// Errors that a caller decides on.
var (
	ErrTooLarge       = errors.New("larger than the limit")
	ErrMalformed      = errors.New("not a well-formed JWS of this project")
	ErrWrongType      = errors.New("signed for another use")
	ErrUnknownKey     = errors.New("signed with a key that is not among the expected ones")
	ErrWrongSignature = errors.New("the signature is wrong: the content was altered, or signed by somebody else")
)

// The library's EdDSA, which checks keys and signs and verifies bytes. Its Sign and Verify of whole objects are not used: they build and parse for every call
// what is fixed here to the letter, and what open has parsed more strictly, which took half of their time. Tests compare with them.
var (
	signing   = must(jws.NewSigner(jwa.EdDSA))
	verifying = must(jws.NewVerifier(jwa.EdDSA))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("crypto: the library knows no EdDSA: " + err.Error())
	}
	return v
}

const maxHeader = 512 // bytes of a decoded protected header; alg, kid and typ take about 110

// Signer signs with one Ed25519 key.
type Signer struct {
	key ed25519.PrivateKey
	kid string
}

func newSigner(key ed25519.PrivateKey) *Signer {
	kid, err := thumbprint(key.Public().(ed25519.PublicKey))
	if err != nil {
		panic("crypto: an Ed25519 public key was refused: " + err.Error())
	}
	return &Signer{key: key, kid: kid}
}

func signerFromSeed(seed []byte) *Signer { return newSigner(ed25519.NewKeyFromSeed(seed)) }

// KeyID is the RFC 7638 thumbprint of the public key, in base64url.
func (s *Signer) KeyID() string { return s.kid }

// JWK is the public key.
func (s *Signer) JWK() json.RawMessage {
	return encodeJWK(curveEd25519, s.key.Public().(ed25519.PublicKey))
}

// Format keeps the private key out of logs, whatever the verb.
func (s *Signer) Format(f fmt.State, _ rune) { io.WriteString(f, "[signer "+s.kid+"]") }

// Sign makes a compact JWS with attached payload and the protected header alg EdDSA, kid, typ. Ed25519 is deterministic: the same
// payload gives the same JWS.
func (s *Signer) Sign(typ string, payload []byte) (string, error) {
	if err := checkType(typ); err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	header, err := json.Marshal(struct { // in alphabetical order, as the library writes it
		Alg string `json:"alg"`
		Kid string `json:"kid"`
		Typ string `json:"typ"`
	}{jwa.EdDSA.String(), s.kid, typ})
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", typ, err)
	}
	b64 := base64.RawURLEncoding
	out := make([]byte, 0, b64.EncodedLen(len(header))+1+b64.EncodedLen(len(payload))+1+b64.EncodedLen(ed25519.SignatureSize))
	out = append(b64.AppendEncode(out, header), '.')
	out = b64.AppendEncode(out, payload)
	signature, err := signing.Sign(out, s.key)
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", typ, err)
	}
	return string(b64.AppendEncode(append(out, '.'), signature)), nil
}

func checkType(typ string) error {
	if !strings.HasPrefix(typ, "proofmark-") || !strings.HasSuffix(typ, "+jws") || len(typ) > 64 {
		return fmt.Errorf("typ %.80q is not of the form proofmark-…+jws", typ)
	}
	return nil
}

// Verify checks a compact JWS against the keys of one member valid at the time, and returns its payload and the key ID that signed.
// The header must hold exactly alg (EdDSA), kid and typ (the given one): no header can bring a key, an algorithm or an extension.
// Size is checked first, in bytes of the compact form. Every part must be in the one canonical base64url spelling, so that a signed
// object has one form only.
func Verify(compact, typ string, keys KeySet, maxSize int) (payload []byte, kid string, err error) {
	payload, signature, kid, err := open(compact, typ, maxSize)
	if err != nil {
		return nil, "", err
	}
	key, ok := keys.keys[kid]
	if !ok {
		return nil, "", fmt.Errorf("%s by key %.64s: %w", typ, kid, ErrUnknownKey)
	}
	if err := verifying.Verify([]byte(compact[:strings.LastIndexByte(compact, '.')]), signature, key); err != nil {
		return nil, "", fmt.Errorf("%s by key %.64s: %w", typ, kid, ErrWrongSignature)
	}
	return payload, kid, nil
}

// Unverified reads payload and key ID of a compact JWS without checking the signature, with all other checks of Verify: for what
// names its own signer and is verified as soon as the signer is known.
func Unverified(compact, typ string, maxSize int) (payload []byte, kid string, err error) {
	payload, _, kid, err = open(compact, typ, maxSize)
	return payload, kid, err
}

func open(compact, typ string, maxSize int) (payload, signature []byte, kid string, err error) {
	if len(compact) > maxSize {
		return nil, nil, "", fmt.Errorf("%s of %d bytes, the limit is %d: %w", typ, len(compact), maxSize, ErrTooLarge)
	}
	if err := checkType(typ); err != nil {
		return nil, nil, "", err
	}
	parts := strings.SplitN(compact, ".", 4)
	if len(parts) != 3 {
		return nil, nil, "", fmt.Errorf("%s does not have three parts: %w", typ, ErrMalformed)
	}
	kid, err = openHeader(parts[0], typ)
	if err != nil {
		return nil, nil, "", err
	}
	if payload, err = decodePart(parts[1]); err != nil {
		return nil, nil, "", fmt.Errorf("%s, payload: %w", typ, err)
	}
	signature, err = decodePart(parts[2])
	if err != nil {
		return nil, nil, "", fmt.Errorf("%s, signature: %w", typ, err)
	}
	if len(signature) != ed25519.SignatureSize {
		return nil, nil, "", fmt.Errorf("%s, signature of %d bytes, want %d: %w", typ, len(signature), ed25519.SignatureSize, ErrMalformed)
	}
	return payload, signature, kid, nil
}

func openHeader(part, typ string) (kid string, err error) {
	if len(part) > base64.RawURLEncoding.EncodedLen(maxHeader) {
		return "", fmt.Errorf("%s, header of %d bytes: %w", typ, len(part), ErrTooLarge)
	}
	b, err := decodePart(part)
	if err != nil {
		return "", fmt.Errorf("%s, header: %w", typ, err)
	}
	if kid, ok := usualHeader(string(b), typ); ok {
		return kid, nil
	}
	if err := protocol.CheckJSON(b, maxHeader, 1); err != nil {
		return "", fmt.Errorf("%s, header: %w: %w", typ, ErrMalformed, err)
	}
	var h map[string]json.RawMessage // a map, because a struct would take "ALG" for "alg"
	if err := json.Unmarshal(b, &h); err != nil {
		return "", fmt.Errorf("%s, header: %w: %w", typ, ErrMalformed, err)
	}
	value := map[string]string{}
	for name, raw := range h {
		if !slices.Contains([]string{"alg", "kid", "typ"}, name) {
			return "", fmt.Errorf("%s, header has a field %.20q, only alg, kid and typ are allowed: %w", typ, name, ErrMalformed)
		}
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", fmt.Errorf("%s, header field %s: %w: %w", typ, name, ErrMalformed, err)
		}
		value[name] = s
	}
	switch {
	case value["alg"] != jwa.EdDSA.String():
		return "", fmt.Errorf("%s, alg %.20q, want EdDSA: %w", typ, value["alg"], ErrMalformed)
	case value["kid"] == "":
		return "", fmt.Errorf("%s without kid: %w", typ, ErrMalformed)
	case value["typ"] != typ:
		return "", fmt.Errorf("typ %.80q, want %s: %w", value["typ"], typ, ErrWrongType)
	}
	return value["kid"], nil
}

// usualHeader reads a header that is spelt as Sign spells it, with a key ID of base64url; any other is for openHeader to judge.
func usualHeader(header, typ string) (kid string, ok bool) {
	kid, ok = strings.CutPrefix(header, `{"alg":"EdDSA","kid":"`)
	if ok {
		kid, ok = strings.CutSuffix(kid, `","typ":"`+typ+`"}`)
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
	}
	return kid, ok && kid != "" && strings.IndexFunc(kid, func(r rune) bool { return !plain(r) }) < 0
}

// decodePart reads base64url without padding in its canonical spelling; Go's decoder alone would skip line breaks.
func decodePart(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, '\n') >= 0 { // each in one go over the bytes, unlike ContainsAny
		return nil, fmt.Errorf("%w: line break in base64url", ErrMalformed)
	}
	return b, nil
}
