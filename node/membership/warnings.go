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

// warnings says what a person should know of a roster and of the own country's place in it. None of it keeps the roster from coming
// into force: a bureau may read a roster before it is a member, and an expired roster is better than none.
func warnings(r *roster.Roster, now time.Time, own protocol.Country, self *Self) []string {
	var list []string
	warn := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	switch {
	case r.Expired(now):
		warn("The roster expired on %s: it still names its members, but ask the key holders for a new version.", r.ValidUntil.Format(dateFormat))
	case r.Expired(now.Add(soonToEnd)):
		warn("The roster expires on %s: ask the key holders for a new version.", r.ValidUntil.Format(dateFormat))
	}
	if r.Issued.After(now.Add(clockSkew)) {
		warn("The roster was issued at %s, which is in the future: check this machine's clock (%s).", r.Issued.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	me, ok := r.ByCountry(string(own))
	if !ok {
		warn("%s is not in the roster: this node knows the members now, but they do not talk to it. Send this node's entry to the key holders.", own)
		return list
	}
	if me.Status != roster.Active {
		warn("%s is suspended since %s: the members do not talk to this node. Ask the key holders why.", own, me.Since.Format(dateFormat))
	}
	switch m := me.Member; {
	case now.Before(m.ValidFrom):
		warn("The entry of %s is valid only from %s on.", own, m.ValidFrom.Format(time.RFC3339))
	case !m.ValidAt(now):
		warn("The entry of %s expired on %s: send a new one to the key holders.", own, m.ValidUntil.Format(dateFormat))
	case !m.ValidAt(now.Add(soonToEnd)):
		warn("The entry of %s expires on %s: send a new one to the key holders.", own, m.ValidUntil.Format(dateFormat))
	}
	if self != nil {
		list = append(list, self.differences(me.Member)...)
	}
	return list
}

// differences compares the node's keys with those of its own country's entry.
func (s *Self) differences(m roster.Member) []string {
	var list []string
	if keys, err := m.KeySet(); err != nil || !keys.Has(s.KeyID) {
		list = append(list, fmt.Sprintf("The roster lists %s with other signing keys than this node's %s: what it signs is refused everywhere. Send this node's entry to the key holders, or use the node that the roster names.", m.Country, s.KeyID))
	}
	if !slices.Contains(m.PeerIDs, s.PeerID) {
		list = append(list, fmt.Sprintf("The roster lists %s with other peer IDs than this node's %s: the members do not let it in. Send this node's entry to the key holders, or use the node that the roster names.", m.Country, s.PeerID))
	}
	return list
}
