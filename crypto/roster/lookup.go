package roster

import (
	"slices"
	"strings"
	"time"

	"proofmark/crypto"
)

// Standing is a member together with what the roster says of it.
type Standing struct {
	Member
	Status Status
	Since  time.Time

	issued time.Time // the roster
}

// Grace is how long an entry, or a roster, is honoured after its end: key holders are people, and a missed day must cut nobody off.
const Grace = 30 * 24 * time.Hour

// Plausible is the time to go by where members are looked up: now, but never before the roster was issued. Nobody can have a roster before that: a clock
// that shows such a time was set back, and would else end every membership at once.
func (r *Roster) Plausible(now time.Time) time.Time { return notBefore(now, r.Issued) }

func notBefore(now, issued time.Time) time.Time {
	if now.Before(issued) {
		return issued
	}
	return now
}

// Active tells whether the member takes part at the time: not suspended, and its entry valid or within its grace. Of a time before the roster's own it
// tells what held when the roster was issued (Plausible); so do PeerIDsAt and KeySetAt.
func (s Standing) Active(now time.Time) bool {
	now = notBefore(now, s.issued)
	return s.Status == Active && !now.Before(s.ValidFrom) && now.Before(s.ValidUntil.Add(Grace))
}

// PeerIDsAt is Member.PeerIDsAt at a plausible time.
func (s Standing) PeerIDsAt(now time.Time) []string {
	return s.Member.PeerIDsAt(notBefore(now, s.issued))
}

// KeySetAt is Member.KeySetAt at a plausible time.
func (s Standing) KeySetAt(now time.Time) (crypto.KeySet, error) {
	return s.Member.KeySetAt(notBefore(now, s.issued))
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
	return Standing{Member: r.opened[i].member, Status: r.Members[i].Status, Since: r.Members[i].Since, issued: r.Issued}
}

func (r *Roster) find(country string) (int, bool) {
	return slices.BinarySearchFunc(r.Members, country, func(l Listing, c string) int { return strings.Compare(l.Country, c) })
}
