package dispatch

import (
	"errors"
	"fmt"
	"strings"

	"proofmark/protocol"
	"proofmark/store"
)

// Outstanding says in words what is still on its way of an own document or of its withdrawal, each beginning with the country; empty where every holder
// has confirmed that it erased it, and nothing more leaves.
func (d *Dispatch) Outstanding(tx *store.Tx, id string) ([]string, error) {
	rec, err := Documents.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, dl := range DeliveriesOf(tx, id) {
		if dl.State == Queued || dl.State == Sent || dl.State == Awaiting {
			out = append(out, fmt.Sprintf("%s: %s %s is %s, without a receipt", dl.Peer, rec.Type, id, dl.State))
		}
	}
	if rec.Status == Recalled {
		for _, h := range holders(tx, rec.Withdrawn.Document) {
			if !h.Done() {
				out = append(out, strings.TrimSpace(fmt.Sprintf("%s: withdrawal of %s %s: %s %s", h.Peer, rec.Type, id, h.State, h.Ground)))
			}
		}
	}
	return out, tx.Err()
}

// EraseOwn erases an own document whose record is purged, of which nothing is Outstanding: the document, its deliveries, and what its withdrawal says of the
// case. The withdrawal itself stays, as proof that it was taken back and confirmed.
func (d *Dispatch) EraseOwn(tx *store.Tx, id string) error {
	rec, err := Documents.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if rec.Status != Own && rec.Status != Recalled {
		return fmt.Errorf("document %s is not this country's own", id)
	}
	if rec.Withdrawn != nil {
		notice, err := Documents.Get(tx, rec.Withdrawn.Document)
		if err != nil {
			return err
		}
		notice.Facts.Case = ""
		if err := Documents.Put(tx, notice.ID, notice); err != nil {
			return err
		}
	}
	var peers []protocol.Country
	for _, dl := range DeliveriesOf(tx, id) {
		if dl.State == Sent { // its message is made from the document until it is acknowledged
			return fmt.Errorf("document %s is on its way to %s", id, dl.Peer)
		}
		peers = append(peers, dl.Peer)
	}
	if err := tx.Err(); err != nil {
		return err
	}
	for _, peer := range peers {
		if err := Deliveries.Delete(tx, deliveryID(id, peer)); err != nil {
			return err
		}
	}
	return Documents.Delete(tx, id)
}

// NoteErased has the files of the database rewritten within the hour, as after every erasure.
func (d *Dispatch) NoteErased() { d.erased.Add(1) }

// OwnDocuments calls each with every own document of some types, withdrawn ones among them.
func (d *Dispatch) OwnDocuments(tx *store.Tx, types []protocol.Type, each func(id string, f *Facts)) error {
	for _, t := range types {
		for _, status := range []Status{Own, Recalled} {
			for id, rec := range Documents.By(tx, "status-type", string(status)+"/"+string(t)) {
				if rec.Facts != nil {
					each(id, rec.Facts)
				}
			}
		}
	}
	return tx.Err()
}

// EraseCopy erases the copy of another country's document with the own record that it belonged to; what is not there, own, or under a legal hold is left
// alone.
func (d *Dispatch) EraseCopy(tx *store.Tx, id, why string) error {
	rec, err := Documents.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (rec.Status == Own || rec.Status == Recalled || rec.Hold != nil) {
		return nil
	}
	if err != nil {
		return err
	}
	e := erasure(rec, nil)
	e.Ground, e.Event = "retention", "erased: "+why
	tx.Audit(e)
	tx.OnCommit(func() { d.erased.Add(1) })
	return Documents.Delete(tx, id)
}
