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
	Chosen int      `toml:"chosen,omitempty" default:"0" comment:"members that are chosen from the roster as witnesses of this node's audit log, 16 to 64, or all where there are fewer; 0: 16"`
	Also   []string `toml:"also,omitempty" default:"[]" comment:"countries that are asked to cosign it beside those"`
	Wanted int      `toml:"wanted,omitempty" default:"0" comment:"cosignatures that a checkpoint needs; 0: two, or all where there are fewer witnesses"`
}

// witnesses reads who is asked to cosign beside those that are chosen; Check has made sure that they can be read.
func (c Config) witnesses() ([]protocol.Country, error) {
	var out []protocol.Country
	for _, code := range c.Witness.Also {
		country, err := protocol.ParseCountry(code)
		if err != nil {
			return nil, fmt.Errorf("witness.also: %w", err)
		}
		if code == c.Country || slices.Contains(out, country) {
			return nil, fmt.Errorf("witness.also: %s: name other countries, each once: nobody is a witness of himself", code)
		}
		out = append(out, country)
	}
	chosen := max(c.Witness.Chosen, rules.Chosen)
	switch {
	case c.Witness.Chosen != 0 && (c.Witness.Chosen < rules.Chosen || c.Witness.Chosen > rules.MaxWitness):
		return nil, fmt.Errorf("witness.chosen: %d: want %d to %d: fewer would leave a log to few members, and the others count on %d", c.Witness.Chosen, rules.Chosen, rules.MaxWitness, rules.Chosen)
	case chosen+len(out) > rules.MaxWitness:
		return nil, fmt.Errorf("witness.also: %d countries beside %d chosen ones: %d cosignatures stand under a checkpoint at the most", len(out), chosen, rules.MaxWitness)
	case c.Witness.Wanted < 0 || c.Witness.Wanted > chosen+len(out):
		return nil, fmt.Errorf("witness.wanted: %d: want 0 to %d, which is how many are asked", c.Witness.Wanted, chosen+len(out))
	}
	return out, nil
}

func (n *Node) newWitness(pace witness.Pace) (*witness.Service, error) {
	also, err := n.Config.witnesses()
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
		Restored: dispatch.RestoredHere, Chosen: n.Config.Witness.Chosen, Also: also, Wanted: n.Config.Witness.Wanted, Pace: pace,
		Talk: func(ctx context.Context, to protocol.Country, next func([]byte) ([]byte, error)) error {
			return n.exchange.AskWitness(ctx, to, next)
		},
		Connected: func(c protocol.Country) bool { return n.exchange != nil && n.exchange.Connected(c) }}), nil
}
