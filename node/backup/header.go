package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"proofmark/crypto"
	"proofmark/protocol"
)

// A backup file is
//
//	magic ‖ frame(head, a JWS of the country) ‖ STREAM(file key, label of the head's hash) over zstd over the content
//	content = frame(index) ‖ one frame for each file that the index names ‖ records of the database (store.Backup)
//
// The head is in the clear and says what a file is; the file key stands in it, sealed for the recovery key. It names the hash of the file before it in the
// chain: whoever has the last one's head can tell that every one before it is there, unchanged and in its place.
const (
	magic      = "PMBACK1\n"
	version    = 1
	maxHead    = 16 << 10 // bytes of the head's JWS
	maxChain   = 10_000   // files
	streamName = "backup "
	bodyKey    = "backup body"
)

// Errors on which callers decide.
var (
	// ErrForm: the file is no backup of this version, or its head is not what it must be.
	ErrForm = errors.New("not a backup that this program can read")
	// ErrChain: a file is missing, changed, of another chain or in the wrong place.
	ErrChain = errors.New("the chain of backups is not whole")
	// ErrContent: the content was changed, cut short, or is of another head.
	ErrContent = errors.New("the content of the backup is not what was written")
)

// Head says in the clear what a backup is.
type Head struct {
	Version    int              `json:"version"`
	Country    protocol.Country `json:"country"`
	ID         string           `json:"id"`     // 32 hex digits
	Chain      string           `json:"chain"`  // the id of the full backup that it begins with
	Number     int              `json:"number"` // in the chain: 0 is the full one
	Parent     string           `json:"parent"` // SHA-256 of the file before it, hex; empty for the full one
	Made       time.Time        `json:"made"`
	Since      uint64           `json:"since"` // version of the database that the parent reached
	UpTo       uint64           `json:"up_to"` // version that this one reaches
	Checkpoint string           `json:"checkpoint"`
	Recovery   string           `json:"recovery"` // id of the recovery key
	Key        string           `json:"key"`      // the file key, a compact JWE for it
	Signing    json.RawMessage  `json:"signing"`  // the country's public signing key, under which the head verifies

	raw string // as it was signed
}

var idForm = regexp.MustCompile(`^[0-9a-f]{32}$`)
var hashForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (h *Head) check() error {
	full := h.Number == 0
	switch {
	case h.Version != version:
		return fmt.Errorf("version %d, this program knows version %d", h.Version, version)
	case !idForm.MatchString(h.ID) || !idForm.MatchString(h.Chain):
		return errors.New("id, chain: want 32 hex digits")
	case h.Number < 0 || h.Number >= maxChain:
		return fmt.Errorf("number %d: a chain has at most %d files", h.Number, maxChain)
	case full != (h.Parent == "") || full != (h.Since == 0) || full != (h.Chain == h.ID):
		return errors.New("number, parent, since and chain do not agree")
	case !full && !hashForm.MatchString(h.Parent):
		return errors.New("parent: not a SHA-256 in hex")
	case h.UpTo < h.Since || h.Made.IsZero() || h.Checkpoint == "" || len(h.Checkpoint) > 2048 || h.Recovery == "" || len(h.Recovery) > 64 || len(h.Key) > 2048:
		return errors.New("up_to, made, checkpoint, recovery or key is missing or too long")
	}
	_, err := protocol.ParseCountry(string(h.Country))
	return err
}

// seal signs the head and returns what a file begins with.
func (h *Head) seal(signer *crypto.Signer) ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("head of the backup: %w", err)
	}
	payload, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if h.raw, err = signer.Sign(crypto.TypeBackup, payload); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(magic)
	err = protocol.WriteFrame(&b, []byte(h.raw))
	return b.Bytes(), err
}

// label binds a content to its head.
func (h *Head) label() string {
	sum := sha256.Sum256([]byte(h.raw))
	return streamName + hex.EncodeToString(sum[:])
}

// ReadHead reads and verifies what a backup file begins with; r is at the content then. It verifies under the key that the head itself names: whose key
// that is, a restore compares with the keys inside, and a person with the roster.
func ReadHead(r io.Reader) (*Head, error) {
	b := make([]byte, len(magic))
	if _, err := io.ReadFull(r, b); err != nil || string(b) != magic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrForm)
	}
	jws, err := protocol.ReadFrame(r, maxHead)
	if err != nil {
		return nil, fmt.Errorf("%w: head: %w", ErrForm, err)
	}
	h, err := parseHead(string(jws))
	if err != nil {
		return nil, fmt.Errorf("%w: head: %w", ErrForm, err)
	}
	return h, nil
}

// ParseHead reads and verifies a head by itself, as JWS gives it out.
func ParseHead(jws string) (*Head, error) {
	h, err := parseHead(jws)
	if err != nil {
		return nil, fmt.Errorf("%w: head: %w", ErrForm, err)
	}
	return h, nil
}

// JWS is the head as the country signed it, a compact JWS of at most 16 KiB.
func (h *Head) JWS() string { return h.raw }

func parseHead(jws string) (*Head, error) {
	payload, _, err := crypto.Unverified(jws, crypto.TypeBackup, maxHead)
	if err != nil {
		return nil, err
	}
	if err := protocol.CheckJSON(payload, maxHead, 3); err != nil {
		return nil, err
	}
	h := &Head{raw: jws}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(h); err != nil {
		return nil, err
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	keys, err := crypto.NewKeySet(h.Signing)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	_, _, err = crypto.Verify(jws, crypto.TypeBackup, keys, maxHead)
	return h, err
}

// KeyID is the id of the signing key that the head verifies under.
func (h *Head) KeyID() string {
	_, kid, err := crypto.ParseSigningJWK(h.Signing)
	if err != nil {
		return ""
	}
	return kid
}

// fileKey opens the file key.
func (h *Head) fileKey(r *crypto.RecoveryKey) (key crypto.MasterKey, err error) {
	plain, err := r.Unseal(h.Key, crypto.TypeBackupKey, 2048)
	switch {
	case errors.Is(err, crypto.ErrNotForUs):
		return key, fmt.Errorf("this backup is for the recovery key %s, the one given is %s: %w", h.Recovery, r.KeyID(), err)
	case err != nil:
		return key, fmt.Errorf("%w: file key: %w", ErrForm, err)
	case len(plain) != len(key):
		return key, fmt.Errorf("%w: the file key has %d bytes", ErrForm, len(plain))
	}
	copy(key[:], plain)
	clear(plain)
	return key, nil
}
