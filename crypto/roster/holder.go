package roster

import (
	"encoding/json"
	"fmt"
	"io"

	"proofmark/crypto"
)

const (
	holderVersion = 1
	holderPurpose = "roster holder"
	maxHolderFile = 8 << 10 // bytes
)

// Holder is a key holder of the roster: a person or office that signs new versions.
type Holder struct {
	Name string          `json:"name"`
	Key  json.RawMessage `json:"key"` // Ed25519 JWK
}

func (h Holder) check() error {
	if err := checkName(h.Name); err != nil {
		return fmt.Errorf("holder name %w", err)
	}
	if _, _, err := crypto.ParseSigningJWK(h.Key); err != nil {
		return fmt.Errorf("holder %s: %w", h.Name, err)
	}
	return nil
}

// HolderKey is an opened holder's key, ready to sign.
type HolderKey struct {
	holder Holder
	signer *crypto.Signer
}

// Name is the holder's name.
func (h *HolderKey) Name() string { return h.holder.Name }

// KeyID is the thumbprint of the holder's key.
func (h *HolderKey) KeyID() string { return h.signer.KeyID() }

// Holder is the public side, for Create.
func (h *HolderKey) Holder() Holder { return h.holder }

// Public is the content of the holder's public file, as NewHolder makes it.
func (h *HolderKey) Public() ([]byte, error) { return encodeCanonical(h.holder) }

// holderFile is the form of a holder's sealed file. The holder's secret is wrapped as a node's master key is, and the signing key
// derived from it.
type holderFile struct {
	Version int             `json:"version"`
	Holder  Holder          `json:"holder"`
	Sealed  json.RawMessage `json:"sealed"`
}

// NewHolder makes a holder's key: a private file sealed with the passphrase (crypto.DefaultCost), and the public Holder as JSON.
func NewHolder(name string, passphrase []byte, random io.Reader) (private, public []byte, err error) {
	return newHolder(name, passphrase, random, crypto.DefaultCost)
}

func newHolder(name string, passphrase []byte, random io.Reader, cost crypto.ArgonCost) (private, public []byte, err error) {
	secret, err := crypto.NewMasterKey(random)
	if err != nil {
		return nil, nil, fmt.Errorf("new holder: %w", err)
	}
	h := Holder{Name: name, Key: secret.Signer(holderPurpose).JWK()}
	if err := h.check(); err != nil {
		return nil, nil, fmt.Errorf("new holder: %w", err)
	}
	sealed, err := crypto.WrapMasterKey(secret, passphrase, random, cost)
	if err != nil {
		return nil, nil, fmt.Errorf("new holder %s: %w", name, err)
	}
	if private, err = encodeCanonical(holderFile{holderVersion, h, sealed}); err != nil {
		return nil, nil, fmt.Errorf("new holder %s: %w", name, err)
	}
	if public, err = encodeCanonical(h); err != nil {
		return nil, nil, fmt.Errorf("new holder %s: %w", name, err)
	}
	return private, public, nil
}

// OpenHolder opens a holder's private file; crypto.ErrWrongPassphrase tells of a wrong passphrase.
func OpenHolder(private, passphrase []byte) (*HolderKey, error) {
	var f holderFile
	if err := decodeCanonical(private, maxHolderFile, &f); err != nil {
		return nil, fmt.Errorf("holder's private file: %w", err)
	}
	if f.Version != holderVersion {
		return nil, fmt.Errorf("holder's private file: version %d, this program knows version %d", f.Version, holderVersion)
	}
	if err := f.Holder.check(); err != nil {
		return nil, fmt.Errorf("holder's private file: %w", err)
	}
	secret, err := crypto.UnwrapMasterKey(f.Sealed, passphrase)
	if err != nil {
		return nil, fmt.Errorf("private file of holder %s: %w", f.Holder.Name, err)
	}
	s := secret.Signer(holderPurpose)
	if string(s.JWK()) != string(f.Holder.Key) {
		return nil, fmt.Errorf("private file of holder %s: its public key is not the one of its secret", f.Holder.Name)
	}
	return &HolderKey{f.Holder, s}, nil
}

// ParseHolder reads a holder's public file.
func ParseHolder(public []byte) (Holder, error) {
	var h Holder
	if err := decodeCanonical(public, maxHolderFile, &h); err != nil {
		return Holder{}, fmt.Errorf("holder's public file: %w", err)
	}
	if err := h.check(); err != nil {
		return Holder{}, fmt.Errorf("holder's public file: %w", err)
	}
	return h, nil
}
