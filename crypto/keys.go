package crypto

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	libp2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/mod/sumdb/note"

	"proofmark/protocol"
)

const (
	seedSize    = 32
	keysVersion = 1
	keysPurpose = "keys"
	maxKeysFile = 16 << 10 // bytes; a sealed file of four keys has under 1 KiB
)

// Keys are the private keys of one country: Ed25519 for signing, X25519 for sealing, Ed25519 for the libp2p host and Ed25519 for
// the checkpoints of the audit log. They are independent of each other, so that one can be rotated without the rest.
type Keys struct {
	signing, host, log ed25519.PrivateKey
	sealing            *ecdh.PrivateKey

	// What was used before, the youngest first: it opens, and is known by, what was made with it.
	olderSigning, olderHost []ed25519.PrivateKey
	olderSealing            []*ecdh.PrivateKey
}

// keySeeds is the plain form inside the sealed file: 32 bytes each, in base64.
type keySeeds struct {
	Signing []byte `json:"signing"`
	Sealing []byte `json:"sealing"`
	Host    []byte `json:"host"`
	Log     []byte `json:"log"`

	OlderSigning [][]byte `json:"older_signing,omitempty"`
	OlderSealing [][]byte `json:"older_sealing,omitempty"`
	OlderHost    [][]byte `json:"older_host,omitempty"`
}

// GenerateKeys makes new keys from 128 bytes of random.
func GenerateKeys(random io.Reader) (*Keys, error) {
	b := make([]byte, 4*seedSize)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("generate keys: %w", err)
	}
	defer clear(b)
	return keysFromSeeds(keySeeds{Signing: b[:32], Sealing: b[32:64], Host: b[64:96], Log: b[96:]})
}

func keysFromSeeds(s keySeeds) (*Keys, error) {
	for _, seed := range [][]byte{s.Signing, s.Sealing, s.Host, s.Log} {
		if len(seed) != seedSize {
			return nil, fmt.Errorf("private key has %d bytes, want %d", len(seed), seedSize)
		}
	}
	sealing, err := ecdh.X25519().NewPrivateKey(s.Sealing)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	k := &Keys{
		signing: ed25519.NewKeyFromSeed(s.Signing),
		sealing: sealing,
		host:    ed25519.NewKeyFromSeed(s.Host),
		log:     ed25519.NewKeyFromSeed(s.Log),
	}
	return k, k.addOlder(s)
}

// Format keeps private keys out of logs, whatever the verb.
func (k *Keys) Format(f fmt.State, _ rune) { io.WriteString(f, "[private keys]") }

// Seal encrypts the keys for the keys file: versioned JSON, XChaCha20-Poly1305 under the master key's "keys" derivation. The nonce
// is derived from the key material itself (an SIV construction), so equal keys seal to equal files and no nonce can repeat.
func (k *Keys) Seal(master MasterKey) ([]byte, error) {
	plain, err := json.Marshal(k.seeds())
	if err != nil {
		return nil, fmt.Errorf("seal keys: %w", err)
	}
	defer clear(plain)
	nonce := derive(master[:], "keys nonce", plain, chacha20poly1305.NonceSizeX)
	sealed, err := sealBytes(master.Derive(keysPurpose), nonce, plain, keysLabel)
	if err != nil {
		return nil, fmt.Errorf("seal keys: %w", err)
	}
	return json.Marshal(sealedFile{Version: keysVersion, Nonce: nonce, Sealed: sealed})
}

const keysLabel = "proofmark keys file v1"

// sealedFile is the form of the keys file.
type sealedFile struct {
	Version int    `json:"version"`
	Nonce   []byte `json:"nonce"`
	Sealed  []byte `json:"sealed"`
}

// OpenKeys decrypts what Seal made. It returns ErrWrongMasterKey when the master key does not open it.
func OpenKeys(b []byte, master MasterKey) (*Keys, error) {
	var f sealedFile
	if err := decodeFile(b, maxKeysFile, &f); err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	if f.Version != keysVersion {
		return nil, fmt.Errorf("keys file: version %d, this program knows version %d", f.Version, keysVersion)
	}
	plain, err := openBytes(master.Derive(keysPurpose), f.Nonce, f.Sealed, keysLabel)
	if err != nil {
		return nil, fmt.Errorf("keys file: %w", ErrWrongMasterKey)
	}
	defer clear(plain)
	var seeds keySeeds
	if err := decodeFile(plain, maxKeysFile, &seeds); err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	k, err := keysFromSeeds(seeds)
	if err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	return k, nil
}

// decodeFile reads one small JSON object with known fields only.
func decodeFile(b []byte, maxSize int, v any) error {
	if err := protocol.CheckJSON(b, maxSize, 4); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// Signer signs with the country's signing key.
func (k *Keys) Signer() *Signer { return newSigner(k.signing) }

// HostKey is the identity of the country's libp2p host.
func (k *Keys) HostKey() libp2pcrypto.PrivKey {
	key, err := libp2pcrypto.UnmarshalEd25519PrivateKey(bytes.Clone(k.host))
	if err != nil {
		panic("crypto: an Ed25519 key of 64 bytes was refused: " + err.Error())
	}
	return key
}

// LogSigner signs the audit log's checkpoints under an origin such as "proofmark.PT".
func (k *Keys) LogSigner(origin string) (note.Signer, error) {
	// sumdb/note takes private keys only in its own text form: PRIVATE+KEY+name+hash+base64(1 ‖ seed).
	// The hash is what the verifier key names too; the key after it is base64, in which a plus sign is a digit.
	fields := strings.SplitN(strings.TrimPrefix(k.LogVerifierKey(origin), origin), "+", 3)
	if len(fields) != 3 || strings.Contains(origin, "+") {
		return nil, fmt.Errorf("log origin %q must not contain a plus sign", origin)
	}
	private := append([]byte{1}, k.log.Seed()...)
	defer clear(private)
	s, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + fields[1] + "+" + base64.StdEncoding.EncodeToString(private))
	if err != nil {
		return nil, fmt.Errorf("log origin %q: %w", origin, err)
	}
	return s, nil
}

// LogVerifierKey is the public side of LogSigner, in sumdb/note's form "origin+hash+key". It is of use only for an origin that
// LogSigner accepts: no spaces, no plus signs.
func (k *Keys) LogVerifierKey(origin string) string {
	v, err := note.NewEd25519VerifierKey(origin, k.log.Public().(ed25519.PublicKey))
	if err != nil {
		panic("crypto: an Ed25519 public key was refused: " + err.Error())
	}
	return v
}

// SigningJWK is the public signing key.
func (k *Keys) SigningJWK() json.RawMessage {
	return encodeJWK(curveEd25519, k.signing.Public().(ed25519.PublicKey))
}

// SealingJWK is the public sealing key.
func (k *Keys) SealingJWK() json.RawMessage {
	return encodeJWK(curveX25519, k.sealing.PublicKey().Bytes())
}
