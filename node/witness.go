package node

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"

	rules "proofmark/crypto/witness"
	"proofmark/node/dispatch"
	"proofmark/node/witness"
	"proofmark/protocol"
)

// Witness says who cosigns this node's audit log.
type Witness struct {
	By     []string `toml:"by,omitempty" comment:"countries that are asked to cosign this node's audit log; empty: every active member"`
	Wanted int      `toml:"wanted,omitempty" comment:"cosignatures that a checkpoint needs; 0: two, or all where there are fewer witnesses"`
}

// witnesses reads who is asked to cosign; Check has made sure that they can be read.
func (c Config) witnesses() ([]protocol.Country, error) {
	var out []protocol.Country
	for _, code := range c.Witness.By {
		country, err := protocol.ParseCountry(code)
		if err != nil {
			return nil, fmt.Errorf("witness.by: %w", err)
		}
		if code == c.Country || slices.Contains(out, country) {
			return nil, fmt.Errorf("witness.by: %s: name other countries, each once: nobody is a witness of himself", code)
		}
		out = append(out, country)
	}
	if c.Witness.Wanted < 0 || c.Witness.Wanted > rules.MaxWitness || len(out) > 0 && c.Witness.Wanted > len(out) {
		return nil, fmt.Errorf("witness.wanted: %d: want 0 to %d, and no more than there are in witness.by", c.Witness.Wanted, rules.MaxWitness)
	}
	return out, nil
}

func (n *Node) newWitness(pace witness.Pace) (*witness.Service, error) {
	by, err := n.Config.witnesses()
	if err != nil {
		return nil, err
	}
	origin := LogOrigin(n.Config.Country)
	signer, err := n.keys.LogSigner(origin)
	if err != nil {
		return nil, err
	}
	own, err := note.NewVerifier(n.keys.LogVerifierKey(origin))
	if err != nil {
		return nil, err
	}
	cosigner, err := rules.NewCosigner(origin, n.keys.LogKey())
	if err != nil {
		return nil, err
	}
	return witness.New(witness.Options{Desk: n.desk, Now: n.now, Log: n.log.With("part", "witness"), Roster: n.membership.Current, Signer: signer, Own: own, Cosigner: cosigner,
		Restored: dispatch.RestoredHere, Witnesses: by, Wanted: n.Config.Witness.Wanted, Pace: pace,
		Talk: func(ctx context.Context, to protocol.Country, next func([]byte) ([]byte, error)) error {
			return n.exchange.AskWitness(ctx, to, next)
		},
		Connected: func(c protocol.Country) bool { return n.exchange != nil && n.exchange.Connected(c) }}), nil
}
