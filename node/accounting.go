package node

import (
	"context"
	"crypto/rand"
	"errors"

	"proofmark/node/accounting"
	"proofmark/protocol"
)

// newAccounting makes what hands out proofs of the audit log.
func (n *Node) newAccounting() *accounting.Service {
	return accounting.New(accounting.Options{Desk: n.desk, Dispatch: n.dispatch, Signer: n.identity.Signer, Roster: n.membership.Current, Now: n.now, Random: rand.Reader,
		Fetch: func(ctx context.Context, from protocol.Country, ask []byte) ([]byte, error) {
			if n.exchange == nil {
				return nil, errors.New("the network is not open")
			}
			return n.exchange.FetchStatement(ctx, from, ask)
		}})
}
