package roster

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"proofmark/crypto"
)

// Limits on a roster document.
const (
	MaxDocument = 4 << 20 // bytes
	MaxMembers  = 1000
	MaxHolders  = 64
)

// Errors that a caller decides on.
var (
	ErrSigned    = errors.New("the draft is signed already: start the next version")
	ErrNotHolder = errors.New("is not a key holder of this roster")
	ErrKeyChange = errors.New("the new entry lacks the consent of a key of the old one")
	ErrStale     = errors.New("the new entry is not newer than the listed one")
	ErrEarly     = errors.New("the key holders' override has not been public for its seven days")
)

// Status is a member's standing in the federation.
type Status string

// The statuses. A suspended member stays listed, so that its keys are not forgotten.
const (
	Active    Status = "active"
	Suspended Status = "suspended"
)

// Listing is one line of the roster: a member's entry, as it signed it, and what the holders say of it.
type Listing struct {
	Country    string    `json:"country"`
	Entry      string    `json:"entry"`                // member JWS
	Succession string    `json:"succession,omitempty"` // consent of an old key to this entry, see Consent
	Status     Status    `json:"status"`
	Since      time.Time `json:"since"`              // when the status began
	Override   *Override `json:"override,omitempty"` // what the holders announce to put in the entry's place
}

// Roster is the content of a roster document.
type Roster struct {
	Name       string    `json:"name"`
	Version    int       `json:"version"`  // from 1
	Previous   string    `json:"previous"` // hash of the version before; empty for version 1
	Issued     time.Time `json:"issued"`
	ValidUntil time.Time `json:"valid_until"`
	Threshold  int       `json:"threshold"` // how many holders must sign the next version
	Holders    []Holder  `json:"holders"`
	Members    []Listing `json:"members"`           // ascending by country
	Rejects    []string  `json:"rejects,omitempty"` // hashes of other rosters of earlier versions, which this one does not follow

	opened  []openedEntry // in the order of Members
	pending map[string]Member
	byPeer  map[string]int
}

// Signature tells who signed a document. Name is empty for a key that is not among the document's own holders.
type Signature struct{ Name, KeyID string }

// Document is a roster with the signatures of its holders: a JWS in general JSON serialization (RFC 7515 section 7.2.1). A Document
// that exists is well-formed, and each of its entries is signed by its member; whether the roster is to be trusted is for VerifyFirst
// and VerifyNext to say. A document without signatures is a draft.
type Document struct {
	payload    string // base64url
	roster     *Roster
	signatures []signature
}

type signature struct {
	Protected string `json:"protected"`
	Signature string `json:"signature"`
	kid       string
}

// general is the JSON form of a document.
type general struct {
	Payload    string      `json:"payload"`
	Signatures []signature `json:"signatures"`
}

// Parse reads a document. Size is checked first; unprotected headers, unknown fields, a second signature by one key and any second
// spelling are refused.
func Parse(b []byte) (*Document, error) { return ParseBeside(b, nil) }

