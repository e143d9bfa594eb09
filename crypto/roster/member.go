// Package roster owns the threshold-signed list of the federation's members: who belongs to it, with which keys, and who vouches for
// the list. It knows neither network nor database nor policy.
//
// Every entry is signed by its member; the list is signed by k of n key holders; a new version is accepted only from the holders of
// the version before it, and a member's entry is replaced only with the consent of a key that the old entry names. The hash of
// version 1 is the anchor that a newcomer gets by another way.
package roster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"proofmark/crypto"
	"proofmark/protocol"
)

// Limits on one entry.
const (
	MaxEntry     = 16 << 10 // bytes of a signed entry
	MaxPeerIDs   = 4
	MaxAddresses = 16
	MaxKeys      = 4   // signing keys, and as many sealing keys
	maxName      = 120 // characters
	maxAddress   = 256 // bytes
	maxDepth     = 8   // nesting of the JSON
)

// Member is what a member says of itself. The first signing key is the current one and signs the entry; the others are older ones
// that overlap with it. Times are whole seconds in UTC. ValidFrom also orders a member's entries: a replacement has a later one.
type Member struct {
	Country     string            `json:"country"` // ISO 3166-1 alpha-2
	Name        string            `json:"name"`
	PeerIDs     []string          `json:"peer_ids"`     // libp2p, Ed25519
	Addresses   []string          `json:"addresses"`    // multiaddrs
	SigningKeys []json.RawMessage `json:"signing_keys"` // Ed25519 JWKs, current one first
	SealingKeys []json.RawMessage `json:"sealing_keys"` // X25519 JWKs, current one first
	LogKey      string            `json:"log_key"`      // audit log's verifier key, sumdb/note form
	Ends        []KeyEnd          `json:"ends,omitempty"`
	ValidFrom   time.Time         `json:"valid_from"`
	ValidUntil  time.Time         `json:"valid_until"` // exclusive
}

// ValidAt tells whether t lies within the entry's validity.
func (m Member) ValidAt(t time.Time) bool { return !t.Before(m.ValidFrom) && t.Before(m.ValidUntil) }

// KeySet holds the keys that may sign for the member.
func (m Member) KeySet() (crypto.KeySet, error) {
	s, err := crypto.NewKeySet(m.SigningKeys...)
	if err != nil {
		return crypto.KeySet{}, fmt.Errorf("signing keys of %s: %w", m.Country, err)
	}
	return s, nil
}

// SignMember makes a member's entry: a compact JWS over what it says of itself. Times are rounded down to seconds in UTC. The signer
// must be the first of the signing keys.
func SignMember(m Member, s *crypto.Signer) (entry string, err error) {
	m.ValidFrom, m.ValidUntil = wholeSecond(m.ValidFrom), wholeSecond(m.ValidUntil)
	if m.Addresses == nil {
		m.Addresses = []string{} // null and [] must not be two spellings of one entry
	}
	if _, err := m.check(); err != nil {
		return "", fmt.Errorf("sign member entry: %w", err)
	}
	if !bytes.Equal(m.SigningKeys[0], s.JWK()) {
		return "", fmt.Errorf("sign member entry of %s: the signer %s is not the first of its signing keys", m.Country, s.KeyID())
	}
	payload, err := encodeCanonical(m)
	if err != nil {
		return "", fmt.Errorf("sign member entry: %w", err)
	}
	entry, err = s.Sign(crypto.TypeMember, payload)
	if err != nil {
		return "", fmt.Errorf("sign member entry: %w", err)
	}
	if len(entry) > MaxEntry {
		return "", fmt.Errorf("sign member entry of %s: %d bytes, the limit is %d", m.Country, len(entry), MaxEntry)
	}
	return entry, nil
}

// OpenMember reads an entry and verifies it against its own first signing key. That proves who made the entry, not that the
// federation accepts it: a roster does.
func OpenMember(entry string) (Member, error) {
	o, err := openEntry(entry)
	return o.member, err
}

// openedEntry is a verified entry with its public keys by their bytes (see publicKeys).
type openedEntry struct {
	member Member
	keys   map[string]string
}

