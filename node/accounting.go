package node

import (
	"context"
	"crypto/rand"
	"errors"

	"proofmark/node/accounting"
	"proofmark/protocol"
	"proofmark/store"
)

// newAccounting makes what hands out proofs of the audit log.
func (n *Node) newAccounting() *accounting.Service {
	return accounting.New(accounting.Options{Desk: n.desk, Dispatch: n.dispatch, Signer: n.identity.Signer, Roster: n.membership.Current, Now: n.now, Random: rand.Reader,
		Cosigned: n.cosigned, Fetch: n.fetchStatement})
}

// cosigned is the checkpoint that members have cosigned last; nil while there is none.
func (n *Node) cosigned(tx *store.Tx) ([]byte, error) {
	if n.membership.Current() == nil {
		return nil, nil
	}
	best, err := n.witness.Best(tx)
	if err != nil || best == nil || len(best.By) == 0 {
		return nil, err
	}
	return []byte(best.Note), nil
}

func (n *Node) fetchStatement(ctx context.Context, from protocol.Country, ask []byte) ([]byte, error) {
	if n.exchange == nil {
		return nil, errors.New("the network is not open")
	}
	return n.exchange.FetchStatement(ctx, from, ask)
}
