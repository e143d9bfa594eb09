package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/protocol"
)

// Prefix of the members' DHT; its protocol becomes /proofmark/kad/1.0.0.
const dhtPrefix = "/proofmark"

// openDHT joins the members' table. It holds rosters and announced addresses, no content and no provider records, and asks and answers members
// alone.
func openDHT(h host.Host, dir *atomic.Pointer[directory], records *records) (*dht.IpfsDHT, error) {
	member := func(p peer.ID) bool { return dir.Load().member(p) != nil }
	table, err := dht.New(h,
		dht.Mode(dht.ModeServer),
		dht.ProtocolPrefix(dhtPrefix),
		dht.DisableProviders(),
		dht.Validator(record.NamespacedValidator{namespace: records}),
		dht.QueryFilter(func(_ any, p peer.AddrInfo) bool { return member(p.ID) }),
		dht.RoutingTableFilter(func(_ any, p peer.ID) bool { return member(p) }),
	)
	if err != nil {
		return nil, fmt.Errorf("open the members' address table: %w", err)
	}
	return table, nil
}

// locate asks the other members where a peer is now: its announcement first, which it signed, then what they know of its connections.
func (x *Exchange) locate(ctx context.Context, c protocol.Country, id peer.ID) (peer.AddrInfo, error) {
	if x.dht.RoutingTable().Size() == 0 {
		return peer.AddrInfo{}, errors.New("no other member is connected that could be asked for its address")
	}
	if !x.lookups.Allow() {
		return peer.AddrInfo{}, errors.New("the other members were asked for addresses a moment ago, and will be again")
	}
	ctx, cancel := context.WithTimeout(ctx, x.pace.locate)
	defer cancel()
	x.findAddresses(ctx, c)
	found, err := x.dht.FindPeer(ctx, id)
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("the other members do not know a better address: %w", err)
	}
	return found, nil
}
