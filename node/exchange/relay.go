package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	relayproto "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/multiformats/go-multiaddr"

	"proofmark/protocol"
)

// Relaying says what this node has to do with relayed connections (circuit v2): nothing, unless it is told. A relay passes on bytes that both ends have
// encrypted for each other; it can read, alter or invent none of them.
type Relaying struct {
	Serve bool // connects members of the roster that cannot reach each other
	Use   bool // is reached through members that serve, and reaches others so when nothing else works
}

const (
	relayTerm   = time.Hour // of a reservation; it is renewed after a third
	relayPlaces = 256       // members that may be reached through this node
	relayPaths  = 16        // connections through it for each member
	relaysHeld  = 3         // at how many members this node reserves a place
	relaysTried = 8         // through how many a member is dialled
)

// openRelay begins to serve as a relay. Strangers do not come as far as asking: the gate does not let them in.
func openRelay(h host.Host, dir *atomic.Pointer[directory]) (*relay.Relay, error) {
	r, err := relay.New(h, relay.WithACL(relayRule{dir}), relay.WithResources(relay.Resources{
		ReservationTTL: relayTerm, MaxReservations: relayPlaces, MaxCircuits: relayPaths, BufferSize: 16 << 10,
		MaxReservationsPerIP: relayPlaces, MaxReservationsPerASN: relayPlaces, // members behind one gateway share an address
	}), relay.WithReservationAddressFilter(func(multiaddr.Multiaddr) bool { return true }))
	if err != nil {
		return nil, fmt.Errorf("serve as a relay: %w", err)
	}
	return r, nil
}

// relayRule lets members of the roster in force be reached by members of it.
type relayRule struct{ dir *atomic.Pointer[directory] }

// AllowReserve implements relay.ACLFilter.
func (r relayRule) AllowReserve(p peer.ID, _ multiaddr.Multiaddr) bool {
	return r.dir.Load().member(p) != nil
}

// AllowConnect implements relay.ACLFilter.
func (r relayRule) AllowConnect(src peer.ID, _ multiaddr.Multiaddr, dest peer.ID) bool {
	d := r.dir.Load()
	return d.member(src) != nil && d.member(dest) != nil
}

// relays are the connected members that serve as relays, except one.
func (x *Exchange) relays(except protocol.Country, most int) (out []peer.ID) {
	for _, p := range x.host.Network().Peers() {
		m := x.dir.Load().member(p)
		if m == nil || m.country == except || !direct(x.host, p) {
			continue
		}
		if known, err := x.host.Peerstore().SupportsProtocols(p, relayproto.ProtoIDv2Hop); err != nil || len(known) == 0 {
			continue
		}
		if out = append(out, p); len(out) == most {
			break
		}
	}
	return out
}

// direct reports a connection without a relay.
func direct(h host.Host, p peer.ID) bool {
	for _, c := range h.Network().ConnsToPeer(p) {
		if transport(c.RemoteMultiaddr()) != "relay" {
			return true
		}
	}
	return false
}

// reserve keeps places at members that serve as relays, until the exchange ends.
func (x *Exchange) reserve() {
	held := map[peer.ID]time.Time{} // when each place is to be renewed, by the machine's clock
	for {
		for p := range held {
			if !direct(x.host, p) { // a place ends with its connection
				delete(held, p)
			}
		}
		for _, p := range x.relays("", relaysTried) {
			if due, ok := held[p]; ok && time.Now().Before(due) || !ok && len(held) >= relaysHeld {
				continue
			}
			ctx, cancel := context.WithTimeout(x.life, x.pace.dial)
			_, err := client.Reserve(ctx, x.host, peer.AddrInfo{ID: p})
			cancel()
			if err != nil {
				x.o.Log.Debug("no place at a relay", "peer_id", p, "err", err)
				delete(held, p)
				continue
			}
			if _, ok := held[p]; !ok {
				x.o.Log.Info("reached through a relay, too", "relay", x.dir.Load().member(p).country)
			}
			held[p] = time.Now().Add(relayTerm / 3)
		}
		select {
		case <-x.life.Done():
			return
		case <-time.After(x.pace.reserve):
		}
	}
}

// dialThrough reaches a member through others that serve as relays.
func (l *link) dialThrough(m *member) error {
	relays := l.x.relays(m.country, relaysTried)
	if len(relays) == 0 {
		return errors.New("no connected member serves as a relay")
	}
	var errs []error
	for _, p := range m.peers {
		for _, r := range relays {
			a, err := multiaddr.NewMultiaddr("/p2p/" + r.String() + "/p2p-circuit")
			if err == nil {
				l.x.host.Peerstore().AddAddrs(p, []multiaddr.Multiaddr{a}, peerstore.TempAddrTTL)
			}
			errs = append(errs, err)
		}
		err := l.dialPeer(p, m)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("through %d relays: %w", len(relays), err))
	}
	return errors.Join(errs...)
}
