package roster

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Create makes the unsigned draft of version 1, without members.
func Create(name string, holders []Holder, threshold int, now, validUntil time.Time) (*Document, error) {
	r := &Roster{
		Name: name, Version: 1, Issued: wholeSecond(now), ValidUntil: wholeSecond(validUntil),
		Threshold: threshold, Holders: slices.Clone(holders), Members: []Listing{},
	}
	d, err := draft(r, nil)
	if err != nil {
		return nil, fmt.Errorf("create roster: %w", err)
	}
	return d, nil
}

// draft encodes a roster and reads it back, so that a draft has passed the checks of a foreign document.
func draft(r, known *Roster) (*Document, error) {
	payload, err := encodeCanonical(r)
	if err != nil {
		return nil, err
	}
	opened, err := openRoster(payload, known)
	if err != nil {
		return nil, err
	}
	return &Document{payload: base64.RawURLEncoding.EncodeToString(payload), roster: opened, signatures: []signature{}}, nil
}

// Next starts the draft of the next version: same holders, members and term, issued now. Overrides that are due take their entries'
// places.
func (d *Document) Next(now time.Time) (*Document, error) {
	r := d.Roster()
	term := r.ValidUntil.Sub(r.Issued)
	r.Version++
	r.Previous = d.Hash()
	r.Issued = wholeSecond(now)
	r.ValidUntil = r.Issued.Add(term)
	r.Rejects = nil
	r.foldDue()
	if r.Issued.Before(d.roster.Issued) {
		return nil, fmt.Errorf("next roster: issued %s, before version %d: check the clock", r.Issued.Format(time.RFC3339), d.roster.Version)
	}
	next, err := draft(r, d.roster)
	if err != nil {
		return nil, fmt.Errorf("next roster: %w", err)
	}
	return next, nil
}

// Add lists a member, active, in a draft. It replaces an entry of the same country if the new one is later (ValidFrom) and signed by
// a key that the old one names; where its signer is new, use AddSuccession. Adding the listed entry again changes nothing.
// A draft that is signed refuses with ErrSigned.
func (d *Document) Add(entry string, now time.Time) error { return d.AddSuccession(entry, "", now) }

// AddSuccession is Add with the old key's consent to the new entry (see Consent).
func (d *Document) AddSuccession(entry, consent string, now time.Time) error {
	if len(d.signatures) > 0 {
		return fmt.Errorf("add member: %w", ErrSigned)
	}
	m, err := OpenMember(entry)
	if err != nil {
		return fmt.Errorf("add member: %w", err)
	}
	if !now.Before(m.ValidUntil) {
		return fmt.Errorf("add member: entry of %s expired at %s: ask it for a new one", m.Country, m.ValidUntil.Format(time.RFC3339))
	}
	r := d.Roster()
	l := Listing{Country: m.Country, Entry: entry, Succession: consent, Status: Active, Since: wholeSecond(now)}
	i, listed := slices.BinarySearchFunc(r.Members, m.Country, func(l Listing, c string) int { return strings.Compare(l.Country, c) })
	switch {
	case !listed:
		r.Members = slices.Insert(r.Members, i, l)
	case r.Members[i].Entry == entry:
		return nil
	default:
		if err := checkSuccession(r.opened[i].member, m, l); err != nil {
			return fmt.Errorf("add member: %w", err)
		}
		l.Status, l.Since = r.Members[i].Status, r.Members[i].Since // an override that was announced is over: the member has its keys
		r.Members[i] = l
	}
	return d.redraft(r)
}

// SetStatus suspends a member or makes it active again, in a draft.
func (d *Document) SetStatus(country string, status Status, now time.Time) error {
	if len(d.signatures) > 0 {
		return fmt.Errorf("set status: %w", ErrSigned)
	}
	r := d.Roster()
	for i := range r.Members {
		if r.Members[i].Country == country {
			if r.Members[i].Status != status {
				r.Members[i].Status, r.Members[i].Since = status, wholeSecond(now)
			}
			return d.redraft(r)
		}
	}
	return fmt.Errorf("set status: %q is not listed", country)
}

func (d *Document) redraft(r *Roster) error {
	changed, err := draft(r, d.roster)
	if err != nil {
		return err
	}
	*d = *changed
	return nil
}
