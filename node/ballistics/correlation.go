package ballistics

import (
	"context"
	"errors"
	"fmt"

	"proofmark/node/desk"
	"proofmark/node/index"
	"proofmark/protocol"
	"proofmark/store"
)

// correlate ranks one signature against those held and writes its candidates. A signature that is stored but not yet held has a job of its own,
// which will find this one.
func (s *Service) correlate(ctx context.Context, sig *Signature) error {
	if err := s.index.Hold(entryOf(sig)); err != nil {
		return err
	}
	found, err := s.index.Search(ctx, sig.ID, sig.Bytes, ListLength)
	if errors.Is(err, index.ErrNotHeld) {
		return nil // withdrawn meanwhile
	}
	if err != nil {
		return err
	}
	held, same := s.index.Len(sig.ROI, sig.Algorithm)
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		if has, err := jobs.Has(tx, sig.ID); err != nil || !has {
			s.forget(tx, sig.ID)
			return err // withdrawn meanwhile
		}
		for _, f := range found {
			if err := s.addCandidate(tx, sig, f); err != nil {
				return err
			}
		}
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActCombine, Counterpart: s.foreign(sig.Country), Decision: "permit", Ground: "automatic"},
			AuditBody: protocol.AuditBody{Actor: desk.Node.Name, Kind: "signature", Object: sig.ID, Case: sig.Case, Event: "correlated", Purpose: Purpose,
				Handling: sig.handling().Codes(), Details: map[string]string{"held": fmt.Sprint(held), "comparable": fmt.Sprint(same), "candidates": fmt.Sprint(len(found)), "algorithm": sig.Algorithm, "roi": string(sig.ROI)}},
		})
		return jobs.Delete(tx, sig.ID)
	})
}

// forget lets go of a signature that was erased before it was held.
func (s *Service) forget(tx *store.Tx, id string) {
	if sig, err := signatures.Get(tx, id); errors.Is(err, store.ErrNotFound) || err == nil && sig.restricted() {
		tx.OnCommit(func() { s.index.Release(id) })
	}
}

func (s *Service) foreign(c protocol.Country) string {
	if c == s.desk.Country {
		return ""
	}
	return string(c)
}

// addCandidate enters a pair into the ranked lists of both its signatures and trims them to their length. A pair that people have looked at is never
// removed by a better one.
func (s *Service) addCandidate(tx *store.Tx, sig *Signature, f index.Found) error {
	other, err := signatures.Get(tx, f.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && other.restricted() {
		return nil // erased while the search ran
	}
	if err != nil {
		return err
	}
	c := &Candidate{Pair: protocol.PairID(sig.ID, other.ID), A: min(sig.ID, other.ID), B: max(sig.ID, other.ID), ROI: sig.ROI, Finding: f.Finding,
		LikelihoodRatio: s.models.Evidence(sig, other, &f.Finding), Handling: protocol.UnionHandling(sig.handling(), other.handling()), Found: tx.Now(), Country: otherCountry(sig, other)}
	if has, err := candidates.Has(tx, c.Pair); err != nil || has {
		return err
	}
	if c.Country != s.desk.Country { // an own signature that was taken back is still compared, for the own casework
		for _, side := range []*Signature{sig, other} {
			if c.SourceWithdrawn.IsZero() {
				c.SourceWithdrawn = side.Withdrawn
			}
		}
	}
	if err := candidates.Put(tx, c.Pair, c); err != nil {
		return err
	}
	for _, list := range []string{c.A, c.B} {
		if err := trim(tx, list); err != nil {
			return err
		}
	}
	return nil
}

func otherCountry(a, b *Signature) protocol.Country {
	if !a.Own {
		return a.Country
	}
	return b.Country
}

// trim drops what lies beyond a list's length in both lists of a pair and was not reviewed.
func trim(tx *store.Tx, list string) error {
	rank := 0
	var drop []string
	for _, c := range candidates.ByPrefix(tx, "ranked", list+"/") {
		if rank++; rank > ListLength && len(c.Reviews) == 0 && c.Outcome == "" {
			drop = append(drop, c.Pair)
		}
	}
	if err := tx.Err(); err != nil {
		return err
	}
	for _, pair := range drop {
		c, err := candidates.Get(tx, pair)
		if err != nil {
			return err
		}
		other := c.A
		if other == list {
			other = c.B
		}
		r, err := rankOf(tx, other, pair)
		if err != nil {
			return err
		}
		if r > ListLength {
			if err := candidates.Delete(tx, pair); err != nil {
				return err
			}
		}
	}
	return nil
}

// rankOf is a pair's place in the ranked list of one of its signatures, from 1.
func rankOf(tx *store.Tx, list, pair string) (int, error) {
	rank := 0
	for _, c := range candidates.ByPrefix(tx, "ranked", list+"/") {
		rank++
		if c.Pair == pair {
			return rank, tx.Err()
		}
	}
	return rank + 1, tx.Err()
}
