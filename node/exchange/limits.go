package exchange

import (
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

// Limits per member. A member needs one stream each way per channel, a few for identify and the address table, and one or two connections.
const (
	peerConns           = 8
	peerStreams         = 128
	peerMemory          = 96 << 20 // stream windows and two batches being received
	peerExchangeStreams = 16       // incoming and outgoing each
)

// Limits per network address: members behind one gateway share one, and libp2p's defaults (8 connections, one new in 5 s) would cut them off.
const (
	connsPerAddress = 256
	newPerSecond    = 32
	newAtOnce       = 512
)

// limits sets every bound explicitly. The transient scope holds what is not yet negotiated, of all members together: it is wider than what
// one member may have, so that nobody can fill it alone.
func limits(more ...rcmgr.Option) (network.ResourceManager, error) {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	perPeer := func(streams rcmgr.LimitVal, memory rcmgr.LimitVal64) rcmgr.ResourceLimits {
		return rcmgr.ResourceLimits{Streams: 2 * streams, StreamsInbound: streams, StreamsOutbound: streams, Memory: memory}
	}
	conf := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: 2048, ConnsInbound: 1536, ConnsOutbound: 1536, FD: 4096,
			Streams: 16384, StreamsInbound: 8192, StreamsOutbound: 8192, Memory: 1 << 30,
		},
		Transient: rcmgr.ResourceLimits{
			Conns: 512, ConnsInbound: 512, ConnsOutbound: 512, FD: 1024,
			Streams: 4096, StreamsInbound: 4096, StreamsOutbound: 4096, Memory: 256 << 20,
		},
		PeerDefault: rcmgr.ResourceLimits{
			Conns: 2 * peerConns, ConnsInbound: peerConns, ConnsOutbound: peerConns, FD: 2 * peerConns,
			Streams: 2 * peerStreams, StreamsInbound: peerStreams, StreamsOutbound: peerStreams, Memory: peerMemory,
		},
		Protocol: map[p2pprotocol.ID]rcmgr.ResourceLimits{
			Protocol: {Streams: 8192, StreamsInbound: 4096, StreamsOutbound: 4096, Memory: 512 << 20},
		},
		ProtocolPeer: map[p2pprotocol.ID]rcmgr.ResourceLimits{
			Protocol: perPeer(peerExchangeStreams, 64<<20),
		},
		ProtocolPeerDefault: perPeer(32, 16<<20),
	}
	v4, v6 := []rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: connsPerAddress}}, []rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: connsPerAddress}}
	fresh := rate.Limit{RPS: newPerSecond, Burst: newAtOnce}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(conf.Build(scaling.AutoScale())), append(more,
		rcmgr.WithLimitPerSubnet(v4, v6),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: []rate.PrefixLimit{ // a whole federation may run on one machine
				{Prefix: netip.MustParsePrefix("127.0.0.0/8")},
				{Prefix: netip.MustParsePrefix("::1/128")},
			},
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: fresh}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: fresh}},
				GracePeriod:      time.Minute,
			},
		}))...)
}
