package roster

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"proofmark/crypto"
)

// Errors of verification that a caller decides on.
var (
	ErrAnchor    = errors.New("the roster does not have the hash of the anchor: it is not the federation you were told of, or was altered")
	ErrThreshold = errors.New("too few key holders have signed")
	ErrChain     = errors.New("the roster does not follow the version before it")
)

// openRoster reads a payload and checks everything that needs no other version. Entries that known holds already are not verified
// again; known may be nil.
func openRoster(payload []byte, known *Roster) (*Roster, error) {
	r := &Roster{}
	if err := decodeCanonical(payload, MaxDocument, r); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if err := r.openMembers(known); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Roster) check() error {
	if err := checkName(r.Name); err != nil {
		return fmt.Errorf("roster's name %w", err)
	}
	if err := checkTimes(r.Issued, r.ValidUntil); err != nil {
		return fmt.Errorf("roster's validity: %w", err)
	}
	if r.Version < 1 {
		return fmt.Errorf("roster version %d, the first is 1", r.Version)
	}
	if (r.Version == 1) != (r.Previous == "") {
		return fmt.Errorf("roster version %d with previous hash %.80q", r.Version, r.Previous)
	}
	if len(r.Holders) < 1 || len(r.Holders) > MaxHolders {
		return fmt.Errorf("roster has %d key holders, want 1 to %d", len(r.Holders), MaxHolders)
	}
	if r.Threshold < 1 || r.Threshold > len(r.Holders) {
		return fmt.Errorf("roster threshold of %d with %d key holders", r.Threshold, len(r.Holders))
	}
	names := make([]string, len(r.Holders))
	keys := make([]json.RawMessage, len(r.Holders))
	for i, h := range r.Holders {
		if err := h.check(); err != nil {
			return fmt.Errorf("roster's %w", err)
		}
		names[i], keys[i] = h.Name, h.Key
	}
	if err := checkUnique(names); err != nil {
		return fmt.Errorf("roster's key holder %w", err)
	}
	if err := r.checkRejects(); err != nil {
		return fmt.Errorf("roster's rejects: %w", err)
	}
	if _, err := crypto.NewKeySet(keys...); err != nil {
		return fmt.Errorf("roster's key holders: %w", err)
	}
	return nil
}

// openMembers opens every entry and checks that no key serves two members or two uses.
func (r *Roster) openMembers(known *Roster) error {
	if r.Members == nil {
		return errors.New("roster's members are missing")
	}
	if len(r.Members) > MaxMembers {
		return fmt.Errorf("roster has %d members, the limit is %d", len(r.Members), MaxMembers)
	}
	r.opened = make([]openedEntry, len(r.Members))
	r.byPeer, r.pending = map[string]int{}, map[string]Member{}
	owner, logs := map[string]string{}, map[string]string{}
	for i, l := range r.Members {
		if i > 0 && r.Members[i-1].Country >= l.Country {
			return fmt.Errorf("roster lists %.4q after %q: each country stands once, in ascending order", l.Country, r.Members[i-1].Country)
		}
		o, err := l.open(known)
		if err != nil {
			return fmt.Errorf("roster's listing of %.4q: %w", l.Country, err)
		}
		p, err := r.openOverride(l)
		if err != nil {
			return fmt.Errorf("roster's listing of %s: override: %w", l.Country, err)
		}
		for _, keys := range []map[string]string{o.keys, p.keys} {
			for key, use := range keys {
				if other, taken := owner[key]; taken && other != l.Country {
					return fmt.Errorf("roster's listing of %s: its %s belongs to %s", l.Country, use, other)
				}
				owner[key] = l.Country
			}
		}
		origin, _, err := logKey(o.member.LogKey)
		if err != nil {
			return fmt.Errorf("roster's listing of %s: %w", l.Country, err)
		}
		if other, taken := logs[origin]; taken {
			return fmt.Errorf("roster's listing of %s: its log %q has the name of the log of %s", l.Country, origin, other)
		}
		logs[origin] = l.Country
		for _, id := range o.member.PeerIDs {
			r.byPeer[id] = i
		}
		r.opened[i] = o
	}
	return nil
}

