package witness

import (
	stdcrypto "crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// algCosignature is the signature type of cosignature/v1 in key ids and verifier keys (c2sp.org/signed-note).
const algCosignature = 4

// Cosigner makes the cosignatures of one member. torchwood has one too, but takes the time from the wall clock; here it comes in.
type Cosigner struct {
	v   *torchwood.CosignatureVerifier
	key stdcrypto.Signer
}

// NewCosigner returns the cosigner of a member whose log has that origin and that Ed25519 key.
func NewCosigner(origin string, key stdcrypto.Signer) (*Cosigner, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("cosigner %.80q: the key is of type %T, want Ed25519", origin, key.Public())
	}
	v, err := torchwood.NewCosignatureVerifier(cosignerKey(origin, public))
	if err != nil {
		return nil, fmt.Errorf("cosigner %.80q: %w", origin, err)
	}
	return &Cosigner{v, key}, nil
}

// Cosign signs that at this time no checkpoint was known that contradicts this one, and gives the line that stands under it. The caller has decided
// (Decide), and has made durable what it decided, before.
func (c *Cosigner) Cosign(text string, at time.Time) (string, error) {
	origin, _, _ := strings.Cut(text, "\n")
	if _, err := parseText(text, origin); err != nil {
		return "", fmt.Errorf("cosign: %w", err)
	}
	if at.Unix() <= 0 {
		return "", fmt.Errorf("cosign checkpoint of %.80q: the clock says %s", origin, at.UTC().Format(time.RFC3339))
	}
	signed, err := c.key.Sign(nil, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at.Unix(), text), stdcrypto.Hash(0))
	if err != nil {
		return "", fmt.Errorf("cosign checkpoint of %.80q: %w", origin, err)
	}
	b := binary.BigEndian.AppendUint32(nil, c.v.KeyHash())
	b = binary.BigEndian.AppendUint64(b, uint64(at.Unix()))
	return line(note.Signature{Name: c.v.Name(), Base64: base64.StdEncoding.EncodeToString(append(b, signed...))}), nil
}

// cosignerKey is the verifier key of a member's cosignatures: its log's name and key, with the other signature type.
func cosignerKey(origin string, key ed25519.PublicKey) string {
	typed := append([]byte{algCosignature}, key...)
	sum := sha256.Sum256(append([]byte(origin+"\n"), typed...))
	return fmt.Sprintf("%s+%08x+%s", origin, binary.BigEndian.Uint32(sum[:]), base64.StdEncoding.EncodeToString(typed))
}

// cosignerOf makes the verifier of a member's cosignatures from its log key in sumdb/note's form.
func cosignerOf(vkey string) (*torchwood.CosignatureVerifier, error) {
	fields := strings.SplitN(vkey, "+", 3)
	if len(fields) != 3 {
		return nil, fmt.Errorf("log key %.80q: %w", vkey, ErrMalformed)
	}
	b, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || len(b) != 1+ed25519.PublicKeySize {
		return nil, fmt.Errorf("log key %.80q: %w: not an Ed25519 key", vkey, ErrMalformed)
	}
	return torchwood.NewCosignatureVerifier(cosignerKey(fields[0], b[1:]))
}
