package ballistics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// Expire erases foreign signatures whose term has ended, with the document, the gallery entry and the candidates that nobody reviewed. A lead or hit
// already exchanged is this country's own case record and stays.
func (s *Service) Expire(ctx context.Context) error {
	now := s.now().UTC().Format(time.RFC3339)
	var due []string
	err := s.desk.Store.View(func(tx *store.Tx) error {
		for id, sig := range signatures.ByPrefix(tx, "expires", "") {
			if sig.Expires.UTC().Format(time.RFC3339) > now {
				break
			}
			due = append(due, id)
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("find what expired: %w", err)
	}
	for _, id := range due {
		if err := s.desk.Store.Update(ctx, func(tx *store.Tx) error { return s.erase(tx, id, "retention ended") }); err != nil {
			return fmt.Errorf("erase %s: %w", id, err)
		}
	}
	return nil
}

func (s *Service) erase(tx *store.Tx, id, why string) error {
	sig, err := signatures.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var open []string
	for pair, c := range candidates.ByPrefix(tx, "ranked", id+"/") {
		if len(c.Reviews) == 0 {
			open = append(open, pair)
		} else {
			// What people reviewed stays; the facts it rests on are kept with the review, not the signature's bytes.
			sig.Bytes = nil
		}
	}
	if err := tx.Err(); err != nil {
		return err
	}
	for _, pair := range open {
		if err := candidates.Delete(tx, pair); err != nil {
			return err
		}
	}
	if sig.Bytes == nil {
		sig.Expires = time.Time{}
		err = signatures.Put(tx, id, sig)
	} else {
		err = signatures.Delete(tx, id)
	}
	if err != nil {
		return err
	}
	if has, err := jobs.Has(tx, id); err != nil {
		return err
	} else if has {
		if err := jobs.Delete(tx, id); err != nil {
			return err
		}
	}
	if err := dispatch.Documents.Delete(tx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActErase, Counterpart: string(sig.Country), Decision: "permit", Ground: "retention"},
		AuditBody:   protocol.AuditBody{Actor: desk.Node.Name, Kind: "signature", Object: id, Event: why, Documents: []string{id}},
	})
	tx.OnCommit(func() { s.index.Release(id) })
	return nil
}
