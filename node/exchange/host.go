package exchange

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

// Protocol is the libp2p protocol of the exchange.
const Protocol p2pprotocol.ID = "/proofmark/exchange/1.0.0"

// The connection manager prunes above these; a federation of 250 countries with two connections each stays below.
const (
	connsLow  = 1024
	connsHigh = 1536
)

// openHost opens the libp2p host and listens on every address, or on none.
func openHost(o Options, g *gater) (host.Host, error) {
	if len(o.Listen) == 0 {
		return nil, errors.New("no address to listen on: name at least one, such as /ip4/0.0.0.0/udp/4001/quic-v1")
	}
	figures, unmeasured := libp2p.DisableMetrics(), []rcmgr.Option{rcmgr.WithMetricsDisabled()}
	if o.Figures != nil {
		figures, unmeasured = libp2p.PrometheusRegisterer(o.Figures), nil
		rcmgr.MustRegisterWith(o.Figures)
	}
	circuits := libp2p.DisableRelay()
	if o.Relaying.Use {
		circuits = libp2p.EnableRelay()
	}
	resources, err := limits(unmeasured...)
	if err != nil {
		return nil, fmt.Errorf("network limits: %w", err)
	}
	conns, err := connmgr.NewConnManager(connsLow, connsHigh)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connection manager: %w", err), resources.Close())
	}
	muxer := o.Muxer
	if muxer == nil {
		muxer = yamux.DefaultTransport
	}
	h, err := libp2p.New(
		libp2p.Identity(o.HostKey),
		libp2p.NoListenAddrs, // opened one by one below: libp2p is content if one of several works
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()), // a second node on the same port must fail, not share it
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, muxer),
		libp2p.ResourceManager(resources),
		libp2p.ConnectionManager(conns),
		libp2p.ConnectionGater(g),
		libp2p.UserAgent("proofmark"),
		libp2p.ProtocolVersion("proofmark/1"),
		circuits,
		libp2p.ForceReachabilityPublic(), // no probing of our reachability through others
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.Ping(false),
		figures,
		libp2p.WithDialTimeout(dialTimeout),
		// A member that is down must not teach the host that UDP is blocked: TCP is tried a moment after QUIC anyway.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open libp2p host: %w", err), conns.Close(), resources.Close())
	}
	for _, s := range o.Listen {
		if err := listen(h, s); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	return h, nil
}

func listen(h host.Host, s string) error {
	a, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return fmt.Errorf("listen on %.200q: %w; write it like /ip4/0.0.0.0/udp/4001/quic-v1 or /ip4/0.0.0.0/tcp/4001", s, err)
	}
	err = h.Network().Listen(a) // libp2p keeps the causes as text
	switch {
	case err == nil:
		return nil
	case mentions(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s: the address is taken: another program, perhaps another node, uses this port; stop it or choose another port: %w", s, err)
	case mentions(err, syscall.EACCES):
		return fmt.Errorf("listen on %s: not permitted: choose a port above 1023: %w", s, err)
	case mentions(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listen on %s: this machine has no such address: choose one of its own, or 0.0.0.0 for all: %w", s, err)
	}
	return fmt.Errorf("listen on %s: %w", s, err)
}
