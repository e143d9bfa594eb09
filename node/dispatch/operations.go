package dispatch

import (
	"fmt"
	"slices"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Principal is a country as policy is told of it: with the operations that run now with it and this country in them.
func (d *Dispatch) Principal(tx *store.Tx, country protocol.Country) (policy.Principal, error) {
	running, err := d.operations(tx, country)
	return policy.Principal{Country: string(country), Operations: running}, err
}

func (d *Dispatch) operations(tx *store.Tx, with protocol.Country) ([]policy.Operation, error) {
	if d.Operations == nil {
		return nil, nil
	}
	running, err := d.Operations(tx, with)
	if err != nil {
		return nil, fmt.Errorf("operations with %s: %w", with, err)
	}
	return running, nil
}

// numbersOf lists the numbers of operations, sorted.
func numbersOf(ops []policy.Operation) []string {
	var out []string
	for _, o := range ops {
		out = append(out, o.Number)
	}
	slices.Sort(out)
	return out
}

// EndShared ends the copies of foreign documents that were shared for an operation, where no operation lasts any more for which they were shared: their
// retention ends now, and Expire erases them. It takes on at most limit of them and reports whether it saw all.
func (d *Dispatch) EndShared(tx *store.Tx, operation string, lasts func(operation string, with protocol.Country) (bool, error), limit int) (all bool, err error) {
	var due []*Record
	for _, rec := range Documents.By(tx, operationsIndex, operation) {
		if !rec.Terms.RetainUntil.IsZero() && !rec.Terms.RetainUntil.After(tx.Now()) {
			continue // ended, and perhaps under a legal hold
		}
		if len(due) == limit {
			return false, d.endNow(tx, operation, due)
		}
		any := false
		for _, o := range rec.Terms.Operations {
			still, err := lasts(o, rec.Issuer)
			if err != nil {
				return false, err
			}
			any = any || still
		}
		if !any {
			due = append(due, rec)
		}
	}
	if err := tx.Err(); err != nil {
		return false, err
	}
	return true, d.endNow(tx, operation, due)
}

func (d *Dispatch) endNow(tx *store.Tx, operation string, due []*Record) error {
	for _, rec := range due {
		rec.Terms.RetainUntil = tx.Now().UTC()
		if err := Documents.Put(tx, rec.ID, rec); err != nil {
			return fmt.Errorf("end document %s with operation %s: %w", rec.ID, operation, err)
		}
	}
	return nil
}

// Tag changes the operations that an own document is tagged with. Where it was denied so far, policy is asked again at once; what was sent is not taken
// back, a withdrawal does that.
func (d *Dispatch) Tag(tx *store.Tx, id string, operations []string) error {
	rec, err := Documents.Get(tx, id)
	if err != nil || rec.Status != Own || rec.Facts == nil {
		return err
	}
	if rec.Facts.Attributes == nil {
		rec.Facts.Attributes = map[string]any{}
	}
	rec.Facts.Attributes["operations"] = slices.Clone(operations)
	if err := Documents.Put(tx, id, rec); err != nil {
		return err
	}
	var denied []protocol.Country
	for _, dl := range DeliveriesOf(tx, id) {
		if dl.State == Denied {
			denied = append(denied, dl.Peer)
		}
	}
	if err := tx.Err(); err != nil {
		return err
	}
	for _, peer := range denied {
		if err := Deliveries.Delete(tx, deliveryID(id, peer)); err != nil {
			return err
		}
	}
	return d.offer(tx, rec)
}
