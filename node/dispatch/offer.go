package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"proofmark/protocol"
	"proofmark/store"
)

// What OfferAll does in one transaction: a federation of two hundred members must not burst it.
const (
	offersAtOnce  = 512 // documents times members
	examineAtOnce = 256 // documents looked at
)

// offered are the types that are offered to whoever may have them, members that come later too.
var offered = []protocol.Type{protocol.TypeSignature, protocol.TypeOperation, protocol.TypeOperationAcceptance, protocol.TypeOperationEnd}

// offer queues a document for every active member that it is for, that policy permits and that has not been offered it under the policy in force.
func (d *Dispatch) offer(tx *store.Tx, rec *Record) error {
	for _, peer := range d.members(tx.Now()) {
		if !rec.Facts.isFor(peer) {
			continue
		}
		known, due, err := d.offerDue(tx, rec.ID, peer)
		if err != nil {
			return err
		}
		if !due {
			continue
		}
		if err := d.offerTo(tx, rec, peer, known); err != nil {
			return err
		}
	}
	return nil
}

// isFor tells whether a document that has no single addressee is for a country.
func (f *Facts) isFor(peer protocol.Country) bool {
	return len(f.Among) == 0 || slices.Contains(f.Among, peer)
}

// offerTo asks policy about one document and one country, and queues, holds or denies.
func (d *Dispatch) offerTo(tx *store.Tx, rec *Record, peer protocol.Country, known *Delivery) error {
	switch dec := d.mayShare(tx, rec, peer); {
	case dec.Allow:
		return d.queue(tx, rec, peer, dec, nil)
	case held(dec):
		return d.hold(tx, rec, peer, dec, known)
	default:
		return d.deny(tx, rec, peer, dec)
	}
}

// OfferAgain asks once more about an own publication that was kept back from some countries: what policy cannot know has changed, such as a permission
// that arrived. What is no own publication is left alone.
func (d *Dispatch) OfferAgain(tx *store.Tx, id string, to []protocol.Country) error {
	rec, err := Documents.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (rec.Status != Own || rec.Facts == nil || rec.Facts.To != "") {
		return nil
	}
	if err != nil {
		return err
	}
	for _, peer := range d.members(tx.Now()) {
		if !slices.Contains(to, peer) || !rec.Facts.isFor(peer) {
			continue
		}
		known, err := Deliveries.Get(tx, deliveryID(id, peer))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && known.State != Denied {
			continue
		}
		if err := d.offerTo(tx, rec, peer, known); err != nil {
			return err
		}
	}
	return nil
}

// offerDue reports whether a country is still to be offered a document: never before, or refused or held under another policy or while other operations
// ran. What is known of its delivery comes with it.
func (d *Dispatch) offerDue(tx *store.Tx, id string, peer protocol.Country) (*Delivery, bool, error) {
	known, err := Deliveries.Get(tx, deliveryID(id, peer))
	if errors.Is(err, store.ErrNotFound) {
		return nil, true, nil
	}
	if err != nil || known.State != Denied && known.State != Awaiting {
		return known, false, err
	}
	if known.Policy != d.Policy().Version() {
		return known, true, nil
	}
	running, err := d.operations(tx, peer)
	return known, err == nil && !slices.Equal(known.Operations, numbersOf(running)), err
}

// OfferAll offers every own publication to members that have not been offered it yet: after a new roster or a new policy. It works in
// small transactions, so that other acts go between them; what is offered already is only read. Broken off, it does the rest the next time.
func (d *Dispatch) OfferAll(ctx context.Context) error {
	for _, t := range offered {
		if err := d.offerType(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dispatch) offerType(ctx context.Context, t protocol.Type) error {
	for after, end := "", false; !end; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("offer publications: %w", err)
		}
		var due []string
		var err error
		if due, after, end, err = d.publicationsDue(t, after); err != nil {
			return fmt.Errorf("offer publications: %w", err)
		}
		if len(due) == 0 {
			continue
		}
		err = d.Store.Update(ctx, func(tx *store.Tx) error {
			for _, id := range due {
				rec, err := Documents.Get(tx, id)
				if errors.Is(err, store.ErrNotFound) {
					continue // erased meanwhile
				}
				if err != nil {
					return err
				}
				if rec.Status != Own {
					continue // withdrawn meanwhile
				}
				if err := d.offer(tx, rec); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("offer publications: %w", err)
		}
	}
	return nil
}

// publicationsDue looks at the own publications after an id and returns those that some member is still to be offered, as many as fit into one
// transaction; last is where to go on, end that there are no more.
func (d *Dispatch) publicationsDue(t protocol.Type, after string) (due []string, last string, end bool, err error) {
	last, end = after, true
	err = d.Store.View(func(tx *store.Tx) error {
		members := d.members(tx.Now())
		if len(members) == 0 {
			return nil
		}
		examined := 0
		for id, rec := range Documents.ByAfter(tx, "status-type", string(Own)+"/"+string(t), after) {
			if examined == examineAtOnce || len(due) > 0 && (len(due)+1)*len(members) > offersAtOnce {
				end = false
				return nil
			}
			examined++
			last = id
			if rec.Facts == nil || rec.Facts.To != "" {
				continue
			}
			for _, peer := range members {
				if !rec.Facts.isFor(peer) {
					continue
				}
				_, is, err := d.offerDue(tx, id, peer)
				if err != nil {
					return err
				}
				if is {
					due = append(due, id)
					break
				}
			}
		}
		return tx.Err()
	})
	return due, last, end, err
}
