package crypto

import (
	stdcrypto "crypto"
	"crypto/ecdh"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/x25519"

	"proofmark/protocol"
)

const (
	curveEd25519 = "Ed25519"
	curveX25519  = "X25519"
	maxJWK       = 512 // bytes
)

// encodeJWK writes a public OKP key (RFC 8037) with the required members only, in the order of RFC 7638: the one spelling that this
// project uses and accepts, so that equal keys are equal bytes.
func encodeJWK(curve string, public []byte) json.RawMessage {
	return json.RawMessage(`{"crv":"` + curve + `","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`)
}

func decodeJWK(b json.RawMessage, curve string) ([]byte, error) {
	if err := protocol.CheckJSON(b, maxJWK, 1); err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	var fields map[string]string
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	if _, ok := fields["d"]; ok {
		return nil, errors.New("JWK holds a private key: it must never leave its owner, replace it")
	}
	if fields["kty"] != "OKP" || fields["crv"] != curve {
		return nil, fmt.Errorf("JWK is of kty %.20q, crv %.20q, want OKP, %s", fields["kty"], fields["crv"], curve)
	}
	x, err := base64.RawURLEncoding.Strict().DecodeString(fields["x"])
	if err != nil || len(x) != 32 {
		return nil, errors.New("JWK: x is not 32 bytes in base64url")
	}
	if string(encodeJWK(curve, x)) != string(b) {
		return nil, errors.New(`JWK is not in its canonical form {"crv":…,"kty":"OKP","x":…}`)
	}
	return x, nil
}

// ParseSigningJWK reads a public Ed25519 key in its canonical form and gives its key ID. Keys of small order are refused: under
// such a key one signature fits many messages, and nothing would be proved by it.
func ParseSigningJWK(b json.RawMessage) (ed25519.PublicKey, string, error) {
	x, err := decodeJWK(b, curveEd25519)
	if err != nil {
		return nil, "", err
	}
	if err := checkEd25519(x); err != nil {
		return nil, "", fmt.Errorf("JWK: %w", err)
	}
	kid, err := thumbprint(ed25519.PublicKey(x))
	if err != nil {
		return nil, "", err
	}
	return x, kid, nil
}

// ParseSealingJWK reads a public X25519 key in its canonical form and gives its key ID. Keys of small order are refused.
func ParseSealingJWK(b json.RawMessage) (*ecdh.PublicKey, string, error) {
	x, err := decodeJWK(b, curveX25519)
	if err != nil {
		return nil, "", err
	}
	if err := checkX25519(x); err != nil {
		return nil, "", fmt.Errorf("JWK: %w", err)
	}
	key, err := ecdh.X25519().NewPublicKey(x)
	if err != nil {
		return nil, "", fmt.Errorf("JWK: %w", err)
	}
	kid, err := thumbprint(x25519.PublicKey(x))
	if err != nil {
		return nil, "", err
	}
	return key, kid, nil
}

// thumbprint is the key ID of RFC 7638: SHA-256 of the canonical JWK, in base64url.
func thumbprint(public any) (string, error) {
	key, err := jwk.FromRaw(public)
	if err != nil {
		return "", fmt.Errorf("key ID: %w", err)
	}
	sum, err := key.Thumbprint(stdcrypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("key ID: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// p25519 is the field prime 2²⁵⁵ − 19.
var p25519 = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// checkEd25519 refuses encodings that are not canonical (y ≥ p) and points of small order. Order is tested on the birationally
// equivalent Montgomery curve, u = (1+y)/(1−y) (RFC 7748 section 4.1).
func checkEd25519(public []byte) error {
	y := littleEndian(public)
	y.SetBit(y, 255, 0) // the sign of x
	if y.Cmp(p25519) >= 0 {
		return errors.New("Ed25519 key is not in canonical form")
	}
	one := big.NewInt(1)
	den := new(big.Int).Sub(one, y)
	den.Mod(den, p25519)
	if den.Sign() == 0 {
		return errors.New("Ed25519 key is of small order")
	}
	u := new(big.Int).Add(one, y)
	u.Mul(u, den.ModInverse(den, p25519)).Mod(u, p25519)
	b := u.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	if checkX25519(b) != nil {
		return errors.New("Ed25519 key is of small order")
	}
	return nil
}

// anyScalar is a fixed X25519 scalar: clamping makes it a multiple of 8, the cofactor, which is all that the test of order needs.
var anyScalar = sync.OnceValues(func() (*ecdh.PrivateKey, error) { return ecdh.X25519().NewPrivateKey(make([]byte, 32)) })

// checkX25519 refuses small order: there the product with any clamped scalar is zero (RFC 7748 section 6.1), which crypto/ecdh
// reports. It also refuses encodings that are not canonical (u ≥ p, or the unused top bit set).
func checkX25519(public []byte) error {
	if littleEndian(public).Cmp(p25519) >= 0 {
		return errors.New("X25519 key is not in canonical form")
	}
	scalar, err := anyScalar()
	if err != nil {
		return err
	}
	point, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return err
	}
	if _, err := scalar.ECDH(point); err != nil {
		return errors.New("X25519 key is of small order")
	}
	return nil
}

func littleEndian(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// KeySet holds public Ed25519 keys by key ID. The zero KeySet is empty.
type KeySet struct{ keys map[string]ed25519.PublicKey }

// NewKeySet reads public Ed25519 JWKs; a key that stands twice is refused.
func NewKeySet(jwks ...json.RawMessage) (KeySet, error) {
	s := KeySet{keys: make(map[string]ed25519.PublicKey, len(jwks))}
	for i, b := range jwks {
		key, kid, err := ParseSigningJWK(b)
		if err != nil {
			return KeySet{}, fmt.Errorf("key %d: %w", i+1, err)
		}
		if _, twice := s.keys[kid]; twice {
			return KeySet{}, fmt.Errorf("key %d: %s stands twice", i+1, kid)
		}
		s.keys[kid] = key
	}
	return s, nil
}

// Has tells whether the set holds a key.
func (s KeySet) Has(kid string) bool { _, ok := s.keys[kid]; return ok }

// KeyIDs lists the key IDs in ascending order.
func (s KeySet) KeyIDs() []string {
	ids := make([]string, 0, len(s.keys))
	for kid := range s.keys {
		ids = append(ids, kid)
	}
	slices.Sort(ids)
	return ids
}
