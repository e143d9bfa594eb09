package roster

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"proofmark/crypto"
)

// KeyEnd says until when a member uses an older key of its entry. A signing key that has ended still proves the documents that were issued
// before; a peer ID that has ended is a stranger's.
type KeyEnd struct {
	Key   string    `json:"key"`   // key ID of a signing key (RFC 7638 thumbprint), or a peer ID
	Until time.Time `json:"until"` // exclusive
}

func (m Member) checkEnds() error {
	if len(m.Ends) > MaxKeys+MaxPeerIDs {
		return fmt.Errorf("%d ends of keys, the limit is %d", len(m.Ends), MaxKeys+MaxPeerIDs)
	}
	older := map[string]bool{}
	for _, id := range m.PeerIDs[1:] {
		older[id] = true
	}
	for _, b := range m.SigningKeys[1:] {
		_, kid, err := crypto.ParseSigningJWK(b)
		if err != nil {
			return err
		}
		older[kid] = true
	}
	for _, e := range m.Ends {
		if !older[e.Key] {
			return fmt.Errorf("the end of %.80q is that of no older key of the entry, or stands twice", e.Key)
		}
		delete(older, e.Key)
		if err := checkTime(e.Until); err != nil {
			return fmt.Errorf("end of key %s: %w", e.Key, err)
		}
	}
	return nil
}

// Ended tells whether a key, by its key ID or peer ID, is no longer used at the time.
func (m Member) Ended(key string, at time.Time) bool {
	for _, e := range m.Ends {
		if e.Key == key {
			return !at.Before(e.Until)
		}
	}
	return false
}

// PeerIDsAt lists the peer IDs that the member may have at the time, the current one first.
func (m Member) PeerIDsAt(now time.Time) []string {
	var out []string
	for _, id := range m.PeerIDs {
		if !m.Ended(id, now) {
			out = append(out, id)
		}
	}
	return out
}

// KeySetAt holds the keys that may sign for the member at the time. What it signed earlier is a matter of KeySet and Ended.
func (m Member) KeySetAt(now time.Time) (crypto.KeySet, error) {
	used := m
	used.SigningKeys = nil
	for _, b := range m.SigningKeys {
		_, kid, err := crypto.ParseSigningJWK(b)
		if err != nil {
			return crypto.KeySet{}, fmt.Errorf("signing keys of %s: %w", m.Country, err)
		}
		if !m.Ended(kid, now) {
			used.SigningKeys = append(used.SigningKeys, b)
		}
	}
	return used.KeySet()
}

// ParseMemberFile reads what a member hands to the key holders: its entry, and on a second line, where the entry is signed with a new key,
// the consent of an old one.
func ParseMemberFile(b []byte) (entry, consent string, err error) {
	if len(b) > 2*MaxEntry+64 {
		return "", "", fmt.Errorf("member file of %d bytes: %w", len(b), crypto.ErrTooLarge)
	}
	switch parts := strings.Fields(string(b)); len(parts) {
	case 1:
		return parts[0], "", nil
	case 2:
		return parts[0], parts[1], nil
	}
	return "", "", errors.New("a member file holds one member entry, and perhaps the consent of an old key after it")
}

// MemberFile writes what ParseMemberFile reads.
func MemberFile(entry, consent string) []byte {
	if consent == "" {
		return []byte(entry)
	}
	return []byte(entry + "\n" + consent + "\n")
}