// ParseBeside does as Parse, with a roster that Parse has given before, or none: an entry that stands in it byte for byte was checked then, and is not again. Of two
// versions that follow each other most entries are the same, and an entry costs three keys and a signature.
func ParseBeside(b []byte, known *Roster) (*Document, error) {
	if len(b) > MaxDocument {
		return nil, fmt.Errorf("roster of %d bytes, the limit is %d: %w", len(b), MaxDocument, crypto.ErrTooLarge)
	}
	var g general
	if err := decodeCanonical(b, MaxDocument, &g); err != nil {
		return nil, fmt.Errorf("roster document: %w", err)
	}
	if g.Signatures == nil {
		return nil, errors.New("roster document: signatures are missing")
	}
	if len(g.Signatures) > MaxHolders {
		return nil, fmt.Errorf("roster document: %d signatures, the limit is %d", len(g.Signatures), MaxHolders)
	}
	d := &Document{payload: g.Payload, signatures: g.Signatures}
	seen := map[string]bool{}
	for i, s := range g.Signatures {
		// The form of header and signature; without the payload, which may be large and is decoded once below.
		_, kid, err := crypto.Unverified(s.Protected+".."+s.Signature, crypto.TypeRoster, MaxDocument)
		if err != nil {
			return nil, fmt.Errorf("roster document, signature %d: %w", i+1, err)
		}
		if seen[kid] {
			return nil, fmt.Errorf("roster document, signature %d: key %.64s has signed already", i+1, kid)
		}
		seen[kid] = true
		d.signatures[i].kid = kid
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(g.Payload)
	if err != nil || strings.ContainsAny(g.Payload, "\r\n") {
		return nil, errors.New("roster document: payload is not in base64url without padding")
	}
	if d.roster, err = openRoster(payload, known); err != nil {
		return nil, fmt.Errorf("roster document: %w", err)
	}
	return d, nil
}

func (d *Document) compact(s signature) string {
	return s.Protected + "." + d.payload + "." + s.Signature
}

// Marshal writes the document in the form that Parse reads.
func (d *Document) Marshal() ([]byte, error) {
	b, err := encodeCanonical(general{d.payload, d.signatures})
	if err != nil {
		return nil, fmt.Errorf("write roster: %w", err)
	}
	if len(b) > MaxDocument {
		return nil, fmt.Errorf("write roster: %d bytes, the limit is %d: %w", len(b), MaxDocument, crypto.ErrTooLarge)
	}
	return b, nil
}

// Roster is a copy of the content. It is not to be trusted before the document is verified.
func (d *Document) Roster() *Roster {
	r := *d.roster
	r.Holders = slices.Clone(r.Holders)
	r.Members = slices.Clone(r.Members)
	return &r
}

// Signatures lists who seems to have signed, in the order of signing; the signatures are checked by VerifyFirst and VerifyNext.
func (d *Document) Signatures() []Signature {
	list := make([]Signature, len(d.signatures))
	for i, s := range d.signatures {
		list[i].KeyID = s.kid
		for _, h := range d.roster.Holders {
			if _, kid, err := crypto.ParseSigningJWK(h.Key); err == nil && kid == s.kid {
				list[i].Name = h.Name
			}
		}
	}
	return list
}

func (d *Document) sum() [sha256.Size]byte {
	payload, err := base64.RawURLEncoding.DecodeString(d.payload)
	if err != nil {
		panic("roster: the payload of a parsed document is not base64url: " + err.Error())
	}
	return sha256.Sum256(payload)
}

// Hash is "sha256:" and the hex SHA-256 of the exact payload bytes: the same for all signatures over one content. That of version 1
// is the federation's anchor.
func (d *Document) Hash() string {
	sum := d.sum()
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Fingerprint is the first 128 bits of the hash as 40 decimal digits in groups of five, for reading over the phone in any language.
func (d *Document) Fingerprint() string {
	sum := d.sum()
	digits := fmt.Sprintf("%040d", new(big.Int).SetBytes(sum[:16]))
	groups := make([]string, 0, 8)
	for g := range slices.Chunk([]byte(digits), 5) {
		groups = append(groups, string(g))
	}
	return strings.Join(groups, " ")
}

// Sign adds a holder's signature. A second one by the same holder changes nothing; somebody who is not listed gets ErrNotHolder.
func (d *Document) Sign(h *HolderKey) error {
	if !slices.ContainsFunc(d.roster.Holders, func(x Holder) bool { return string(x.Key) == string(h.signer.JWK()) }) {
		return fmt.Errorf("sign roster: %s (%s) %w", h.Name(), h.KeyID(), ErrNotHolder)
	}
	if slices.ContainsFunc(d.signatures, func(s signature) bool { return s.kid == h.KeyID() }) {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(d.payload)
	if err != nil {
		return fmt.Errorf("sign roster: %w", err)
	}
	compact, err := h.signer.Sign(crypto.TypeRoster, payload)
	if err != nil {
		return fmt.Errorf("sign roster: %w", err)
	}
	parts := strings.Split(compact, ".")
	d.signatures = append(d.signatures, signature{Protected: parts[0], Signature: parts[2], kid: h.KeyID()})
	return nil
}

// CheckSignatures verifies every signature of a holder whom the document itself names, so that a file that was changed after somebody signed
// it is told from one that lacks signatures. Whether they are enough, and of the right holders, is for VerifyFirst and VerifyNext to say.
func (d *Document) CheckSignatures() error {
	none := *d.roster
	none.Threshold = 0
	return d.verifySignatures(&none)
}

// SignedBy checks that as many holders of another roster have signed this one as that roster's threshold says, whether it follows it or not.
func (d *Document) SignedBy(holders *Document) error { return d.verifySignatures(holders.roster) }
