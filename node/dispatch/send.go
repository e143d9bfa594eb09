package dispatch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// formAtOnce bounds how many intents become messages in one transaction, so that a long backlog never holds the store's writer for long.
const formAtOnce = 64

// Batch is what travels: a signed manifest and the compressed messages it speaks of.
type Batch struct {
	Manifest    string // compact JWS
	Payload     []byte // zstd
	First, Last uint64
}

var compressor, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)) // fails only on bad options

// NextBatch turns queued intents into messages, asking policy again, and returns the next batch that the peer has not acknowledged; nil
// if there is none. Calling it twice without a receipt between returns the same messages again.
func (d *Dispatch) NextBatch(ctx context.Context, peer protocol.Country, ch protocol.Channel) (*Batch, error) {
	if err := d.form(ctx, peer, ch); err != nil {
		return nil, fmt.Errorf("form messages for %s (%s): %w", peer, ch, err)
	}
	var msgs []store.StoredMessage
	err := d.Store.View(func(tx *store.Tx) error {
		head, err := tx.OutHead(string(peer), string(ch))
		if err != nil {
			return err
		}
		msgs, err = tx.Messages(string(peer), string(ch), head.Acked, protocol.MaxBatchCount, protocol.MaxBatch-protocol.MaxMessage/4)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("messages for %s (%s): %w", peer, ch, err)
	}
	if len(msgs) == 0 {
		return nil, nil
	}
	raw := make([][]byte, len(msgs))
	for i, m := range msgs {
		raw[i] = m.Bytes
	}
	joined := protocol.JoinMessages(raw)
	packed := compressor.EncodeAll(joined, nil)
	sum := sha256.Sum256(packed)
	last := msgs[len(msgs)-1]
	manifest, err := json.Marshal(protocol.Manifest{From: d.Country, To: peer, Channel: ch, First: msgs[0].Seq, Count: len(msgs), Head: last.Hash,
		Size: len(joined), SHA256: hex.EncodeToString(sum[:]), Sent: d.Now().UTC()})
	if err != nil {
		return nil, fmt.Errorf("batch for %s: %w", peer, err)
	}
	signed, err := d.Signer.Sign(crypto.TypeBatch, manifest)
	if err != nil {
		return nil, fmt.Errorf("batch for %s: %w", peer, err)
	}
	return &Batch{Manifest: signed, Payload: packed, First: msgs[0].Seq, Last: last.Seq}, nil
}

// form asks policy once more about each queued intent and fixes terms, number and predecessor of those that may go. What policy has come to
// refuse leaves the queue with an audit entry.
func (d *Dispatch) form(ctx context.Context, peer protocol.Country, ch protocol.Channel) error {
	waiting, err := d.Pending(peer, ch)
	if err != nil || !waiting {
		return err
	}
	return d.Store.Update(ctx, func(tx *store.Tx) error {
		if !slices.Contains(d.members(tx.Now()), peer) {
			return fmt.Errorf("%s: %w", peer, ErrNotMember)
		}
		intents, err := tx.Intents(string(peer), string(ch), formAtOnce)
		if err != nil {
			return err
		}
		for _, in := range intents {
			rec, err := Documents.Get(tx, in.Document)
			switch {
			case errors.Is(err, store.ErrNotFound): // erased while it waited
			case err != nil:
				return err
			default:
				if err := d.fix(tx, rec, peer, ch); err != nil {
					return fmt.Errorf("%s %s: %w", rec.Type, rec.ID, err)
				}
			}
			if err := tx.RemoveIntent(string(peer), string(ch), in); err != nil {
				return err
			}
		}
		return nil
	})
}

// fix makes one document the next message of a channel.
func (d *Dispatch) fix(tx *store.Tx, rec *Record, peer protocol.Country, ch protocol.Channel) error {
	dec := d.mayShare(tx, rec, peer)
	if !dec.Allow {
		return d.deny(tx, rec, peer, dec)
	}
	kept, withheld, err := protocol.Choose(rec.Disclosures, dec.Obligations.Redact)
	if err != nil {
		return err
	}
	already, _ := native(rec.Facts.Attributes["handling"]).([]string)
	t := terms(dec, already, tx.Now())
	head, err := tx.OutHead(string(peer), string(ch))
	if err != nil {
		return err
	}
	msg := protocol.Message{From: d.Country, To: peer, Channel: ch, Seq: head.Seq + 1, Prev: head.Head, Terms: t, Document: rec.JWS, Disclosures: kept}
	b, hash, err := msg.Encode()
	if err != nil {
		return err
	}
	seq, err := tx.FixMessage(string(peer), string(ch), b, hash)
	if err != nil {
		return err
	}
	e := d.entry(rec, peer, dec)
	e.Action, e.Ground, e.Event = protocol.ActDisclose, "policy", "sent"
	e.Handling, e.Withheld, e.Channel, e.MessageSeq = t.Handling, withheld, string(ch), seq
	e.Details["message"] = hash
	if !t.RetainUntil.IsZero() {
		e.Details["retain_until"] = t.RetainUntil.Format("2006-01-02")
	}
	tx.Audit(e)
	dl, err := Deliveries.Get(tx, deliveryID(rec.ID, peer))
	if err != nil {
		return err
	}
	dl.State, dl.Seq, dl.Sent, dl.Withheld, dl.Terms, dl.Policy = Sent, seq, tx.Now(), withheld, t, d.Policy().Version()
	return Deliveries.Put(tx, deliveryID(rec.ID, peer), dl)
}

// Pending reports whether intents wait for a peer on a channel.
func (d *Dispatch) Pending(peer protocol.Country, ch protocol.Channel) (bool, error) {
	var n int
	err := d.Store.View(func(tx *store.Tx) error {
		in, err := tx.Intents(string(peer), string(ch), 1)
		n = len(in)
		return err
	})
	return n > 0, err
}

// Waiting counts what a peer has not acknowledged on a channel: intents and messages.
func (d *Dispatch) Waiting(peer protocol.Country, ch protocol.Channel) (n int, err error) {
	err = d.Store.View(func(tx *store.Tx) error {
		queues, err := tx.QueueLengths()
		for _, q := range queues {
			if q.Peer == string(peer) && q.Channel == string(ch) {
				n = int(q.Intents) + int(q.Unacknowledged)
			}
		}
		return err
	})
	return n, err
}

// AcceptReceipt verifies a peer's receipt and marks what it acknowledges as delivered. A receipt that is older than the last one changes
// nothing; one that acknowledges what was never sent, or another content, is refused.
func (d *Dispatch) AcceptReceipt(ctx context.Context, peer protocol.Country, receipt string) error {
	keys, err := d.keysOf(peer, d.Now())
	if err != nil {
		return err
	}
	payload, _, err := crypto.Verify(receipt, crypto.TypeReceipt, keys, 2*protocol.MaxReceipt)
	if err != nil {
		return fmt.Errorf("receipt of %s: %w: %w", peer, ErrForged, err)
	}
	r, err := protocol.DecodeReceipt(payload)
	if err != nil {
		return fmt.Errorf("receipt of %s: %w", peer, err)
	}
	if r.From != d.Country || r.To != peer {
		return fmt.Errorf("receipt of %s: %w: it is about the channel from %s to %s", peer, ErrForged, r.From, r.To)
	}
	if r.UpTo == 0 {
		return nil
	}
	var stale bool
	if err := d.Store.View(func(tx *store.Tx) error {
		head, err := tx.OutHead(string(peer), string(r.Channel))
		stale = head.Acked >= r.UpTo
		return err
	}); err != nil {
		return err
	}
	if stale {
		return nil
	}
	return d.Store.Update(ctx, func(tx *store.Tx) error {
		head, err := tx.OutHead(string(peer), string(r.Channel))
		if err != nil || head.Acked >= r.UpTo {
			return err
		}
		if err := tx.Acknowledge(string(peer), string(r.Channel), r.UpTo, r.Head, []byte(receipt)); err != nil {
			return fmt.Errorf("receipt of %s up to %d: %w", peer, r.UpTo, err)
		}
		var done []*Delivery
		for seq := head.Acked + 1; seq <= r.UpTo; seq++ {
			for _, dl := range Deliveries.By(tx, "awaiting", awaitingKey(peer, r.Channel, seq)) {
				done = append(done, dl)
			}
		}
		if err := tx.Err(); err != nil {
			return err
		}
		documents := make([]string, 0, len(done))
		for _, dl := range done {
			dl.State, dl.Received = Delivered, tx.Now()
			if err := Deliveries.Put(tx, deliveryID(dl.Document, peer), dl); err != nil {
				return err
			}
			documents = append(documents, dl.Document)
		}
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: string(peer), Decision: "permit", Ground: "receipt"},
			AuditBody: protocol.AuditBody{Actor: "node", Kind: "receipt", Event: "receipt", Channel: string(r.Channel), MessageSeq: r.UpTo,
				Documents: documents, Details: map[string]string{"head": r.Head}},
		})
		return nil
	})
}
