package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	libp2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/node/exchange"
	"proofmark/protocol"
)

// oversee proves the three logs and shows two who get nothing: an administrator and a stranger.
func (f *federation) oversee(ctx context.Context) error {
	for _, c := range countries {
		b := f.bureaus[c]
		_, err := call[[]*ballistics.CandidateView](ctx, b.admin, "candidates.list", ballistics.CandidateFilter{})
		words, err := refused(err, "an administrator's look at candidates", desk.ErrForbidden)
		if err != nil {
			return err
		}
		if c == pt {
			f.shown("An administrator asks for candidates and is refused, in each country: %s", words)
		}
	}
	if err := f.turnAway(ctx); err != nil {
		return err
	}
	var mu sync.Mutex
	err := f.all(func(b *bureau) error {
		v, err := call[control.AuditVerified](ctx, b.auditor, "audit.verify", control.None{})
		if err != nil {
			return err
		}
		mu.Lock()
		f.result.Audit[string(b.country)] = Log{Entries: v.Entries, Verified: v.Verified}
		mu.Unlock()
		return check(v.Verified, "the audit log of %s is not whole: %s", b.country, v.Fault)
	})
	if err != nil {
		return err
	}
	a := f.result.Audit
	f.shown("The three auditors prove their logs whole: PT %d, ES %d and FR %d entries, each tree as its signed checkpoint says.", a["PT"].Entries, a["ES"].Entries, a["FR"].Entries)
	return nil
}

// knock is how long a stranger waits for a first byte.
const knock = 3 * time.Second

// turnAway has a host that is no member try to speak with each node, over each transport.
func (f *federation) turnAway(ctx context.Context) error {
	key, _, err := libp2pcrypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return err
	}
	stranger, err := libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.DisableMetrics())
	if err != nil {
		return fmt.Errorf("stranger's host: %w", err)
	}
	err = f.all(func(b *bureau) error { return f.knockAt(ctx, stranger, b) })
	if err = errors.Join(err, stranger.Close()); err != nil {
		return err
	}
	f.shown("A stranger's libp2p host knocks at all three nodes, over QUIC and TCP, and gets a closed connection: no protocol, no greeting, not one byte.")
	return nil
}

func (f *federation) knockAt(ctx context.Context, stranger host.Host, b *bureau) error {
	s, err := b.status(ctx)
	if err != nil {
		return err
	}
	id, err := peer.Decode(s.PeerID)
	if err != nil {
		return fmt.Errorf("peer id of %s: %w", b.country, err)
	}
	for _, text := range s.Addresses {
		a, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return fmt.Errorf("address of %s: %w", b.country, err)
		}
		if own, _ := peer.SplitAddr(a); own != nil {
			a = own
		}
		heard := listen(ctx, stranger, peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{a}})
		known, err := stranger.Peerstore().GetProtocols(id)
		if err != nil {
			return err
		}
		if heard > 0 || len(known) > 0 {
			return fmt.Errorf("a stranger got %d bytes and %d protocol names from %s at %s", heard, len(known), b.country, text)
		}
	}
	_, err = b.status(ctx) // it did not stay silent because it was down
	return err
}

// listen tries to be served, and returns how many bytes came back.
func listen(ctx context.Context, stranger host.Host, at peer.AddrInfo) int64 {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	stranger.Peerstore().ClearAddrs(at.ID) // this address and no other
	defer func() { _ = stranger.Network().ClosePeer(at.ID) }()
	if err := stranger.Connect(ctx, at); err != nil {
		return 0
	}
	stream, err := stranger.NewStream(network.WithNoDial(ctx, "stranger"), at.ID, exchange.Protocol)
	if err != nil {
		return 0
	}
	defer func() { _ = stream.Reset() }()
	if err := protocol.WriteFrame(stream, []byte(`{"version":1}`)); err != nil {
		return 0
	}
	if err := stream.SetReadDeadline(time.Now().Add(knock)); err != nil {
		return 0
	}
	n, _ := io.Copy(io.Discard, io.LimitReader(stream, 1<<10))
	return n
}
