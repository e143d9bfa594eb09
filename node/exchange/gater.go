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
}

func newGater(dir *atomic.Pointer[directory], log *slog.Logger) *gater {
	return &gater{dir: dir, log: log, say: &rate.Sometimes{First: 3, Interval: 10 * time.Second}}
}

func (g *gater) member(p peer.ID) bool { return g.dir.Load().member(p) != nil }

// InterceptPeerDial allows members.
func (g *gater) InterceptPeerDial(p peer.ID) bool { return g.member(p) }

// InterceptAddrDial allows every address of a peer that may be dialled.
func (g *gater) InterceptAddrDial(p peer.ID, _ multiaddr.Multiaddr) bool { return g.member(p) }

// InterceptAccept spares the handshake while there is nobody to let in; who knocks is not known yet.
func (g *gater) InterceptAccept(network.ConnMultiaddrs) bool {
	d := g.dir.Load()
	return d != nil && len(d.byPeer) > 0
}

// InterceptSecured allows members, now that the peer has proved its ID.
func (g *gater) InterceptSecured(dir network.Direction, p peer.ID, c network.ConnMultiaddrs) bool {
	if g.member(p) {
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
	return g.member(c.RemotePeer()), 0
}
