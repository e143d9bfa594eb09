package membership

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// placed is where a member said that it is, between two entries of the roster.
type placed struct {
	Record string    `json:"record"` // signed, see roster.SignAddresses
	Issued time.Time `json:"issued"`

	addresses []string
	until     time.Time
}

var placements = store.NewCollection[placed]("roster-addresses")

// seldom is the least time between two announcements of one member: nobody moves more often, and each costs everybody a write.
const seldom = time.Minute

// errSoon says that a member announces more often than is taken in.
var errSoon = errors.New("it announced other addresses less than a minute ago")

func (s *Service) loadPlaced(tx *store.Tx) error {
	st, all := s.now.Load(), map[string]placed{}
	s.placed.Store(&all)
	if st.version() == 0 {
		return nil
	}
	for c, p := range placements.All(tx) {
		a, err := st.inForce.Addresses(p.Record, tx.Now())
		if err != nil {
			continue // the roster has caught up, or the member has left: what it announced is over
		}
		p.addresses, p.until = a.Addresses, a.Until
		all[c] = *p
	}
	return tx.Err()
}

// Announced gives the addresses that active members announced since their entries were made, by country.
func (s *Service) Announced(now time.Time) map[protocol.Country][]string {
	st := s.now.Load()
	out := map[protocol.Country][]string{}
	if st.version() == 0 {
		return out
	}
	for c, p := range *s.placed.Load() {
		if m, ok := st.inForce.ByCountry(c); ok && m.Active(now) && p.Issued.After(m.ValidFrom) && now.Before(p.until) {
			out[protocol.Country(c)] = p.addresses
		}
	}
	return out
}

// Announcements are the signed announcements of members that are in force, for passing on.
func (s *Service) Announcements(now time.Time) []string {
	known := *s.placed.Load()
	var out []string
	for _, c := range slices.Sorted(maps.Keys(s.Announced(now))) {
		out = append(out, known[string(c)].Record)
	}
	return out
}

// Announce puts this country's own announcement in force; the exchange passes it on.
func (s *Service) Announce(ctx context.Context, actor desk.Actor, key, record string) (*roster.AddressRecord, error) {
	act := desk.Act{Actor: actor, Key: key, Action: policy.NodeManage, Resource: policy.Resource{Type: policy.KindNode}, Request: record}
	var changed bool
	a, err := desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*roster.AddressRecord, error) {
		a, err := s.place(tx, record, actor.Name, string(s.desk.Country), &changed)
		if err == nil && a.Country != string(s.desk.Country) {
			err = desk.Invalid("it is an announcement of %s", a.Country)
		}
		return &a, err
	})
	if changed && err == nil {
		s.changed()
	}
	return a, err
}

// LearnAddresses takes in announcements that a member passed on. What is older than what is known, or of no active member, changes nothing; the
// error of the first that does not verify is returned after all.
func (s *Service) LearnAddresses(ctx context.Context, from string, records []string) error {
	var first error
	any := false
	for _, r := range records {
		var changed bool
		err := s.learnAddress(ctx, from, r, &changed)
		any = any || changed
		if err != nil && first == nil && !errors.Is(err, roster.ErrStale) && !errors.Is(err, errSoon) {
			first = err
		}
	}
	if any {
		s.changed()
	}
	return first
}

func (s *Service) learnAddress(ctx context.Context, from, record string, changed *bool) error {
	st := s.now.Load()
	if st.version() == 0 {
		return ErrNotJoined
	}
	now, err := s.clock()
	if err != nil {
		return err
	}
	a, err := st.inForce.Addresses(record, now) // outside the writer; place does it again for the few that are new
	if err != nil || !a.Issued.After((*s.placed.Load())[a.Country].Issued) {
		return err
	}
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		_, err := s.place(tx, record, desk.Node.Name, from, changed)
		return err
	})
}

// place verifies and stores an announcement.
func (s *Service) place(tx *store.Tx, record, actor, from string, changed *bool) (roster.AddressRecord, error) {
	st := s.now.Load()
	if st.version() == 0 {
		return roster.AddressRecord{}, desk.Conflict("%v", ErrNotJoined)
	}
	a, err := st.inForce.Addresses(record, tx.Now())
	if err != nil {
		if actor != desk.Node.Name {
			err = desk.Conflict("%v", err)
		}
		return a, err
	}
	old, err := placements.Get(tx, a.Country)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return a, err
	case old.Record == record || a.Issued.Before(old.Issued):
		return a, nil
	case a.Issued.Sub(old.Issued) < seldom:
		if actor != desk.Node.Name {
			if was, err := st.inForce.Addresses(old.Record, tx.Now()); err == nil && slices.Equal(was.Addresses, a.Addresses) {
				return was, nil // typed again, because its answer was lost
			}
			return a, desk.Conflict("%v: wait a minute and do it again", errSoon)
		}
		return a, fmt.Errorf("addresses of %s: %w", a.Country, errSoon)
	}
	p := placed{Record: record, Issued: a.Issued, addresses: a.Addresses, until: a.Until}
	if err := placements.Put(tx, a.Country, &p); err != nil {
		return a, err
	}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Decision: "permit", Counterpart: counterpart(a.Country)},
		AuditBody: protocol.AuditBody{Actor: actor, Kind: policy.KindRoster, Object: a.Country, Event: "announced addresses of " + a.Country + " in force, from " + from,
			Details: map[string]string{"addresses": fmt.Sprint(a.Addresses)}},
	})
	tx.OnCommit(func() {
		for done := false; !done; { // other commits may be noted at the same time
			known := s.placed.Load()
			if (*known)[a.Country].Issued.After(p.Issued) { // a later one was noted first
				break
			}
			next := maps.Clone(*known)
			next[a.Country] = p
			done = s.placed.CompareAndSwap(known, &next)
		}
		*changed = true
	})
	return a, nil
}
