package crypto

import (
	"bytes"
	"crypto/ecdh"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/x25519"

	"proofmark/protocol"
)

// TypeBundle is the typ header of an offline bundle.
const TypeBundle = "proofmark-bundle+jwe"

// ErrNotForUs: sealed for a key that this country does not have.
var ErrNotForUs = errors.New("sealed for another key than this country's")

// SealFor encrypts for the holder of an X25519 key as a compact JWE (RFC 7516): ECDH-ES, A256GCM, headers typ and kid. Whoever opens it learns nothing of
// who sealed it: what is inside must be signed. The content is not compressed.
func SealFor(recipient json.RawMessage, typ string, plain []byte) (string, error) {
	key, kid, err := ParseSealingJWK(recipient)
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	h := jwe.NewHeaders()
	for name, value := range map[string]string{jwe.TypeKey: typ, jwe.KeyIDKey: kid} {
		if err := h.Set(name, value); err != nil {
			return "", fmt.Errorf("seal for %s: %w", kid, err)
		}
	}
	b, err := jwe.Encrypt(plain, jwe.WithKey(jwa.ECDH_ES, x25519.PublicKey(key.Bytes())), jwe.WithContentEncryption(jwa.A256GCM), jwe.WithProtectedHeaders(h))
	if err != nil {
		return "", fmt.Errorf("seal for %s: %w", kid, err)
	}
	return string(b), nil
}

// Unseal opens what SealFor made for this country, of at most maxSize bytes. Everything but the exact headers that SealFor writes is refused before any
// computation with the key: no other algorithm, no compression.
// What was sealed for an older key of this country opens too.
func (k *Keys) Unseal(compact, typ string, maxSize int) ([]byte, error) {
	plain, err := unseal(k.sealing, compact, typ, maxSize)
	for _, old := range k.olderSealing {
		if !errors.Is(err, ErrNotForUs) {
			break
		}
		if b, oldErr := unseal(old, compact, typ, maxSize); !errors.Is(oldErr, ErrNotForUs) {
			plain, err = b, oldErr
		}
	}
	return plain, err
}

func unseal(private *ecdh.PrivateKey, compact, typ string, maxSize int) ([]byte, error) {
	if len(compact) > maxSize {
		return nil, fmt.Errorf("unseal: %w: %d bytes, the limit is %d", ErrTooLarge, len(compact), maxSize)
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 5 || parts[1] != "" { // ECDH-ES carries no encrypted key
		return nil, fmt.Errorf("unseal: %w", ErrMalformed)
	}
	if err := checkSealHeader(parts[0], typ, x25519ID(private)); err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	plain, err := jwe.Decrypt([]byte(compact), jwe.WithKey(jwa.ECDH_ES, x25519.PrivateKey(append(private.Bytes(), private.PublicKey().Bytes()...))))
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", ErrWrongSignature)
	}
	return plain, nil
}

func checkSealHeader(part, typ, kid string) error {
	raw, err := decodePart(part)
	if err != nil || len(raw) > maxHeader {
		return ErrMalformed
	}
	if err := protocol.CheckJSON(raw, maxHeader, 3); err != nil {
		return fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	var h struct {
		Alg string          `json:"alg"`
		Enc string          `json:"enc"`
		Typ string          `json:"typ"`
		Kid string          `json:"kid"`
		Epk json.RawMessage `json:"epk"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	switch _, _, err := ParseSealingJWK(h.Epk); {
	case h.Alg != string(jwa.ECDH_ES) || h.Enc != string(jwa.A256GCM):
		return fmt.Errorf("%w: %.20q with %.20q, want ECDH-ES with A256GCM", ErrMalformed, h.Alg, h.Enc)
	case h.Typ != typ:
		return fmt.Errorf("%w: %.60q, want %s", ErrWrongType, h.Typ, typ)
	case h.Kid != kid:
		return fmt.Errorf("%w (key %.60q)", ErrNotForUs, h.Kid)
	case err != nil:
		return fmt.Errorf("%w: ephemeral key: %w", ErrMalformed, err)
	}
	return nil
}

// x25519ID is the key ID of an X25519 key.
func x25519ID(private *ecdh.PrivateKey) string {
	kid, err := thumbprint(x25519.PublicKey(private.PublicKey().Bytes()))
	if err != nil {
		panic("crypto: an X25519 public key was refused: " + err.Error())
	}
	return kid
}
