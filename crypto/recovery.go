package crypto

import (
	"crypto/ecdh"
	"encoding/json"
	"fmt"
	"io"
)

const (
	// TypeBackup is the typ header of a backup's signed head.
	TypeBackup = "proofmark-backup+jws"
	// TypeCustody is the typ header of what a member signs for a copy of a backup that it keeps.
	TypeCustody = "proofmark-custody+jws"
	// TypeBackupKey is the typ header of the key of a backup's content, sealed for the recovery key.
	TypeBackupKey = "proofmark-backup-key+jwe"

	recoveryLabel = "proofmark recovery key v1"
)

// RecoveryKey opens a country's backups: an X25519 key pair whose private part is kept away from the node, in a file under a passphrase. The node
// has the public part alone and cannot read its own backups.
type RecoveryKey struct{ private *ecdh.PrivateKey }

// NewRecoveryKey makes a recovery key from 32 bytes of random.
func NewRecoveryKey(random io.Reader) (*RecoveryKey, error) {
	seed := make([]byte, seedSize)
	defer clear(seed)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("new recovery key: %w", err)
	}
	return recoveryFromSeed(seed)
}

func recoveryFromSeed(seed []byte) (*RecoveryKey, error) {
	private, err := ecdh.X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, fmt.Errorf("recovery key: %w", err)
	}
	return &RecoveryKey{private}, nil
}

// JWK is the public part; SealFor takes it.
func (r *RecoveryKey) JWK() json.RawMessage {
	return encodeJWK(curveX25519, r.private.PublicKey().Bytes())
}

// KeyID is the RFC 7638 thumbprint of the public part, in base64url.
func (r *RecoveryKey) KeyID() string { return x25519ID(r.private) }

// Format keeps the private part out of logs, whatever the verb.
func (r *RecoveryKey) Format(f fmt.State, _ rune) { io.WriteString(f, "[recovery key "+r.KeyID()+"]") }

// Wrap seals the private part under a passphrase for a file, in the form and with the costs of WrapMasterKey.
func (r *RecoveryKey) Wrap(passphrase []byte, random io.Reader, cost ArgonCost) ([]byte, error) {
	seed := r.private.Bytes()
	defer clear(seed)
	b, err := wrapSecret(seed, recoveryLabel, passphrase, random, cost)
	if err != nil {
		return nil, fmt.Errorf("wrap recovery key: %w", err)
	}
	return b, nil
}

// OpenRecoveryKey opens what Wrap made; ErrWrongPassphrase when the passphrase does not open it.
func OpenRecoveryKey(b, passphrase []byte) (*RecoveryKey, error) {
	seed, err := unwrapSecret(b, recoveryLabel, passphrase)
	if err != nil {
		return nil, fmt.Errorf("recovery key file: %w", err)
	}
	defer clear(seed)
	return recoveryFromSeed(seed)
}

// Unseal opens what SealFor made for this key, with the checks of Keys.Unseal; ErrNotForUs for another recovery key's.
func (r *RecoveryKey) Unseal(compact, typ string, maxSize int) ([]byte, error) {
	return unseal(r.private, compact, typ, maxSize)
}
