package dispatch

import (
	"context"
	"encoding/json"
	"fmt"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// CurrentReceipt signs how far this node has received a channel.
func (d *Dispatch) CurrentReceipt(ctx context.Context, from protocol.Country, ch protocol.Channel) (string, error) {
	d.receipts.Lock()
	defer d.receipts.Unlock()
	r := protocol.Receipt{From: from, To: d.Country, Channel: ch, At: d.Now().UTC()}
	err := d.Store.View(func(tx *store.Tx) error {
		if err := d.mayExchange(tx, from); err != nil {
			return err
		}
		head, err := tx.InHead(string(from), string(ch))
		r.UpTo, r.Head = head.Seq, head.Head
		return err
	})
	if err != nil {
		return "", fmt.Errorf("receipt for %s: %w", from, err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("receipt for %s: %w", from, err)
	}
	return d.signer().Sign(crypto.TypeReceipt, b)
}

// acknowledgedAtOnce bounds how many messages one transaction marks as delivered.
const acknowledgedAtOnce = 512

// AcceptReceipt verifies a peer's receipt and marks what it acknowledges as delivered. A receipt that is older than the last one changes
// nothing; one that acknowledges what was never sent, or another content, is refused (store.ErrReceipt).
func (d *Dispatch) AcceptReceipt(ctx context.Context, peer protocol.Country, receipt string) error {
	if err := d.acceptReceipt(ctx, peer, receipt); err != nil {
		return d.refused(ctx, peer, "receipt", err)
	}
	return nil
}

func (d *Dispatch) acceptReceipt(ctx context.Context, peer protocol.Country, receipt string) error {
	keys, err := d.keysOf(peer, d.Now())
	if err != nil {
		return err
	}
	payload, kid, err := crypto.Verify(receipt, crypto.TypeReceipt, keys, 2*protocol.MaxReceipt)
	if err != nil {
		return fmt.Errorf("receipt of %s: %w: %w", peer, ErrForged, err)
	}
	if err := d.inUse(peer, kid, d.Now()); err != nil {
		return fmt.Errorf("receipt of %s: %w", peer, err)
	}
	r, err := protocol.DecodeReceipt(payload)
	if err != nil {
		return fmt.Errorf("receipt of %s: %w", peer, err)
	}
	if r.From != d.Country || r.To != peer {
		return fmt.Errorf("receipt of %s: %w: it is about the channel from %s to %s", peer, ErrForged, r.From, r.To)
	}
	d.witnessed(r.At)
	var acked uint64
	if err := d.Store.View(func(tx *store.Tx) error {
		if err := d.mayExchange(tx, peer); err != nil {
			return err
		}
		head, err := tx.OutHead(string(peer), string(r.Channel))
		acked = head.Acked
		return err
	}); err != nil {
		return err
	}
	for acked < r.UpTo {
		err := d.Store.Update(ctx, func(tx *store.Tx) error {
			var err error
			acked, err = d.acknowledge(tx, peer, r, receipt)
			return err
		})
		if err != nil {
			return fmt.Errorf("receipt of %s up to %d: %w", peer, r.UpTo, err)
		}
	}
	d.flows.settled(peer, r.Channel, acked)
	return nil
}

// acknowledge takes in a receipt, or as much of it as goes into one transaction, and returns how far it came. The chain of hashes makes a
// receipt for a message one for every message before it.
func (d *Dispatch) acknowledge(tx *store.Tx, peer protocol.Country, r *protocol.Receipt, receipt string) (upTo uint64, err error) {
	to, ch := string(peer), string(r.Channel)
	head, err := tx.OutHead(to, ch)
	if err != nil || head.Acked >= r.UpTo {
		return head.Acked, err
	}
	upTo, hash := r.UpTo, r.Head
	if upTo-head.Acked > acknowledgedAtOnce {
		if sent, err := tx.MessageHash(to, ch, upTo); err == nil && sent == hash { // otherwise Acknowledge says what is wrong
			upTo = head.Acked + acknowledgedAtOnce
			if hash, err = tx.MessageHash(to, ch, upTo); err != nil {
				return 0, err
			}
		}
	}
	arrived, err := carried(tx, peer, r.Channel, upTo, 0) // before what tells them is dropped
	if err != nil {
		return 0, err
	}
	if err := tx.Acknowledge(to, ch, upTo, hash, []byte(receipt)); err != nil {
		return 0, err
	}
	if err := noteCaughtUp(tx, peer, r.Channel, upTo); err != nil {
		return 0, err
	}
	var documents []string
	for _, dl := range arrived {
		dl.State, dl.Received = Delivered, tx.Now()
		if err := Deliveries.Put(tx, deliveryID(dl.Document, peer), dl); err != nil {
			return 0, err
		}
		documents = append(documents, dl.Document)
	}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: to, Decision: "permit", Ground: "receipt"},
		AuditBody: protocol.AuditBody{Actor: "node", Kind: "receipt", Event: "receipt", Channel: ch, MessageSeq: upTo,
			Documents: documents, Details: map[string]string{"head": hash, "receipt": receipt}},
	})
	return upTo, nil
}
