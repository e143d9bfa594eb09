package custody

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// follow completes the record of a new copy among what is kept: it signs for it, with the chain before it and until when that is kept; where the copy
// begins a chain, the time of the one before begins to run out. A copy whose file was lost and came again keeps the end that it had.
func (s *Service) follow(tx *store.Tx, c *Copy, kept []held) error {
	var previous *held
	for i := range kept {
		k := &kept[i]
		switch {
		case k.ID == c.ID:
			c.Until = k.Until
		case k.Chain != c.Chain && k.Until.IsZero() && c.Number == 0:
			k.Until = c.At.Add(s.o.Grace)
			if err := Copies.Put(tx, recordID(c.Owner, k.ID), &k.Copy); err != nil {
				return err
			}
		}
		if k.Chain != c.Chain && !k.Until.IsZero() && (previous == nil || k.Until.After(previous.Until)) {
			previous = k
		}
	}
	if previous != nil && c.Until.IsZero() {
		c.Previous, c.PreviousUntil = previous.Chain, previous.Until
	}
	payload, err := json.Marshal(c.CustodyReceipt)
	if err != nil {
		return err
	}
	c.Receipt, err = s.o.Signer().Sign(crypto.TypeCustody, payload)
	return err
}

// Expire removes chains that another one followed, once their time has run out. It does nothing while the clock is in doubt.
func (s *Service) Expire(ctx context.Context) error {
	due := func(tx *store.Tx) (out []*Copy) {
		for _, c := range Copies.All(tx) {
			if !c.Until.IsZero() && c.Until.Before(tx.Now()) {
				out = append(out, c)
			}
		}
		return out
	}
	var gone []*Copy
	if err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		gone = due(tx)
		return tx.Err()
	}); err != nil || len(gone) == 0 {
		return err
	}
	if s.o.Credible != nil {
		if ok, err := s.o.Credible(ctx); err != nil || !ok {
			return err
		}
	}
	s.files.Lock()
	defer s.files.Unlock()
	err := s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		gone = due(tx)
		for _, c := range gone {
			if err := Copies.Delete(tx, recordID(c.Owner, c.ID)); err != nil {
				return err
			}
			tx.Audit(copyEntry(protocol.ActErase, c.Owner, &c.CustodyReceipt, "sealed copy of an older chain removed"))
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("remove older chains: %w", err)
	}
	for _, c := range gone { // a crash before leaves files without a record: the owner's next offer removes them
		if rerr := os.Remove(filepath.Join(s.folder(c.Owner), c.Name)); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}
