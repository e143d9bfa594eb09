package exchange

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"proofmark/crypto/roster"
	"proofmark/protocol"
)

// member is what the network must know of another active member.
type member struct {
	country protocol.Country
	name    string
	peers   []peer.ID // more than one while a host key is being rotated
	addrs   map[peer.ID][]multiaddr.Multiaddr
}

// directory is the roster in force as the network reads it: the active members without this country.
type directory struct {
	byPeer    map[peer.ID]*member
	byCountry map[protocol.Country]*member
}

// directoryOf reads a roster; nil gives an empty directory. Addresses that a member announced since its entry was made come before those of
// the entry. What cannot be used of an entry is left out and reported, so that one bad entry cuts off nobody else.
func directoryOf(r *roster.Roster, announced map[protocol.Country][]string, self protocol.Country, now time.Time) (*directory, []error) {
	d := &directory{byPeer: map[peer.ID]*member{}, byCountry: map[protocol.Country]*member{}}
	if r == nil {
		return d, nil
	}
	var faults []error
	for _, entry := range r.Active(now) {
		c := protocol.Country(entry.Country)
		if c == self {
			continue
		}
		m := &member{country: c, name: entry.Name, addrs: map[peer.ID][]multiaddr.Multiaddr{}}
		for _, s := range entry.PeerIDsAt(now) {
			id, err := peer.Decode(s)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: peer ID %.80q: %w", c, s, err))
				continue
			}
			if other := d.byPeer[id]; other != nil {
				faults = append(faults, fmt.Errorf("%s: peer ID %s is also that of %s", c, id, other.country))
				continue
			}
			d.byPeer[id] = m
			m.peers = append(m.peers, id)
		}
		for _, s := range append(slices.Clone(announced[c]), entry.Addresses...) {
			a, err := multiaddr.NewMultiaddr(s)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: address %.200q: %w", c, s, err))
				continue
			}
			m.place(a)
		}
		d.byCountry[c] = m
	}
	return d, faults
}

// standing tells why the others will not let this node in, nil if they will.
func standing(r *roster.Roster, self protocol.Country, id peer.ID, now time.Time) error {
	if r == nil {
		return errors.New("no roster is in force: nobody is let in, and nobody is dialled")
	}
	switch us, ok := r.ByCountry(string(self)); {
	case !ok:
		return fmt.Errorf("%s is not in the roster in force: the other nodes refuse this one", self)
	case !us.Active(now):
		return fmt.Errorf("%s is not active in the roster in force (suspended, or its entry and its grace are over): the other nodes refuse this one", self)
	case !slices.Contains(us.PeerIDsAt(now), id.String()):
		return fmt.Errorf("the entry of %s in the roster in force does not name this node's peer ID %s: the other nodes refuse this one", self, id)
	}
	return nil
}

// member finds a member by its peer ID; nil for a stranger, and in no directory at all.
func (d *directory) member(p peer.ID) *member {
	if d == nil {
		return nil
	}
	return d.byPeer[p]
}

// place files an address under the peer ID it ends with, or under all of the member's.
func (m *member) place(a multiaddr.Multiaddr) {
	transport, id := peer.SplitAddr(a)
	if len(transport) == 0 {
		return
	}
	for _, p := range m.peers {
		if (id == "" || id == p) && !slices.ContainsFunc(m.addrs[p], transport.Equal) {
			m.addrs[p] = append(m.addrs[p], transport)
		}
	}
}

// errHeld: the roster has ended, and its grace too.
var errHeld = errors.New("the roster's grace is over: documents wait until the key holders' next version is in force")

// held tells whether documents have to wait for a new roster. Connections stay, because the new roster comes over them.
func (x *Exchange) held() error {
	if r := x.o.Roster(); r != nil && r.Held(x.o.Now()) {
		return errHeld
	}
	return nil
}