func openEntry(entry string) (openedEntry, error) {
	payload, kid, err := crypto.Unverified(entry, crypto.TypeMember, MaxEntry)
	if err != nil {
		return openedEntry{}, fmt.Errorf("member entry: %w", err)
	}
	var m Member
	if err := decodeCanonical(payload, MaxEntry, &m); err != nil {
		return openedEntry{}, fmt.Errorf("member entry: %w", err)
	}
	keys, err := m.check()
	if err != nil {
		return openedEntry{}, fmt.Errorf("member entry: %w", err)
	}
	first, err := crypto.NewKeySet(m.SigningKeys[0])
	if err != nil {
		return openedEntry{}, fmt.Errorf("member entry of %s: %w", m.Country, err)
	}
	if !first.Has(kid) {
		return openedEntry{}, fmt.Errorf("member entry of %s is signed by %.64q, not by its own first key: %w", m.Country, kid, crypto.ErrUnknownKey)
	}
	if _, _, err := crypto.Verify(entry, crypto.TypeMember, first, MaxEntry); err != nil {
		return openedEntry{}, fmt.Errorf("member entry of %s: %w", m.Country, err)
	}
	return openedEntry{m, keys}, nil
}

// check validates the entry's content and gives its public keys.
func (m Member) check() (keys map[string]string, err error) {
	if _, err := protocol.ParseCountry(m.Country); err != nil {
		return nil, err
	}
	if err := checkName(m.Name); err != nil {
		return nil, fmt.Errorf("name of %s %w", m.Country, err)
	}
	if err := checkTimes(m.ValidFrom, m.ValidUntil); err != nil {
		return nil, fmt.Errorf("validity of %s: %w", m.Country, err)
	}
	for _, c := range []struct {
		what     string
		n, least int
		most     int
	}{
		{"peer IDs", len(m.PeerIDs), 1, MaxPeerIDs},
		{"addresses", len(m.Addresses), 0, MaxAddresses},
		{"signing keys", len(m.SigningKeys), 1, MaxKeys},
		{"sealing keys", len(m.SealingKeys), 1, MaxKeys},
	} {
		if c.n < c.least || c.n > c.most {
			return nil, fmt.Errorf("%s has %d %s, want %d to %d", m.Country, c.n, c.what, c.least, c.most)
		}
	}
	if m.Addresses == nil {
		return nil, fmt.Errorf("addresses of %s are missing", m.Country)
	}
	for _, a := range m.Addresses {
		if err := m.checkAddress(a); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Country, err)
		}
	}
	if err := checkUnique(m.Addresses); err != nil {
		return nil, fmt.Errorf("%s: address %w", m.Country, err)
	}
	if keys, err = m.publicKeys(); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Country, err)
	}
	if err := m.checkEnds(); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Country, err)
	}
	return keys, nil
}

func (m Member) checkAddress(s string) error {
	if len(s) > maxAddress {
		return fmt.Errorf("address of %d bytes, the limit is %d", len(s), maxAddress)
	}
	a, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return fmt.Errorf("address %q: %w", s, err)
	}
	if a.String() != s {
		return fmt.Errorf("address %q is not in its canonical form %q", s, a)
	}
	transport, id := peer.SplitAddr(a)
	if len(transport) == 0 {
		return fmt.Errorf("address %q has no transport", s)
	}
	if id != "" && !slices.Contains(m.PeerIDs, id.String()) {
		return fmt.Errorf("address %q ends at a peer that is not the member's", s)
	}
	return nil
}

func checkName(s string) error {
	switch {
	case s == "" || s != strings.TrimSpace(s):
		return errors.New("is empty or has spaces around it")
	case !utf8.ValidString(s):
		return errors.New("is not valid UTF-8")
	case utf8.RuneCountInString(s) > maxName:
		return fmt.Errorf("has %d characters, the limit is %d", utf8.RuneCountInString(s), maxName)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("holds the unprintable character %U", r)
		}
	}
	return nil
}

func checkUnique(list []string) error {
	seen := map[string]bool{}
	for _, s := range list {
		if seen[s] {
			return fmt.Errorf("%q stands twice", s)
		}
		seen[s] = true
	}
	return nil
}
