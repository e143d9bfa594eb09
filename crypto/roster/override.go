package roster

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// OverrideDelay is how long an override is public before it takes effect.
const OverrideDelay = 7 * 24 * time.Hour

// Override is an entry that the key holders announce for a member that has lost its keys and cannot consent to a new entry. It stands in
// the roster, for everybody to see, and takes effect OverrideDelay later: no k people can quietly replace a country. Until then the holders
// can take it back, and an entry with the member's own consent ends it.
type Override struct {
	Entry     string    `json:"entry"`     // member JWS, signed with the new key
	Announced time.Time `json:"announced"` // when the version that brought it was issued
	Version   int       `json:"version"`   // that version
}

// Due is when the override takes effect at the earliest.
func (o Override) Due() time.Time { return o.Announced.Add(OverrideDelay) }

// Announced is an override that has not taken effect.
type Announced struct {
	Override
	Member Member // as it will be
}

// Announced lists what the roster overrides, by country.
func (r *Roster) Announced() []Announced {
	var list []Announced
	for _, l := range r.Members {
		if l.Override != nil {
			list = append(list, Announced{*l.Override, r.pending[l.Country]})
		}
	}
	return list
}

// Effective is the roster with the overrides that are in effect; where there are none it is the roster itself. due tells when an override
// takes effect for whoever asks, which is never before Override.Due.
func (r *Roster) Effective(now time.Time, due func(Override) time.Time) *Roster {
	var out *Roster
	for i, l := range r.Members {
		if l.Override == nil || now.Before(l.Override.Due()) || now.Before(due(*l.Override)) {
			continue
		}
		if out == nil {
			c := *r
			c.Members = append([]Listing(nil), r.Members...)
			c.opened = append([]openedEntry(nil), r.opened...)
			out = &c
		}
		out.Members[i].Entry, out.Members[i].Override = l.Override.Entry, nil
		out.opened[i] = openedEntry{member: r.pending[l.Country]}
	}
	if out == nil {
		return r
	}
	out.byPeer = map[string]int{}
	for i, o := range out.opened {
		for _, id := range o.member.PeerIDs {
			out.byPeer[id] = i
		}
	}
	return out
}

func (r *Roster) openOverride(l Listing) (openedEntry, error) {
	if l.Override == nil {
		return openedEntry{}, nil
	}
	if err := checkTime(l.Override.Announced); err != nil {
		return openedEntry{}, err
	}
	if l.Override.Version < 1 || l.Override.Version > r.Version {
		return openedEntry{}, fmt.Errorf("announced by version %d, this is version %d", l.Override.Version, r.Version)
	}
	o, err := openEntry(l.Override.Entry)
	if err == nil && o.member.Country != l.Country {
		err = fmt.Errorf("holds an entry of %s", o.member.Country)
	}
	if err == nil {
		r.pending[l.Country] = o.member
	}
	return o, err
}

// checkOverride holds an announcement against the version before: it keeps the day on which it was first made.
func (r *Roster) checkOverride(before, l Listing) error {
	o := l.Override
	switch {
	case o == nil:
		return nil
	case before.Country == "":
		return fmt.Errorf("%s is listed for the first time, with an override: %w", l.Country, ErrChain)
	case before.Entry != l.Entry:
		return fmt.Errorf("%s has a new entry and an override at once: %w", l.Country, ErrChain)
	case before.Override != nil && before.Override.Entry == o.Entry:
		if before.Override.Version != o.Version || !before.Override.Announced.Equal(o.Announced) {
			return fmt.Errorf("the override of %s was announced at %s by version %d, and is given another day: %w",
				l.Country, before.Override.Announced.Format(time.RFC3339), before.Override.Version, ErrChain)
		}
		return nil
	case o.Version != r.Version || !o.Announced.Equal(r.Issued):
		return fmt.Errorf("the override of %s is new, and says that version %d announced it at %s: %w", l.Country, o.Version, o.Announced.Format(time.RFC3339), ErrChain)
	}
	i, _ := r.find(l.Country)
	m, old := r.pending[l.Country], r.opened[i].member
	if !m.ValidFrom.After(old.ValidFrom) {
		return fmt.Errorf("override of %s, valid from %s: %w (%s)", l.Country, m.ValidFrom.Format(time.RFC3339), ErrStale, old.ValidFrom.Format(time.RFC3339))
	}
	if r.Issued.Add(OverrideDelay).After(m.ValidUntil) {
		return fmt.Errorf("override of %s ends on %s, before it takes effect", l.Country, m.ValidUntil.Format(time.RFC3339))
	}
	return nil
}

