package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"proofmark/node/custody"
	"proofmark/node/exchange"
	"proofmark/protocol"
)

// custodyDir is where sealed copies of other countries' backups are kept. It is not in this node's own backups.
const custodyDir = "custody"

// grants reads how many bytes each country's copies may take; Check has made sure that they can be read.
func (c Config) grants() (map[protocol.Country]int64, error) {
	out := map[protocol.Country]int64{}
	for code, size := range c.Custody.For {
		country, err := protocol.ParseCountry(code)
		if err != nil {
			return nil, fmt.Errorf("custody.for: %w", err)
		}
		if code == c.Country {
			return nil, fmt.Errorf("custody.for: %s is this node's own country: a copy of its own does not outlive it", code)
		}
		if out[country], err = custody.ParseSize(size); err != nil {
			return nil, fmt.Errorf("custody.for: %s: %w", code, err)
		}
	}
	return out, nil
}

func (n *Node) newCustody() (*custody.Service, error) {
	grants, err := n.Config.grants()
	if err != nil {
		return nil, err
	}
	return custody.New(custody.Options{Desk: n.desk, Signer: n.identity.Signer, Roster: n.membership.Current, Dir: filepath.Join(n.dir, custodyDir), Grants: grants,
		Grace: time.Duration(n.Config.Custody.KeepDays) * 24 * time.Hour, Now: n.now, Random: rand.Reader, Log: n.log.With("part", "custody"), Credible: n.dispatch.ClockCredible, Send: n.sendCopy, Ask: n.askCopy}), nil
}

func (n *Node) sendCopy(ctx context.Context, to protocol.Country, o custody.Offer, file io.ReaderAt, progress func(int64)) (string, int64, error) {
	return n.exchange.SendCopy(ctx, to, exchange.CopyOffer(o), file, progress)
}

// takeCopy asks whether a member's copy is kept here; of faults of this node the member is told nothing.
func (n *Node) takeCopy(ctx context.Context, peer protocol.Country, o exchange.CopyOffer) (*exchange.CopyIntake, error) {
	in, err := n.custody.Take(ctx, peer, custody.Offer(o))
	if err != nil {
		return nil, n.told(ctx, peer, err)
	}
	return &exchange.CopyIntake{Receipt: in.Receipt, Have: in.Have, Prefix: in.Prefix, Start: in.Start, Close: in.Close,
		Take: func(b []byte) error { return n.told(ctx, peer, in.Add(b)) },
		Done: func() (string, error) {
			receipt, err := in.Done(ctx)
			return receipt, n.told(ctx, peer, err)
		}}, nil
}

// told is what a member is told of a refusal, which leaves its trace in the log: the first at once, those of the same minute counted into one more.
func (n *Node) told(ctx context.Context, peer protocol.Country, err error) error {
	refusal, ok := errors.AsType[custody.Refusal](err)
	if !ok {
		return err
	}
	return errors.Join(exchange.RefusedCopy{Reason: refusal}, n.dispatch.Breach(ctx, peer, "custody", refusal))
}

func (n *Node) askCopy(ctx context.Context, holder protocol.Country, q custody.Question, size int64) (custody.Proof, error) {
	p, err := n.exchange.ProveCopy(ctx, holder, exchange.CopyQuestion(q), size)
	return custody.Proof(p), err
}

func (n *Node) proveCopy(ctx context.Context, peer protocol.Country, q exchange.CopyQuestion) (exchange.CopyProof, error) {
	p, err := n.custody.Prove(ctx, peer, custody.Question(q))
	return exchange.CopyProof(p), n.told(ctx, peer, err)
}
