package retention

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Proof shows that a record was erased: the log's entry of that, what proves it to others, and what is left of the entries that spoke of the record.
type Proof struct {
	Review *Review              `json:"review"`
	Entry  int64                `json:"entry"` // number of the entry that says it
	Header protocol.AuditHeader `json:"header"`
	Erased []Erased             `json:"erased"`
	Bundle []byte               `json:"bundle"` // that `audit check` verifies
}

// Erased is an entry of which the header is left, and the hash of what it said.
type Erased struct {
	Entry    int64                `json:"entry"`
	Header   protocol.AuditHeader `json:"header"`
	BodyHash string               `json:"body_hash"` // SHA-256, hex
}

// Proof returns what shows that a purged record is gone.
func (s *Service) Proof(ctx context.Context, who desk.Actor, ref string) (*Proof, error) {
	act := desk.Act{Actor: who, Action: policy.RetentionReview, Resource: policy.Resource{Type: policy.KindRetention, ID: short(ref)}}
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindRetention, Object: short(ref), Event: "proof of an erasure made"}}
	out, err := desk.Read(ctx, s.desk, act, entry, func(tx *store.Tx) (*Proof, error) {
		v, err := reviews.Get(tx, ref)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil, desk.NotFound("no record %.80q was purged: `proofmark retention purge` lists the purges by their items, such as case/0199…", ref)
		case err != nil:
			return nil, err
		case v.State != Purged:
			return nil, desk.Conflict("%s is not erased: %s", v.ID, v.State)
		}
		p := &Proof{Review: v, Erased: make([]Erased, len(v.Purged.Bodies))}
		for i, index := range v.Purged.Bodies {
			leaf, err := tx.AuditLeaf(index)
			if err != nil {
				return nil, err
			}
			e, err := leaf.Entry()
			if err != nil {
				return nil, err
			}
			if leaf.Body != nil {
				return nil, fmt.Errorf("audit entry %d is said to be erased, and its body is there: %w", index, store.ErrCorrupt)
			}
			p.Erased[i] = Erased{index, e.AuditHeader, hex.EncodeToString(leaf.BodyHash)}
		}
		return p, nil
	})
	if err != nil {
		return nil, err
	}
	found, err := s.desk.Store.QueryAudit(ctx, store.AuditQuery{Object: ref, Kind: policy.KindRetention, Action: string(protocol.ActErase), Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the log has no entry of the erasure of %s: %w", ref, store.ErrCorrupt)
	}
	out.Entry, out.Header = found[0].Index, found[0].AuditHeader
	if out.Bundle, err = s.prove(ctx, out.Entry); err != nil {
		return nil, fmt.Errorf("prove entry %d: %w", out.Entry, err)
	}
	return out, nil
}

// listed bounds a list of purges.
const listed = 1000

// Purges carries purges on at once, as far as they go, and lists them all.
func (s *Service) Purges(ctx context.Context, who desk.Actor) ([]*Review, error) {
	act := desk.Act{Actor: who, Action: policy.RetentionPurge, TwoPeople: true, Resource: policy.Resource{Type: policy.KindRetention}} // who approved each stands with it
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindRetention, Event: "purges carried on and listed"}}
	if _, err := desk.Read(ctx, s.desk, act, entry, func(*store.Tx) (struct{}, error) { return struct{}{}, nil }); err != nil {
		return nil, err
	}
	if err := s.Continue(ctx); err != nil {
		return nil, err
	}
	out := []*Review{}
	err := s.desk.Store.View(func(tx *store.Tx) error {
		for _, state := range []State{Proposed, Withdrawing, Erasing, Purged} {
			for _, v := range reviews.By(tx, "state", string(state)) {
				if out = append(out, v); len(out) == listed {
					return tx.Err()
				}
			}
		}
		return tx.Err()
	})
	return out, err
}
