package roster

import (
	"slices"
	"strings"
	"time"
)

// Standing is a member together with what the roster says of it.
type Standing struct {
	Member
	Status Status
	Since  time.Time
}

// Grace is how long an entry, or a roster, is honoured after its end: key holders are people, and a missed day must cut nobody off.
const Grace = 30 * 24 * time.Hour

// Active tells whether the member takes part at the time: not suspended, and its entry valid or within its grace.
func (s Standing) Active(now time.Time) bool {
	return s.Status == Active && !now.Before(s.ValidFrom) && now.Before(s.ValidUntil.Add(Grace))
}

// Expired tells whether the roster has run out. It is honoured for Grace longer.
func (r *Roster) Expired(now time.Time) bool { return !now.Before(r.ValidUntil) }

// Held tells whether the roster's grace is over too: it still names its members, who keep talking about rosters, but documents wait.
func (r *Roster) Held(now time.Time) bool { return !now.Before(r.ValidUntil.Add(Grace)) }

// ByCountry finds a member, whatever its status.
func (r *Roster) ByCountry(country string) (Standing, bool) {
	i, ok := r.find(country)
	if !ok {
		return Standing{}, false
	}
	return r.standing(i), true
}

// MemberByPeer finds the member whose libp2p peer ID it is, whatever its status.
func (r *Roster) MemberByPeer(peerID string) (Standing, bool) {
	i, ok := r.byPeer[peerID]
	if !ok {
		return Standing{}, false
	}
	return r.standing(i), true
}

// Active lists the members that take part at the time, by country.
func (r *Roster) Active(now time.Time) []Standing {
	var list []Standing
	for i := range r.opened {
		if s := r.standing(i); s.Active(now) {
			list = append(list, s)
		}
	}
	return list
}

// All lists every member, by country.
func (r *Roster) All() []Standing {
	list := make([]Standing, len(r.opened))
	for i := range list {
		list[i] = r.standing(i)
	}
	return list
}

func (r *Roster) standing(i int) Standing {
	return Standing{Member: r.opened[i].member, Status: r.Members[i].Status, Since: r.Members[i].Since}
}

func (r *Roster) find(country string) (int, bool) {
	return slices.BinarySearchFunc(r.Members, country, func(l Listing, c string) int { return strings.Compare(l.Country, c) })
}
