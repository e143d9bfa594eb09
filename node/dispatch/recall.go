package dispatch

import (
	"errors"
	"slices"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// Recall is a withdrawal of this country's own and how far each holder is with it.
type Recall struct {
	Document   string        `json:"document"`
	Type       protocol.Type `json:"type"`
	Withdrawal string        `json:"withdrawal"` // id of the withdrawal document
	Reason     string        `json:"reason"`
	Note       string        `json:"note,omitempty"`
	By         string        `json:"by"`
	At         time.Time     `json:"at"`
	Holders    []Holder      `json:"holders"` // empty where nobody was ever sent the document
	NeverSent  []string      `json:"never_sent,omitempty"`
}

// HolderState says how far a holder is with a withdrawal.
type HolderState string

// The states of a holder.
const (
	HolderUntold  HolderState = "not yet delivered"
	HolderTold    HolderState = "delivered" // and not yet confirmed
	HolderErased  HolderState = "confirmed erased"
	HolderHolds   HolderState = "held"     // a legal hold keeps it
	HolderWithout HolderState = "not held" // it never arrived, or was erased before
)

// Holder is one country that was sent a document which was then withdrawn.
type Holder struct {
	Peer   protocol.Country     `json:"peer"`
	State  HolderState          `json:"state"`
	Told   time.Time            `json:"told,omitzero"` // its receipt for the withdrawal
	At     time.Time            `json:"at,omitzero"`   // erased; of other states, confirmed
	Ground string               `json:"ground,omitempty"`
	Stays  []protocol.Remainder `json:"stays,omitempty"`
}

// Done says whether nothing is left to wait for.
func (h *Holder) Done() bool { return h.State == HolderErased || h.State == HolderWithout }

// holders tells how far each country is with a withdrawal, in the order of their codes.
func holders(tx *store.Tx, withdrawal string) []Holder {
	out := []Holder{}
	for _, dl := range DeliveriesOf(tx, withdrawal) {
		out = append(out, holderOf(dl))
	}
	return out // by country: an index yields its records in the order of their ids
}

func holderOf(dl *Delivery) Holder {
	h := Holder{Peer: dl.Peer, State: HolderUntold, Told: dl.Received}
	if dl.State == Delivered {
		h.State = HolderTold
	}
	c := dl.Confirmed
	if c == nil {
		return h
	}
	h.At, h.Stays = c.At, c.Stays
	switch c.Outcome {
	case protocol.OutcomeErased:
		h.State, h.At = HolderErased, c.Erased
	case protocol.OutcomeNotHeld:
		h.State = HolderWithout
	case protocol.OutcomeHeld:
		h.State = HolderHolds
		for _, r := range c.Stays {
			if r.Ground == protocol.GroundLegalHold {
				h.Ground = r.Note
			}
		}
	}
	return h
}

// recall describes the withdrawal of an own document.
func (d *Dispatch) recall(tx *store.Tx, rec *Record) (*Recall, error) {
	w := rec.Withdrawn
	out := &Recall{Document: rec.ID, Type: rec.Type, Withdrawal: w.Document, Reason: w.Reason, Note: w.Note, By: w.By, At: w.At, Holders: holders(tx, w.Document)}
	for _, dl := range DeliveriesOf(tx, rec.ID) {
		if dl.State == Dropped {
			out.NeverSent = append(out.NeverSent, string(dl.Peer))
		}
	}
	return out, tx.Err()
}

// RecallFilter chooses withdrawals.
type RecallFilter struct {
	Open  bool   `json:"open,omitempty"`  // only those that some holder has not settled
	After string `json:"after,omitempty"` // id of a withdrawal: the next page
	Limit int    `json:"limit,omitempty"`
}

// Recalls lists what this country withdrew, in the order of the withdrawals.
func (d *Dispatch) Recalls(tx *store.Tx, f RecallFilter) ([]*Recall, error) {
	if f.Limit <= 0 {
		f.Limit = usualPage
	}
	f.Limit = min(f.Limit, largePage)
	out := []*Recall{}
	for _, notice := range Documents.ByAfter(tx, "status-type", string(Own)+"/"+string(protocol.TypeWithdrawal), f.After) {
		if len(out) == f.Limit {
			break
		}
		rec, err := Documents.Get(tx, notice.Facts.Object)
		if errors.Is(err, store.ErrNotFound) { // purged since, every holder having confirmed
			continue
		}
		if err != nil {
			return nil, err
		}
		r, err := d.recall(tx, rec)
		if err != nil {
			return nil, err
		}
		if !f.Open || slices.ContainsFunc(r.Holders, func(h Holder) bool { return !h.Done() }) {
			out = append(out, r)
		}
	}
	return out, tx.Err()
}