func (l Listing) open(known *Roster) (openedEntry, error) {
	if l.Status != Active && l.Status != Suspended {
		return openedEntry{}, fmt.Errorf("status %.20q, want %q or %q", l.Status, Active, Suspended)
	}
	if err := checkTime(l.Since); err != nil {
		return openedEntry{}, fmt.Errorf("since: %w", err)
	}
	if len(l.Succession) > MaxEntry {
		return openedEntry{}, fmt.Errorf("consent of %d bytes: %w", len(l.Succession), crypto.ErrTooLarge)
	}
	if known != nil {
		if i, ok := known.find(l.Country); ok && known.Members[i].Entry == l.Entry {
			return known.opened[i], nil
		}
	}
	o, err := openEntry(l.Entry)
	if err == nil && o.member.Country != l.Country {
		err = fmt.Errorf("holds an entry of %s", o.member.Country)
	}
	return o, err
}

// Consent signs, with a key that a member's old entry names, that a new entry may take its place.
func Consent(entry string, old *crypto.Signer) (string, error) {
	sum := sha256.Sum256([]byte(entry))
	return old.Sign(crypto.TypeSuccession, sum[:])
}

// checkSuccession decides whether a new entry may take the place of an old one of the same country: it is later, it is signed by a
// key that the old entry names or carries the consent of one, and it brings at most one new signing key, the one that signed it.
func checkSuccession(old, m Member, l Listing) error {
	if !m.ValidFrom.After(old.ValidFrom) {
		return fmt.Errorf("entry of %s, valid from %s: %w (%s)", m.Country, m.ValidFrom.Format(time.RFC3339), ErrStale, old.ValidFrom.Format(time.RFC3339))
	}
	trusted, err := old.KeySet()
	if err != nil {
		return err
	}
	for i, b := range m.SigningKeys {
		_, kid, err := crypto.ParseSigningJWK(b)
		if err != nil {
			return err
		}
		if i > 0 && !trusted.Has(kid) {
			return fmt.Errorf("entry of %s: signing key %d is new but did not sign the entry: %w", m.Country, i+1, ErrKeyChange)
		}
	}
	if _, _, err := crypto.Verify(l.Entry, crypto.TypeMember, trusted, MaxEntry); err == nil {
		return nil
	}
	if l.Succession == "" {
		return fmt.Errorf("entry of %s: %w", m.Country, ErrKeyChange)
	}
	payload, _, err := crypto.Verify(l.Succession, crypto.TypeSuccession, trusted, MaxEntry)
	if err != nil {
		return fmt.Errorf("entry of %s: %w: %w", m.Country, ErrKeyChange, err)
	}
	if sum := sha256.Sum256([]byte(l.Entry)); string(payload) != string(sum[:]) {
		return fmt.Errorf("entry of %s: the consent is to another entry: %w", m.Country, ErrKeyChange)
	}
	return nil
}

// VerifyFirst checks version 1: it has the anchor's hash, and as many of its own holders as its threshold says have signed it.
func (d *Document) VerifyFirst(anchor string) (*Roster, error) {
	if d.roster.Version != 1 {
		return nil, fmt.Errorf("roster version %d where version 1 is wanted: %w", d.roster.Version, ErrChain)
	}
	if d.Hash() != anchor {
		return nil, fmt.Errorf("roster %s: %w (anchor %.80s)", d.Hash(), ErrAnchor, anchor)
	}
	if err := d.verifySignatures(d.roster); err != nil {
		return nil, err
	}
	for i, o := range d.roster.opened {
		if d.roster.Members[i].Override != nil {
			return nil, fmt.Errorf("roster version 1 overrides an entry of %s, which it lists first: %w", d.roster.Members[i].Country, ErrChain)
		}
		if err := d.checkNew(d.roster.Members[i], o.member); err != nil {
			return nil, err
		}
	}
	return d.Roster(), nil
}

