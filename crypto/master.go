package crypto

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

// Errors of opening what is sealed.
var (
	ErrWrongPassphrase = errors.New("the passphrase is wrong, or the file was altered")
	ErrWrongMasterKey  = errors.New("the master key does not open it: it belongs to another node, or the file was altered")
)

const (
	masterVersion = 1
	masterLabel   = "proofmark master key v1"
	maxMasterFile = 4 << 10
)

// MasterKey is the one secret from which a node's other secrets are derived or under which they are sealed.
type MasterKey [32]byte

// NewMasterKey draws a master key.
func NewMasterKey(random io.Reader) (MasterKey, error) {
	var m MasterKey
	if _, err := io.ReadFull(random, m[:]); err != nil {
		return MasterKey{}, fmt.Errorf("new master key: %w", err)
	}
	return m, nil
}

// Derive gives 32 bytes for one purpose, such as "badger" or "keys" (HKDF-SHA256, RFC 5869; the purpose is the info). Different
// purposes give independent keys.
func (m MasterKey) Derive(purpose string) []byte {
	return derive(m[:], purpose, nil, 32)
}

// Signer derives an Ed25519 signing key for one purpose.
func (m MasterKey) Signer(purpose string) *Signer {
	return signerFromSeed(m.Derive("signer " + purpose))
}

// Format keeps the key out of logs, whatever the verb.
func (m MasterKey) Format(f fmt.State, _ rune) { io.WriteString(f, "[master key]") }

// MarshalJSON refuses: a master key is written only wrapped (see WrapMasterKey).
func (m MasterKey) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a master key is not written in the clear: use WrapMasterKey")
}

func derive(secret []byte, purpose string, salt []byte, size int) []byte {
	out, err := hkdf.Key(sha256.New, secret, salt, "proofmark "+purpose, size)
	if err != nil {
		panic("crypto: HKDF refused a fixed size: " + err.Error())
	}
	return out
}

// wrappedMaster is the form of a file that holds one secret under a passphrase: the master key, or the recovery key.
type wrappedMaster struct {
	Version int       `json:"version"`
	KDF     string    `json:"kdf"` // "argon2id"
	Cost    ArgonCost `json:"cost"`
	Salt    []byte    `json:"salt"`
	Nonce   []byte    `json:"nonce"`
	Sealed  []byte    `json:"sealed"`
}

// WrapMasterKey seals the master key under a passphrase: argon2id, then XChaCha20-Poly1305; 40 bytes of random for salt and nonce.
func WrapMasterKey(m MasterKey, passphrase []byte, random io.Reader, cost ArgonCost) ([]byte, error) {
	b, err := wrapSecret(m[:], masterLabel, passphrase, random, cost)
	if err != nil {
		return nil, fmt.Errorf("wrap master key: %w", err)
	}
	return b, nil
}

// UnwrapMasterKey opens what WrapMasterKey made. All parameters are checked against limits before argon2 runs, so that a foreign
// file can ask for 1 GiB and some seconds at most. It returns ErrWrongPassphrase when the passphrase does not open it.
func UnwrapMasterKey(b, passphrase []byte) (MasterKey, error) {
	plain, err := unwrapSecret(b, masterLabel, passphrase)
	if err != nil {
		return MasterKey{}, fmt.Errorf("master key file: %w", err)
	}
	defer clear(plain)
	return MasterKey(plain), nil
}

// wrapSecret seals 32 bytes under a passphrase; the label is authenticated.
func wrapSecret(secret []byte, label string, passphrase []byte, random io.Reader, cost ArgonCost) ([]byte, error) {
	if err := cost.check(); err != nil {
		return nil, err
	}
	if err := checkSecretSize(passphrase); err != nil {
		return nil, fmt.Errorf("passphrase %w", err)
	}
	b := make([]byte, saltSize+chacha20poly1305.NonceSizeX)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, err
	}
	w := wrappedMaster{Version: masterVersion, KDF: "argon2id", Cost: cost, Salt: b[:saltSize], Nonce: b[saltSize:]}
	key := cost.stretch(passphrase, w.Salt, 32)
	defer clear(key)
	var err error
	if w.Sealed, err = sealBytes(key, w.Nonce, secret, label); err != nil {
		return nil, err
	}
	return json.Marshal(w)
}

func unwrapSecret(b []byte, label string, passphrase []byte) ([]byte, error) {
	var w wrappedMaster
	if err := decodeFile(b, maxMasterFile, &w); err != nil {
		return nil, err
	}
	switch {
	case w.Version != masterVersion:
		return nil, fmt.Errorf("version %d, this program knows version %d", w.Version, masterVersion)
	case w.KDF != "argon2id":
		return nil, fmt.Errorf("key derivation %.20q, want argon2id", w.KDF)
	case len(w.Salt) != saltSize:
		return nil, fmt.Errorf("salt has %d bytes, want %d", len(w.Salt), saltSize)
	case len(w.Sealed) != len(MasterKey{})+chacha20poly1305.Overhead:
		return nil, fmt.Errorf("sealed key has %d bytes, want %d", len(w.Sealed), len(MasterKey{})+chacha20poly1305.Overhead)
	}
	if err := w.Cost.check(); err != nil {
		return nil, err
	}
	if err := checkSecretSize(passphrase); err != nil {
		return nil, fmt.Errorf("passphrase %w", err)
	}
	key := w.Cost.stretch(passphrase, w.Salt, 32)
	defer clear(key)
	plain, err := openBytes(key, w.Nonce, w.Sealed, label)
	if err != nil {
		return nil, ErrWrongPassphrase
	}
	return plain, nil
}

// sealBytes encrypts with XChaCha20-Poly1305; the label is authenticated, so that one kind of file cannot pass for another.
func sealBytes(key, nonce, plain []byte, label string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nonce, plain, []byte(label)), nil
}

func openBytes(key, nonce, sealed []byte, label string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	if len(nonce) != aead.NonceSize() {
		return nil, fmt.Errorf("nonce has %d bytes, want %d", len(nonce), aead.NonceSize())
	}
	return aead.Open(nil, nonce, sealed, []byte(label))
}
