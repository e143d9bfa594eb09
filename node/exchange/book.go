package exchange

import (
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/multiformats/go-multiaddr"
)

// Book keeps, beyond a restart, the addresses at which hosts of members were reached, by peer ID. *membership.Service does it for a node.
type Book struct {
	Reached func(peer string) []string // the latest first
	Keep    func(peer, address string) // it was reached there just now
}

// keepAddress keeps where the member was reached, once it has greeted. A connection that it opened itself says nothing of where it listens; one through
// a relay says where the relay is.
func (l *link) keepAddress() {
	c := l.newest()
	if c == nil || l.x.o.Book.Keep == nil || c.Stat().Direction != network.DirOutbound || c.Stat().Limited || relayed(c.RemoteMultiaddr()) {
		return
	}
	l.x.o.Book.Keep(c.RemotePeer().String(), c.RemoteMultiaddr().String())
}

func relayed(a multiaddr.Multiaddr) bool {
	_, err := a.ValueForProtocol(multiaddr.P_CIRCUIT)
	return err == nil
}

// recall puts into the address book of the host where a member was reached before, beside what the roster says.
func (l *link) recall(p peer.ID) {
	if l.x.o.Book.Reached == nil {
		return
	}
	for _, s := range l.x.o.Book.Reached(p.String()) {
		a, err := multiaddr.NewMultiaddr(s)
		if err != nil {
			l.x.o.Log.Debug("an address that was kept cannot be read", "peer", l.country, "address", s, "err", err)
			continue
		}
		l.x.host.Peerstore().AddAddr(p, a, peerstore.TempAddrTTL)
	}
}
