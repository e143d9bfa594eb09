package node

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto/roster"
	"proofmark/node/exchange"
	"proofmark/node/membership"
	"proofmark/protocol"
)

// verdicts puts what membership says of a roster into the exchange's words.
var verdicts = []exchange.Verdict{exchange.Foreign, exchange.InForce, exchange.Next, exchange.Beside}

// rosters is what the exchange asks membership, and tells it, about rosters and announced addresses.
func (n *Node) rosters() *exchange.Rosters {
	m := n.membership
	return &exchange.Rosters{
		Hashes: m.Hashes,
		After:  m.After,
		Learn: func(ctx context.Context, from string, documents [][]byte) (int, error) {
			l, err := m.Learn(ctx, from, documents)
			if l.Added > 0 || l.Forks > 0 {
				n.log.Info("rosters learnt", "from", from, "versions", l.Added, "forks", l.Forks)
			}
			if l.Held != nil {
				n.log.Warn("roster waits", "from", from, "why", l.Held)
			}
			return l.Added, err
		},
		Judge: func(document []byte) (int, exchange.Verdict, error) {
			version, v, err := m.Judge(document)
			return version, verdicts[v], err
		},
		Announced:      func() map[protocol.Country][]string { return m.Announced(n.now()) },
		Announcements:  func() []string { return m.Announcements(n.now()) },
		LearnAddresses: m.LearnAddresses,
		CheckAddresses: func(record string) (roster.AddressRecord, error) {
			r := m.Current()
			if r == nil {
				return roster.AddressRecord{}, errNoRoster
			}
			return r.Addresses(record, n.now())
		},
	}
}

var errNoRoster = errors.New("no roster is in force")

// self is what the node uses of its keys now.
func (n *Node) self() membership.Self {
	if n.identity == nil {
		return membership.Self{}
	}
	id, err := peer.IDFromPrivateKey(n.hostKey)
	if err != nil {
		n.log.Error("peer id", "error", err)
	}
	return membership.Self{KeyID: n.identity.Signer().KeyID(), PeerID: id.String()}
}

// book keeps where members were reached; that it cannot now is no reason not to exchange with them.
func (n *Node) book() exchange.Book {
	log := n.log.With("part", "exchange")
	return exchange.Book{
		Reached: func(peer string) []string {
			list, err := n.membership.Reached(peer)
			if err != nil {
				log.Error("where a member was reached before", "error", err)
			}
			return list
		},
		Keep: func(peer, address string) {
			if err := n.membership.KeepReached(context.Background(), peer, address); err != nil {
				log.Debug("keep where a member was reached", "error", err)
			}
		},
	}
}
