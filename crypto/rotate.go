package crypto

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	libp2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
)

// Use is what a key serves.
type Use string

// The uses of keys that are rotated. The audit log's key is not: its checkpoints form one history.
const (
	ForSigning Use = "signing"
	ForSealing Use = "sealing"
	ForHost    Use = "host"
)

// maxOlder bounds the older keys of one use; the oldest is forgotten beyond.
const maxOlder = 15

// Rotate gives the keys with a new one of one use, from 32 bytes of random. The one before is kept as an older key.
func (k *Keys) Rotate(use Use, random io.Reader) (*Keys, error) {
	seed := make([]byte, seedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("rotate %s key: %w", use, err)
	}
	defer clear(seed)
	s := k.seeds()
	move := func(current *[]byte, older *[][]byte) {
		*older = append([][]byte{*current}, *older...)
		*older = (*older)[:min(len(*older), maxOlder)]
		*current = seed
	}
	switch use {
	case ForSigning:
		move(&s.Signing, &s.OlderSigning)
	case ForSealing:
		move(&s.Sealing, &s.OlderSealing)
	case ForHost:
		move(&s.Host, &s.OlderHost)
	default:
		return nil, fmt.Errorf("rotate %.20q key: there are %s, %s and %s keys", use, ForSigning, ForSealing, ForHost)
	}
	return keysFromSeeds(s)
}

func (k *Keys) seeds() keySeeds {
	s := keySeeds{Signing: k.signing.Seed(), Sealing: k.sealing.Bytes(), Host: k.host.Seed(), Log: k.log.Seed()}
	for _, old := range k.olderSigning {
		s.OlderSigning = append(s.OlderSigning, old.Seed())
	}
	for _, old := range k.olderSealing {
		s.OlderSealing = append(s.OlderSealing, old.Bytes())
	}
	for _, old := range k.olderHost {
		s.OlderHost = append(s.OlderHost, old.Seed())
	}
	return s
}

func (k *Keys) addOlder(s keySeeds) error {
	for _, list := range [][][]byte{s.OlderSigning, s.OlderSealing, s.OlderHost} {
		if len(list) > maxOlder {
			return fmt.Errorf("%d older keys of one use, the limit is %d", len(list), maxOlder)
		}
		for _, seed := range list {
			if len(seed) != seedSize {
				return fmt.Errorf("older private key has %d bytes, want %d", len(seed), seedSize)
			}
		}
	}
	for _, seed := range s.OlderSigning {
		k.olderSigning = append(k.olderSigning, ed25519.NewKeyFromSeed(seed))
	}
	for _, seed := range s.OlderHost {
		k.olderHost = append(k.olderHost, ed25519.NewKeyFromSeed(seed))
	}
	for _, seed := range s.OlderSealing {
		old, err := ecdh.X25519().NewPrivateKey(seed)
		if err != nil {
			return fmt.Errorf("older sealing key: %w", err)
		}
		k.olderSealing = append(k.olderSealing, old)
	}
	return nil
}

// Signers sign with the signing key, and with the older ones, the youngest first.
func (k *Keys) Signers() []*Signer {
	out := []*Signer{k.Signer()}
	for _, old := range k.olderSigning {
		out = append(out, newSigner(old))
	}
	return out
}

// HostKeys are the identity of the libp2p host, and the older ones, the youngest first.
func (k *Keys) HostKeys() []libp2pcrypto.PrivKey {
	out := []libp2pcrypto.PrivKey{k.HostKey()}
	for _, old := range k.olderHost {
		key, err := libp2pcrypto.UnmarshalEd25519PrivateKey(bytes.Clone(old))
		if err != nil {
			panic("crypto: an Ed25519 key of 64 bytes was refused: " + err.Error())
		}
		out = append(out, key)
	}
	return out
}

// HasSealing tells whether a public sealing key is the current one or an older one of these.
func (k *Keys) HasSealing(jwk json.RawMessage) bool {
	return slices.ContainsFunc(append([]*ecdh.PrivateKey{k.sealing}, k.olderSealing...), func(p *ecdh.PrivateKey) bool {
		return bytes.Equal(encodeJWK(curveX25519, p.PublicKey().Bytes()), jwk)
	})
}
