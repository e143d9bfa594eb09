package dispatch

import (
	"errors"
	"fmt"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// Queue is how far one channel to a member is.
type Queue struct {
	Peer           protocol.Country
	Channel        protocol.Channel
	Intents        int       // documents that wait to become messages
	Unacknowledged uint64    // messages without a receipt
	Acknowledged   uint64    // messages with one, ever
	Oldest         time.Time // when the oldest of what is not delivered was queued; zero: nothing waits
	CaughtUp       bool      // everything was delivered at least once: the member's initial synchronisation is over
}

// Waits is how many documents and messages the member has not acknowledged.
func (q Queue) Waits() int { return q.Intents + int(q.Unacknowledged) }

// caughtUp is kept of a channel when everything on it was delivered for the first time.
type caughtUp struct {
	At       time.Time `json:"at"`
	Messages uint64    `json:"messages"` // delivered by then
}

var caughtUps = store.NewCollection[caughtUp]("caught-up")

func channelID(peer protocol.Country, ch protocol.Channel) string {
	return string(peer) + "/" + string(ch)
}

// noteCaughtUp keeps the moment at which a channel has nothing left to deliver for the first time; upTo was just acknowledged.
func noteCaughtUp(tx *store.Tx, peer protocol.Country, ch protocol.Channel, upTo uint64) error {
	head, err := tx.OutHead(string(peer), string(ch))
	if err != nil || head.Acked < head.Seq {
		return err
	}
	if intents, err := tx.Intents(string(peer), string(ch), 1); err != nil || len(intents) > 0 {
		return err
	}
	id := channelID(peer, ch)
	if known, err := caughtUps.Has(tx, id); err != nil || known {
		return err
	}
	return caughtUps.Put(tx, id, &caughtUp{At: tx.Now(), Messages: upTo})
}

// Queues tells how far every outgoing channel is. It costs a few reads for each, however long the queues are.
func (d *Dispatch) Queues() (out []Queue, err error) {
	err = d.Store.View(func(tx *store.Tx) error {
		lengths, err := tx.QueueLengths()
		if err != nil {
			return err
		}
		for _, l := range lengths {
			q, err := queueOf(tx, l)
			if err != nil {
				return fmt.Errorf("queue of %s (%s): %w", l.Peer, l.Channel, err)
			}
			out = append(out, q)
		}
		return nil
	})
	return out, err
}

func queueOf(tx *store.Tx, l store.QueueLength) (Queue, error) {
	q := Queue{Peer: protocol.Country(l.Peer), Channel: protocol.Channel(l.Channel), Intents: l.Intents, Unacknowledged: l.Unacknowledged}
	head, err := tx.OutHead(l.Peer, l.Channel)
	if err != nil {
		return q, err
	}
	q.Acknowledged = head.Acked
	if q.CaughtUp, err = caughtUps.Has(tx, channelID(q.Peer, q.Channel)); err != nil {
		return q, err
	}
	if q.Unacknowledged > 0 {
		oldest, err := carried(tx, q.Peer, q.Channel, head.Seq, 1)
		if err != nil {
			return q, err
		}
		if len(oldest) > 0 {
			q.Oldest = oldest[0].Queued
		}
	}
	if q.Intents > 0 { // a document that policy released again may have been queued before what was sent
		intents, err := tx.Intents(l.Peer, l.Channel, 1)
		if err != nil {
			return q, err
		}
		if len(intents) > 0 && (q.Oldest.IsZero() || intents[0].Queued.Before(q.Oldest)) {
			q.Oldest = intents[0].Queued
		}
	}
	return q, nil
}

// carried reads the deliveries of the messages that a channel's peer has not acknowledged, up to a number, the oldest first, at most limit (0 = all).
func carried(tx *store.Tx, peer protocol.Country, ch protocol.Channel, upTo uint64, limit int) (out []*Delivery, err error) {
	for seq, document := range tx.Carried(string(peer), string(ch), upTo) {
		dl, err := Deliveries.Get(tx, deliveryID(document, peer))
		switch {
		case errors.Is(err, store.ErrNotFound) || err == nil && (dl.State != Sent || dl.Seq != seq):
			continue // sent once more since
		case err != nil:
			return nil, err
		}
		if out = append(out, dl); len(out) == limit {
			break
		}
	}
	return out, tx.Err()
}
