package exchange

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"golang.org/x/time/rate"
)

// gater lets members of the roster in and nobody else. A stranger is dropped after the handshake that proves who it is and before any
// protocol, identify included, can be spoken.
type gater struct {
	dir *atomic.Pointer[directory]
	log *slog.Logger
	say *rate.Sometimes // a stranger who knocks all day must not fill the log

	host atomic.Pointer[peer.ID] // of a visit that a person asked for; nil: none
}

func newGater(dir *atomic.Pointer[directory], log *slog.Logger) *gater {
	return &gater{dir: dir, log: log, say: &rate.Sometimes{First: 3, Interval: 10 * time.Second}}
}

func (g *gater) member(p peer.ID) bool { return g.dir.Load().member(p) != nil }

// visited tells whether a person asked for a visit to this peer: it may be dialled, and is nobody who may come in.
func (g *gater) visited(p peer.ID) bool {
	h := g.host.Load()
	return h != nil && *h == p
}

// InterceptPeerDial allows members, and whom a person asked to visit.
func (g *gater) InterceptPeerDial(p peer.ID) bool { return g.member(p) || g.visited(p) }

// InterceptAddrDial allows every address of a peer that may be dialled.
func (g *gater) InterceptAddrDial(p peer.ID, _ multiaddr.Multiaddr) bool {
	return g.member(p) || g.visited(p)
}

// InterceptAccept spares the handshake while there is nobody to let in; who knocks is not known yet.
func (g *gater) InterceptAccept(network.ConnMultiaddrs) bool {
	d := g.dir.Load()
	return d != nil && len(d.byPeer) > 0
}

// InterceptSecured allows members, now that the peer has proved its ID.
func (g *gater) InterceptSecured(dir network.Direction, p peer.ID, c network.ConnMultiaddrs) bool {
	if g.member(p) || dir == network.DirOutbound && g.visited(p) {
		return true
	}
	if dir == network.DirInbound {
		g.say.Do(func() {
			g.log.Info("connection refused: not an active member of the roster", "peer_id", p, "from", c.RemoteMultiaddr())
		})
	}
	return false
}

// InterceptUpgraded asks once more: the roster may have changed during the handshake.
func (g *gater) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return g.member(c.RemotePeer()) || c.Stat().Direction == network.DirOutbound && g.visited(c.RemotePeer()), 0
}
