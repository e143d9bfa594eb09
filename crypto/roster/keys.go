package roster

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"

	libp2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
)

// publicKeys gives every public key of the member, by its bytes, with its use. One key has one use.
func (m Member) publicKeys() (map[string]string, error) {
	keys := map[string]string{}
	put := func(key []byte, use string) error {
		if other, taken := keys[string(key)]; taken {
			return fmt.Errorf("%s is the same key as %s", use, other)
		}
		keys[string(key)] = use
		return nil
	}
	for i, b := range m.SigningKeys {
		key, _, err := crypto.ParseSigningJWK(b)
		if err == nil {
			err = put(key, fmt.Sprintf("signing key %d", i+1))
		}
		if err != nil {
			return nil, fmt.Errorf("signing key %d: %w", i+1, err)
		}
	}
	for i, b := range m.SealingKeys {
		key, _, err := crypto.ParseSealingJWK(b)
		if err == nil {
			err = put(key.Bytes(), fmt.Sprintf("sealing key %d", i+1))
		}
		if err != nil {
			return nil, fmt.Errorf("sealing key %d: %w", i+1, err)
		}
	}
	for _, s := range m.PeerIDs {
		key, err := peerKey(s)
		if err == nil {
			err = put(key, "peer ID "+s)
		}
		if err != nil {
			return nil, fmt.Errorf("peer ID %.80q: %w", s, err)
		}
	}
	_, key, err := logKey(m.LogKey)
	if err == nil {
		err = put(key, "log key")
	}
	if err != nil {
		return nil, fmt.Errorf("log key %.80q: %w", m.LogKey, err)
	}
	return keys, nil
}

func peerKey(s string) ([]byte, error) {
	id, err := peer.Decode(s)
	if err != nil {
		return nil, err
	}
	if id.String() != s {
		return nil, fmt.Errorf("not in its canonical form %s", id)
	}
	public, err := id.ExtractPublicKey()
	if err != nil {
		return nil, err
	}
	if public.Type() != libp2pcrypto.Ed25519 {
		return nil, fmt.Errorf("is of a %s key, want Ed25519", public.Type())
	}
	return public.Raw()
}

func logKey(vkey string) (name string, key []byte, err error) {
	if len(vkey) > maxAddress {
		return "", nil, fmt.Errorf("has %d bytes, the limit is %d", len(vkey), maxAddress)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return "", nil, err
	}
	key, err = keyOfVerifier(vkey, v)
	return v.Name(), key, err
}

// keyOfVerifier takes the public key out of sumdb/note's text form name+hash+key, where hash has eight digits.
func keyOfVerifier(vkey string, v note.Verifier) (ed25519.PublicKey, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(vkey[len(v.Name())+len("+01234567+"):])
	if err != nil {
		return nil, err
	}
	if len(b) != 1+ed25519.PublicKeySize {
		return nil, errors.New("not an Ed25519 key")
	}
	canonical, err := note.NewEd25519VerifierKey(v.Name(), b[1:])
	if err != nil {
		return nil, err
	}
	if canonical != vkey {
		return nil, errors.New("not in canonical form")
	}
	return b[1:], nil
}