// VerifyNext checks that the document follows prev, which must be verified itself: version and previous hash, signatures by as many
// distinct holders of prev as prev's threshold says, nobody dropped, and every replaced entry with its member's consent.
func (d *Document) VerifyNext(prev *Document) (*Roster, error) {
	r, p := d.roster, prev.roster
	switch {
	case r.Version != p.Version+1:
		return nil, fmt.Errorf("roster version %d after version %d: %w", r.Version, p.Version, ErrChain)
	case r.Previous != prev.Hash():
		return nil, fmt.Errorf("roster version %d names another version %d: %w", r.Version, p.Version, ErrChain)
	case r.Name != p.Name:
		return nil, fmt.Errorf("roster %q after %q: %w", r.Name, p.Name, ErrChain)
	case r.Issued.Before(p.Issued):
		return nil, fmt.Errorf("roster version %d is issued before version %d: %w", r.Version, p.Version, ErrChain)
	}
	if err := d.verifySignatures(p); err != nil {
		return nil, err
	}
	// Without this a country could be dropped in one version and listed anew, with foreign keys, in the next.
	for _, l := range p.Members {
		if _, ok := r.find(l.Country); !ok {
			return nil, fmt.Errorf("roster version %d drops %s: a member is suspended, not dropped: %w", r.Version, l.Country, ErrChain)
		}
	}
	for i, l := range r.Members {
		old, listed := p.find(l.Country)
		var before Listing
		if listed {
			before = p.Members[old]
		}
		if err := r.checkOverride(before, l); err != nil {
			return nil, fmt.Errorf("roster version %d: %w", r.Version, err)
		}
		if listed && before.Entry == l.Entry {
			continue
		}
		if err := d.checkNew(l, r.opened[i].member); err != nil {
			return nil, err
		}
		if !listed {
			continue
		}
		if o := before.Override; o != nil && o.Entry == l.Entry {
			if r.Issued.Before(o.Due()) {
				return nil, fmt.Errorf("roster version %d, %s, due on %s: %w", r.Version, l.Country, o.Due().Format(time.RFC3339), ErrEarly)
			}
			continue
		}
		if err := checkSuccession(p.opened[old].member, r.opened[i].member, l); err != nil {
			return nil, fmt.Errorf("roster version %d: %w", r.Version, err)
		}
	}
	return d.Roster(), nil
}

// checkNew refuses an entry that had expired when the version that brings it was issued.
func (d *Document) checkNew(l Listing, m Member) error {
	if !d.roster.Issued.Before(m.ValidUntil) {
		return fmt.Errorf("roster version %d brings an expired entry of %s (until %s)", d.roster.Version, l.Country, m.ValidUntil.Format(time.RFC3339))
	}
	return nil
}

// verifySignatures counts the signatures of the given version's holders, each key once. Keys that are not theirs count for nothing;
// a wrong signature under a holder's name is refused outright.
func (d *Document) verifySignatures(r *Roster) error {
	keys := make([]json.RawMessage, len(r.Holders))
	name := map[string]string{}
	for i, h := range r.Holders {
		keys[i] = h.Key
		if _, kid, err := crypto.ParseSigningJWK(h.Key); err == nil {
			name[kid] = h.Name
		}
	}
	holders, err := crypto.NewKeySet(keys...)
	if err != nil {
		return fmt.Errorf("key holders: %w", err)
	}
	signed := map[string]bool{}
	for _, s := range d.signatures {
		if !holders.Has(s.kid) {
			continue
		}
		_, kid, err := crypto.Verify(d.compact(s), crypto.TypeRoster, holders, MaxDocument)
		if err != nil {
			return fmt.Errorf("roster version %d, signature of %s: %w", d.roster.Version, name[s.kid], err)
		}
		signed[kid] = true
	}
	if len(signed) < r.Threshold {
		return fmt.Errorf("roster version %d: %d of the %d signatures needed: %w", d.roster.Version, len(signed), r.Threshold, ErrThreshold)
	}
	return nil
}

// Verify checks a chain of all versions from the first, whose hash is the anchor, and returns the last.
func Verify(chain []*Document, anchor string) (*Roster, error) {
	if len(chain) == 0 {
		return nil, fmt.Errorf("no roster to verify: %w", ErrChain)
	}
	r, err := chain[0].VerifyFirst(anchor)
	for i := 1; i < len(chain) && err == nil; i++ {
		r, err = chain[i].VerifyNext(chain[i-1])
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}
