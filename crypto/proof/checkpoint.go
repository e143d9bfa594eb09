package proof

import (
	"errors"
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/crypto/witness"
	"proofmark/protocol"
)

// Head is a country's audit log at one size, as a checkpoint states it.
type Head struct {
	Country  protocol.Country      `json:"country"`
	Origin   string                `json:"origin"`   // the log's name
	Size     int64                 `json:"size"`     // entries
	Root     string                `json:"root"`     // of the tree, base64
	Cosigned []witness.Cosignature `json:"cosigned"` // members that have seen this state of the log, and none that contradicts it

	root   tlog.Hash
	policy torchwood.Policy // under which its checkpoint verified
}

// checkpoint verifies a country's signed checkpoint by the keys of the newest roster under which it does.
func (t *Trust) checkpoint(c protocol.Country, signed []byte) (*Head, error) {
	var fault error
	for _, r := range t.versions {
		keys, err := witness.Verifiers(r)
		if err != nil {
			return nil, err
		}
		log, ok := keys.Log(string(c))
		if !ok {
			fault = errors.Join(fault, fmt.Errorf("%w: %s is not in the roster", ErrUntrusted, c))
			continue
		}
		o, err := keys.Open(signed)
		if err == nil && o.Country != string(c) {
			return nil, fmt.Errorf("%w: the checkpoint is of the log of %s, not of %s", ErrUntrusted, o.Country, c)
		}
		if err != nil {
			fault = errors.Join(fault, err)
			continue
		}
		h := &Head{Country: c, Origin: o.Origin, Size: o.N, Root: o.Hash.String(), Cosigned: append([]witness.Cosignature{}, o.Cosignatures...), root: o.Hash,
			policy: torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(log.Origin()), torchwood.SingleVerifierPolicy(log.Verifier))}
		return h, nil
	}
	return nil, fmt.Errorf("checkpoint of %s: %w", c, fault)
}