// foldDue puts announced entries whose time has come in their places.
func (r *Roster) foldDue() {
	for i, l := range r.Members {
		if l.Override != nil && !r.Issued.Before(l.Override.Due()) {
			r.Members[i].Entry, r.Members[i].Succession, r.Members[i].Override = l.Override.Entry, "", nil
		}
	}
}

// Announce has a draft announce a new entry for a member that lost its keys. Announcing the same again changes nothing.
func (d *Document) Announce(entry string) error {
	if len(d.signatures) > 0 {
		return fmt.Errorf("override: %w", ErrSigned)
	}
	m, err := OpenMember(entry)
	if err != nil {
		return fmt.Errorf("override: %w", err)
	}
	r := d.Roster()
	i, ok := r.find(m.Country)
	if !ok {
		return fmt.Errorf("override: %s is not listed: it needs no override, its entry is simply added", m.Country)
	}
	if l := r.Members[i]; l.Entry == entry || l.Override != nil && l.Override.Entry == entry {
		return nil
	}
	before := r.Members[i]
	r.Members[i].Override = &Override{Entry: entry, Announced: r.Issued, Version: r.Version}
	next, err := draft(r, d.roster)
	if err != nil {
		return fmt.Errorf("override: %w", err)
	}
	before.Override = nil
	if err := next.roster.checkOverride(before, next.roster.Members[i]); err != nil {
		return fmt.Errorf("override: %w", err)
	}
	*d = *next
	return nil
}

// Withdraw takes back what a draft announces for a country.
func (d *Document) Withdraw(country string) error {
	if len(d.signatures) > 0 {
		return fmt.Errorf("withdraw override: %w", ErrSigned)
	}
	r := d.Roster()
	i, ok := r.find(country)
	if !ok || r.Members[i].Override == nil {
		return fmt.Errorf("withdraw override: none is announced for %.20q", country)
	}
	r.Members[i].Override = nil
	return d.redraft(r)
}

// maxRejects bounds the rosters that one version rejects.
const maxRejects = 16

func (r *Roster) checkRejects() error {
	if len(r.Rejects) > maxRejects {
		return fmt.Errorf("%d rosters, the limit is %d", len(r.Rejects), maxRejects)
	}
	for _, h := range r.Rejects {
		b, err := hex.DecodeString(strings.TrimPrefix(h, "sha256:"))
		if err != nil || len(b) != 32 || h != "sha256:"+hex.EncodeToString(b) {
			return fmt.Errorf("%.80q is not a roster's hash", h)
		}
		if h == r.Previous {
			return errors.New("it rejects the version that it follows")
		}
	}
	return checkUnique(r.Rejects)
}

// Reject has a draft say that it does not follow another roster of a version before its own: the decision of the key holders after a fork.
func (d *Document) Reject(other *Document) error {
	if len(d.signatures) > 0 {
		return fmt.Errorf("reject: %w", ErrSigned)
	}
	r := d.Roster()
	if other.roster.Version < 2 || other.roster.Version >= r.Version || other.roster.Name != r.Name {
		return fmt.Errorf("reject: it is version %d of %.80q, and only another roster of version 2 to %d of %s can be rejected here", other.roster.Version, other.roster.Name, r.Version-1, r.Name)
	}
	if other.Hash() == r.Previous {
		return errors.New("reject: this draft follows that very roster")
	}
	for _, h := range r.Rejects {
		if h == other.Hash() {
			return nil
		}
	}
	r.Rejects = append(append([]string(nil), r.Rejects...), other.Hash())
	return d.redraft(r)
}
