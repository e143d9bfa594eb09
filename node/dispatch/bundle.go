package dispatch

import (
	"context"
	"errors"
	"fmt"
	"math"

	"proofmark/protocol"
	"proofmark/store"
)

// usualBundleRoom is what a bundle takes of batches: its frames, receipts and one more batch must still fit.
const usualBundleRoom = protocol.MaxBundle - protocol.MaxBatch - 64<<10

// Bundled says what a bundle holds.
type Bundled struct {
	Batches  int  `json:"batches"`
	Messages int  `json:"messages"`
	More     bool `json:"more"` // something still waits: it goes into a bundle made after the peer's receipt, or over the wire

	Handling protocol.Handling `json:"handling,omitempty"` // of everything in it, united
	protocol.Said
}

// Marks implements protocol.Marked.
func (b *Bundled) Marks() (protocol.Handling, []string) { return b.Handling, nil }

// Bundle collects what a peer has not acknowledged on both channels, the urgent one first, and the receipts for what it sent: what the wire would carry,
// for a medium. Intents become messages, policy is asked again. Bundles overlap until a receipt comes back, so that any of them may be lost, and they
// may be read in any order.
func (d *Dispatch) Bundle(ctx context.Context, peer protocol.Country) (*protocol.Bundle, Bundled, error) {
	var what Bundled
	if !d.isMember(peer, d.Now()) {
		return nil, what, fmt.Errorf("bundle for %s: %w", peer, ErrNotMember)
	}
	b := &protocol.Bundle{From: d.Country, To: peer, Made: d.Now().UTC()}
	room := d.bundleRoom
	for _, ch := range protocol.Channels {
		receipt, err := d.CurrentReceipt(ctx, peer, ch)
		if err != nil {
			return nil, what, err
		}
		b.Receipts = append(b.Receipts, receipt)
		if err := d.bundleChannel(ctx, b, ch, &room, &what); err != nil {
			return nil, what, fmt.Errorf("bundle for %s (%s): %w", peer, ch, err)
		}
	}
	what.Batches = len(b.Batches)
	return b, what, nil
}

func (d *Dispatch) bundleChannel(ctx context.Context, b *protocol.Bundle, ch protocol.Channel, room *int, what *Bundled) error {
	after := uint64(0)
	for {
		var msgs []store.StoredMessage
		if err := d.Store.View(func(tx *store.Tx) (err error) {
			msgs, err = d.Fixed(tx, b.To, ch, after)
			return err
		}); err != nil {
			return err
		}
		if len(msgs) == 0 {
			all := uint64(math.MaxUint64)
			some, err := d.form(ctx, b.To, ch, &all)
			if err != nil || !some {
				return err
			}
			continue
		}
		if *room < 0 || len(b.Batches) == protocol.MaxBundleBatches {
			what.More = true
			return nil
		}
		batch, err := d.pack(b.To, ch, msgs)
		if err != nil {
			return err
		}
		b.Batches = append(b.Batches, protocol.SealedBatch{Manifest: batch.Manifest, Payload: batch.Payload})
		*room -= len(batch.Manifest) + len(batch.Payload)
		what.Messages += len(msgs)
		for _, m := range msgs {
			carried, err := protocol.DecodeMessage(m.Bytes)
			if err != nil {
				return err
			}
			what.Handling = protocol.UnionHandling(what.Handling, protocol.ReadHandling(carried.Terms.Handling, d.Country))
		}
		after = batch.Last
	}
}

// Unbundled says what a bundle brought.
type Unbundled struct {
	From     protocol.Country `json:"from"`
	Applied  int              `json:"applied"`  // batches
	New      uint64           `json:"new"`      // messages that this node did not have
	Receipts int              `json:"receipts"` // taken in
	Faults   []string         `json:"faults,omitempty"`
}

// AcceptBundle takes in a bundle as if its receipts and batches had come over the wire: the same checks, the same effect, each message once whatever
// arrives twice or late. A fault of one channel or receipt is told and does not keep the rest out; ErrForged, if nothing could be used.
func (d *Dispatch) AcceptBundle(ctx context.Context, b *protocol.Bundle) (*Unbundled, error) {
	if b.To != d.Country {
		return nil, fmt.Errorf("bundle from %s: %w: it is for %s", b.From, ErrForged, b.To)
	}
	if !d.isMember(b.From, d.Now()) {
		return nil, fmt.Errorf("bundle from %s: %w", b.From, ErrNotMember)
	}
	out := &Unbundled{From: b.From}
	before, err := d.received(b.From)
	if err != nil {
		return nil, err
	}
	var forged error
	fault := func(what string, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		out.Faults = append(out.Faults, fmt.Sprintf("%s: %s", what, cut(err.Error())))
		if errors.Is(err, ErrForged) {
			forged = err
		}
		return nil
	}
	for i, r := range b.Receipts {
		if err := d.AcceptReceipt(ctx, b.From, r); err == nil {
			out.Receipts++
		} else if err := fault(fmt.Sprintf("receipt %d", i+1), err); err != nil {
			return nil, err
		}
	}
	for i, s := range b.Batches {
		if _, err := d.AcceptBatch(ctx, b.From, s.Manifest, s.Payload); err == nil {
			out.Applied++
		} else if err := fault(fmt.Sprintf("batch %d", i+1), err); err != nil {
			return nil, err
		}
	}
	after, err := d.received(b.From)
	if err != nil {
		return nil, err
	}
	out.New = after - before
	if out.Applied+out.Receipts == 0 && forged != nil {
		return nil, fmt.Errorf("bundle from %s: %w", b.From, forged)
	}
	return out, nil
}

// received counts the messages received from a peer on both channels.
func (d *Dispatch) received(from protocol.Country) (n uint64, err error) {
	err = d.Store.View(func(tx *store.Tx) error {
		n = 0
		for _, ch := range protocol.Channels {
			head, err := tx.InHead(string(from), string(ch))
			if err != nil {
				return err
			}
			n += head.Seq
		}
		return nil
	})
	return n, err
}
