package operations

import (
	"context"
	"errors"
	"fmt"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// endedAtOnce bounds the documents that one transaction ends.
const endedAtOnce = 256

// Tick does what time and the words of others bring: an operation that begins is made known, of one that is over here the copies are ended. The node calls
// it every minute, at its start, and after every change; it may be broken off anywhere.
func (s *Service) Tick(ctx context.Context) error {
	var due []string
	var now string
	err := s.desk.Store.View(func(tx *store.Tx) error {
		var list []*Operation
		for id, o := range operations.By(tx, unsettled, "") {
			list = append(list, o)
			if s.owes(tx, o) {
				due = append(due, id)
			}
		}
		now = pairs(list, tx.Now(), s.desk.Country)
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("operations: %w", err)
	}
	for _, id := range due {
		for all := false; !all; {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := s.desk.Store.Update(ctx, func(tx *store.Tx) (err error) {
				all, err = s.settle(tx, id)
				return err
			})
			if err != nil {
				return fmt.Errorf("end what was shared for operation %s: %w", id, err)
			}
		}
	}
	if now != s.last {
		s.last = now
		s.changed()
	}
	if len(due) > 0 {
		return s.out.Expire(ctx)
	}
	return nil
}

// owes tells whether copies are to be ended: the operation is over here, or one of its members has left.
func (s *Service) owes(tx *store.Tx, o *Operation) bool {
	if o.over(tx.Now(), s.desk.Country) {
		return true
	}
	for _, p := range o.Parts {
		if p.Left != nil && !p.Settled {
			return true
		}
	}
	return false
}

// settle ends copies of what was shared for an operation, some at a time; all says that none is left.
func (s *Service) settle(tx *store.Tx, id string) (all bool, err error) {
	o, err := operations.Get(tx, id)
	if err != nil || o.Settled {
		return true, err
	}
	lasts := func(number string, issuer protocol.Country) (bool, error) {
		other, err := Find(tx, number)
		if errors.Is(err, desk.ErrNotFound) {
			return true, nil // its end is on the copy, whatever it is
		}
		return err == nil && other.lasts(tx.Now(), s.desk.Country, issuer), err
	}
	if all, err = s.out.EndShared(tx, o.Number, lasts, endedAtOnce); err != nil || !all {
		return all, err
	}
	for _, p := range o.Parts {
		p.Settled = p.Left != nil
	}
	if o.over(tx.Now(), s.desk.Country) {
		o.Settled, o.Pending = true, nil
		if o.Ended == nil && o.Phase(tx.Now(), s.desk.Country) == PhaseEnded {
			s.record(tx, o, protocol.ActAlter, desk.Node.Name, "operation ended: its time is over", nil, o.ID)
		}
	}
	return true, s.alter(tx, o)
}
