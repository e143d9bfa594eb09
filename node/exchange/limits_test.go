package exchange

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"
	"github.com/multiformats/go-multiaddr"
)

// Members behind one gateway come from one address: all get in at once, each has its own quota, and one address cannot take everything. The limiter
// is asked itself, because loopback has no limits of its own.
func TestManyMembersBehindOneGateway(t *testing.T) {
	t.Parallel()
	const members = 24
	m, err := limits()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	gateway := multiaddr.StringCast("/ip4/203.0.113.7/tcp/40000")
	open := func(id peer.ID) error {
		c, err := m.OpenConnection(network.DirInbound, true, gateway)
		if err != nil {
			return err
		}
		if err := c.SetPeer(id); err != nil {
			c.Done()
			return err
		}
		t.Cleanup(c.Done)
		return nil
	}
	ids := make([]peer.ID, members)
	for i := range ids {
		if ids[i], err = test.RandPeerID(); err != nil {
			t.Fatal(err)
		}
		for range 2 { // QUIC and TCP, or an old connection and a new one
			if err := open(ids[i]); err != nil {
				t.Fatalf("member %d of %d behind one gateway: %v", i+1, members, err)
			}
		}
	}
	// One of them wants more than its share.
	refused := 0
	for range 3 * peerConns {
		if open(ids[0]) != nil {
			refused++
		}
	}
	if refused < 2*peerConns {
		t.Errorf("one member was refused %d of %d further connections", refused, 3*peerConns)
	}
	streams, denied := 0, 0
	for range 4 * peerStreams {
		s, err := m.OpenStream(ids[0], network.DirInbound)
		if err != nil {
			denied++
			continue
		}
		streams++
		t.Cleanup(s.Done)
	}
	if streams > peerStreams || denied == 0 {
		t.Errorf("one member has %d streams", streams)
	}
	// Memory for batches, on the exchange's own account.
	s, err := m.OpenStream(ids[1], network.DirInbound)
	if err != nil {
		t.Fatalf("another member's stream beside that: %v", err)
	}
	t.Cleanup(s.Done)
	if err := s.SetProtocol(Protocol); err != nil {
		t.Fatal(err)
	}
	granted := 0
	for s.ReserveMemory(maxPayload, network.ReservationPriorityMedium) == nil {
		if granted += maxPayload; granted > peerMemory {
			t.Fatalf("one member is granted %d bytes", granted)
		}
	}
	if granted < 2*maxPayload {
		t.Errorf("one member is granted %d bytes, less than two batches", granted)
	}
	for _, id := range ids[2:] {
		other, err := m.OpenStream(id, network.DirInbound)
		if err == nil {
			t.Cleanup(other.Done)
			err = other.SetProtocol(Protocol)
		}
		if err == nil {
			err = other.ReserveMemory(2*maxPayload, network.ReservationPriorityMedium)
		}
		if err != nil {
			t.Errorf("a member beside a greedy one: %v", err)
		}
	}
	// The address as a whole.
	n := 2*members + refused
	for ; n < 4*connsPerAddress; n++ {
		c, err := m.OpenConnection(network.DirInbound, true, gateway)
		if err != nil {
			break
		}
		t.Cleanup(c.Done)
	}
	if n > 2*connsPerAddress {
		t.Errorf("one address has %d connections", n)
	}
	if c, err := m.OpenConnection(network.DirInbound, true, multiaddr.StringCast("/ip4/198.51.100.9/tcp/40000")); err != nil {
		t.Errorf("another address beside a full one: %v", err)
	} else {
		c.Done()
	}
}
