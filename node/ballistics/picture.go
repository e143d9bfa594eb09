package ballistics

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/overlay"
	"proofmark/correlate/shear"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Picture is a candidate drawn from its two signatures.
type Picture struct {
	Pair string   `json:"pair"`
	Of   []string `json:"of"` // the two signatures
	SVG  []byte   `json:"svg"`

	Handling protocol.Handling `json:"handling"`
	protocol.Said
}

// Marks implements protocol.Marked.
func (p *Picture) Marks() (protocol.Handling, []string) { return p.Handling, p.Of }

// Picture draws a candidate, its handling codes and the caveat on it. Whoever may view the candidate may see it; each look leaves its entry in the log.
func (s *Service) Picture(ctx context.Context, who desk.Actor, pair string) (*Picture, error) {
	act := onCandidate(desk.Act{Actor: who, Action: policy.CandidatesView}, pair)
	var c *Candidate
	var a, b *Signature
	var court []protocol.Court
	err := s.desk.Store.View(func(tx *store.Tx) error { // only to name it in the log; nothing is shown before that is durable
		var err error
		if c, err = findCandidate(tx, pair); err != nil {
			return err
		}
		a, err = signatures.Get(tx, c.A)
		if err == nil {
			b, err = signatures.Get(tx, c.B)
		}
		if err == nil {
			court, err = s.out.Court(tx, demandsOf(c, a, b), []string{c.A, c.B})
		}
		return err
	})
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindCandidate, Object: pair, Event: "candidate drawn"}}
	if err == nil {
		entry.Counterpart, entry.Object, entry.Handling = s.foreign(c.Country), c.Pair, c.Handling.Codes()
	}
	if _, denied := desk.Read(ctx, s.desk, act, entry, func(*store.Tx) (struct{}, error) { return struct{}{}, nil }); denied != nil {
		return nil, denied
	}
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil, desk.NotFound("a signature of candidate %s is no longer held", pair)
		}
		return nil, err
	}
	if a.Bytes == nil || b.Bytes == nil {
		return nil, desk.NotFound("a signature of candidate %s is no longer held: there is nothing to draw", c.Pair[:12])
	}
	svg, err := draw(c, a, b, court)
	if err != nil {
		return nil, fmt.Errorf("draw candidate %s: %w", c.Pair, err)
	}
	return &Picture{Pair: c.Pair, Of: []string{c.A, c.B}, SVG: svg, Handling: demandsOf(c, a, b)}, nil
}

// demandsOf unites what the owners of both sides demand, now and when the pair was found.
func demandsOf(c *Candidate, a, b *Signature) protocol.Handling {
	return protocol.UnionHandling(c.Handling.OwnedBy(a.Country), a.handling(), b.handling())
}

// draw draws a candidate from its first signature's side.
func draw(c *Candidate, a, b *Signature, court []protocol.Court) ([]byte, error) {
	names := overlay.Labels{A: labelOf(a), B: labelOf(b), Note: strings.Join(append(protocol.HandlingWords(demandsOf(c, a, b), court), protocol.Caveat), "\n")}
	switch {
	case c.Bullets != nil:
		first, err := bullet.Decode(a.Bytes)
		if err != nil {
			return nil, err
		}
		second, err := bullet.Decode(b.Bytes)
		if err != nil {
			return nil, err
		}
		return overlay.Bullets(first, second, *c.Bullets, names), nil
	case c.Shear != nil:
		first, err := shear.Decode(a.Bytes)
		if err != nil {
			return nil, err
		}
		second, err := shear.Decode(b.Bytes)
		if err != nil {
			return nil, err
		}
		return overlay.Shear(first, second, *c.Shear, names), nil
	case c.Comparison != nil:
		first, err := correlate.DecodeSignature(a.Bytes)
		if err != nil {
			return nil, err
		}
		second, err := correlate.DecodeSignature(b.Bytes)
		if err != nil {
			return nil, err
		}
		return overlay.Marks(first, second, *c.Comparison, names)
	}
	return nil, desk.Invalid("there is no picture of the %s", c.ROI)
}

func labelOf(s *Signature) string {
	if s.Number == "" {
		return "exhibit of " + string(s.Country)
	}
	return s.Number + " (" + string(s.Country) + ")"
}
