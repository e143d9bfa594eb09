package membership

import (
	"fmt"
	"slices"
	"time"

	"proofmark/crypto/roster"
	"proofmark/protocol"
)

const (
	clockSkew  = 5 * time.Minute     // two honest clocks may differ by this
	soonToEnd  = 30 * 24 * time.Hour // when an end of validity is worth a warning
	dateFormat = time.DateOnly
)

// Warnings says what is not as it should be with the roster in force and this node's place in it, a sentence each.
func (s *Service) Warnings(now time.Time) []string {
	st := s.now.Load()
	if st.version() == 0 {
		return []string{"no roster is installed: the node talks to nobody. Install one with its anchor."}
	}
	return s.warnings(st, now)
}

func (s *Service) warnings(st *state, now time.Time) []string {
	list := st.forkWarnings()
	var self *Self
	if s.self != nil {
		self = new(Self)
		*self = s.self()
	}
	list = append(list, warnings(st.inForce, now, s.desk.Country, self)...)
	return append(list, st.overrideWarnings(now)...)
}

// days counts the days to a moment, begun ones as whole.
func days(from, to time.Time) int {
	return int((to.Sub(from) + 24*time.Hour - 1) / (24 * time.Hour))
}

// ending says how long something with an end still holds; empty while that is far off. then is what happens after the grace.
func ending(what string, until, now time.Time, do, then string) string {
	over := until.Add(roster.Grace)
	switch {
	case !now.Before(over):
		return fmt.Sprintf("%s expired on %s, and its grace of %d days is over since %s: %s. %s", what, until.Format(dateFormat), roster.Grace/(24*time.Hour), over.Format(dateFormat), then, do)
	case !now.Before(until):
		return fmt.Sprintf("%s expired on %s: it is honoured until %s, %d days more, and then %s. %s", what, until.Format(dateFormat), over.Format(dateFormat), days(now, over), then, do)
	case !now.Before(until.Add(-soonToEnd)):
		return fmt.Sprintf("%s expires on %s, in %d days. %s", what, until.Format(dateFormat), days(now, until), do)
	}
	return ""
}

// warnings says what a person should know of a roster and of the own country's place in it. None of it keeps the roster from coming
// into force: a bureau may read a roster before it is a member, and an expired roster is better than none.
func warnings(r *roster.Roster, now time.Time, own protocol.Country, self *Self) []string {
	var list []string
	warn := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if w := ending("The roster", r.ValidUntil, now, "Ask the key holders for a new version.", "documents wait in their queues until a new version is in force"); w != "" {
		list = append(list, w)
	}
	if r.Issued.After(now.Add(clockSkew)) {
		warn("This machine's clock is wrong: it shows %s, and the roster in force was issued at %s. Set it (a time server). Until then the node goes by the roster as it was issued: its members stay members, but their nodes do not exchange with one whose clock is off by more than %d minutes.",
			now.UTC().Format(time.RFC3339), r.Issued.Format(time.RFC3339), protocol.MaxClockSkew/time.Minute)
		now = r.Issued // what follows would only repeat it
	}
	me, ok := r.ByCountry(string(own))
	if !ok {
		warn("%s is not in the roster: this node knows the members now, but they do not talk to it. Send this node's entry to the key holders.", own)
		return list
	}
	if me.Status != roster.Active {
		warn("%s is suspended since %s: the members do not talk to this node. Ask the key holders why.", own, me.Since.Format(dateFormat))
	}
	if now.Before(me.ValidFrom) {
		warn("The entry of %s is valid only from %s on.", own, me.ValidFrom.Format(time.RFC3339))
	}
	if w := ending("The entry of "+string(own), me.ValidUntil, now, "Make a new one with `proofmark key renew` and send it to the key holders.", "the members talk to this node no longer, and documents wait"); w != "" {
		list = append(list, w)
	}
	if self != nil {
		list = append(list, self.differences(me.Member, now)...)
	}
	return list
}

// differences compares the node's keys with those of its own country's entry.
func (s *Self) differences(m roster.Member, now time.Time) []string {
	var list []string
	if keys, err := m.KeySetAt(now); err != nil || !keys.Has(s.KeyID) {
		list = append(list, fmt.Sprintf("The roster lists %s with other signing keys than this node's %s: what it signs is refused everywhere. Send this node's entry to the key holders, or use the node that the roster names.", m.Country, s.KeyID))
	}
	if !slices.Contains(m.PeerIDs, s.PeerID) || m.Ended(s.PeerID, now) {
		list = append(list, fmt.Sprintf("The roster lists %s with other peer IDs than this node's %s: the members do not let it in. Send this node's entry to the key holders, or use the node that the roster names.", m.Country, s.PeerID))
	}
	return list
}
