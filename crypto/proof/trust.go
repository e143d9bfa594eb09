package proof

import (
	"errors"
	"fmt"
	"time"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/protocol"
)

// ErrUntrusted marks what is signed by nobody whom the roster knows for it.
var ErrUntrusted = errors.New("not signed by whom it says")

// Trust is whom a checker believes: the versions of one roster, the last one first asked. Keys that the last version no longer names are found in
// those before it, as far as they are at hand.
type Trust struct {
	versions []*roster.Roster // newest first

	Anchored bool   // verified from version 1 on, whose hash the checker was told by another way
	Hash     string // of the newest version
}

// NewTrust takes versions of a roster in their order. With an anchor the first must be version 1 and have that hash; without one the first is believed
// if enough of its own holders have signed it: whoever gave the file is believed then.
func NewTrust(chain []*roster.Document, anchor string) (*Trust, error) {
	if len(chain) == 0 {
		return nil, errors.New("no roster was given")
	}
	t := &Trust{Anchored: anchor != "", Hash: chain[len(chain)-1].Hash()}
	if anchor != "" {
		if _, err := roster.Verify(chain, anchor); err != nil {
			return nil, err
		}
	} else {
		if err := chain[0].SignedBy(chain[0]); err != nil {
			return nil, err
		}
		for i := 1; i < len(chain); i++ {
			if _, err := chain[i].VerifyNext(chain[i-1]); err != nil {
				return nil, err
			}
		}
	}
	for _, d := range chain {
		t.versions = append([]*roster.Roster{d.Roster()}, t.versions...)
	}
	return t, nil
}

// TrustIn believes versions of a roster that were verified before, in their order.
func TrustIn(chain []*roster.Roster) *Trust {
	t := &Trust{Anchored: true}
	for _, r := range chain {
		t.versions = append([]*roster.Roster{r}, t.versions...)
	}
	return t
}

// Version is that of the newest roster.
func (t *Trust) Version() int { return t.versions[0].Version }

// Roster is the newest version.
func (t *Trust) Roster() *roster.Roster { return t.versions[0] }

// verify checks a compact JWS of a country and returns its payload and the key that signed. at reads the time at which it says it was signed: a key that
// had ended by then is refused.
func (t *Trust) verify(c protocol.Country, compact, typ string, limit int, at func(payload []byte) (time.Time, error)) ([]byte, error) {
	_, kid, err := crypto.Unverified(compact, typ, limit)
	if err != nil {
		return nil, err
	}
	known := false
	for _, r := range t.versions {
		m, ok := r.ByCountry(string(c))
		if !ok {
			continue
		}
		known = true
		keys, err := m.KeySet()
		if err != nil {
			return nil, err
		}
		if !keys.Has(kid) {
			continue
		}
		payload, _, err := crypto.Verify(compact, typ, keys, limit)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
		signed, err := at(payload)
		if err != nil {
			return nil, err
		}
		if latest, ok := t.versions[0].ByCountry(string(c)); ok && latest.Ended(kid, signed) {
			return nil, fmt.Errorf("%w: signed on %s with a key of %s that had ended", ErrUntrusted, signed.Format(time.DateOnly), c)
		}
		return payload, nil
	}
	if !known {
		return nil, fmt.Errorf("%w: %s is not in the roster", ErrUntrusted, c)
	}
	return nil, fmt.Errorf("%w: the key %.64s is not one that %s has in this roster: if it has rotated its keys since, give the file that `proofmark roster save` writes, which has every version", ErrUntrusted, kid, c)
}
