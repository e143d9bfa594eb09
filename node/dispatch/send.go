package dispatch

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"proofmark/crypto"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// batchRoom is how many bytes of messages a batch takes beside their frames' lengths.
const batchRoom = protocol.MaxBatch - protocol.MaxBatchCount*binary.MaxVarintLen32

// Batch is what travels: a signed manifest and the compressed messages it speaks of.
type Batch struct {
	Manifest    string // compact JWS
	Payload     []byte // zstd
	First, Last uint64
	Alone       bool // nothing waited behind it when it was read
}

// compressor works with a window of one batch, and fast: most of a message is a signature in base64, of which a better search finds no more. The options of
// both are constants, so that neither fails.
var compressor, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(protocol.MaxBatch))

// NextBatch returns the next batch that the peer has not acknowledged; nil if there is none. Only when everything before is acknowledged does it
// turn queued intents into messages, asking policy again: what waits behind a peer that does not answer stays an intent, which a change of policy
// still reaches. Calling it twice without a receipt between returns the same messages again.
func (d *Dispatch) NextBatch(ctx context.Context, peer protocol.Country, ch protocol.Channel) (*Batch, error) {
	return d.batch(ctx, peer, ch, nil)
}

// BatchAfter returns the batch behind the messages up to `after`, which are on their way: it travels while the peer works on those. Its caller asks for one
// ahead and no more, and nothing further back is fixed: behind a peer that does not answer, intents stay intents.
func (d *Dispatch) BatchAfter(ctx context.Context, peer protocol.Country, ch protocol.Channel, after uint64) (*Batch, error) {
	return d.batch(ctx, peer, ch, &after)
}

// batch packs what is fixed behind `ahead` (nil: behind what is acknowledged), and forms it first where nothing is.
func (d *Dispatch) batch(ctx context.Context, peer protocol.Country, ch protocol.Channel, ahead *uint64) (*Batch, error) {
	if !d.isMember(peer, d.Now()) {
		return nil, fmt.Errorf("batch for %s: %w", peer, ErrNotMember)
	}
	for {
		msgs, more, err := d.unacknowledged(peer, ch, ahead)
		if err != nil {
			return nil, fmt.Errorf("messages for %s (%s): %w", peer, ch, err)
		}
		if len(msgs) > 0 {
			b, err := d.pack(peer, ch, msgs)
			if err == nil {
				b.Alone = !more
			}
			return b, err
		}
		if !more {
			return nil, nil
		}
		if _, err := d.form(ctx, peer, ch, ahead); err != nil {
			return nil, fmt.Errorf("form messages for %s (%s): %w", peer, ch, err)
		}
	}
}

// unacknowledged reads one batch's worth of messages that are fixed, and whether more of them, or intents, wait behind.
func (d *Dispatch) unacknowledged(peer protocol.Country, ch protocol.Channel, ahead *uint64) (msgs []store.StoredMessage, more bool, err error) {
	after := uint64(0)
	if ahead != nil {
		after = *ahead
	}
	err = d.Store.View(func(tx *store.Tx) error {
		if err := d.mayExchange(tx, peer); err != nil {
			return err
		}
		if msgs, err = d.Fixed(tx, peer, ch, after); err != nil {
			return err
		}
		if n := len(msgs); n > 0 {
			head, err := tx.OutHead(string(peer), string(ch))
			if more = head.Seq > msgs[n-1].Seq; more || err != nil {
				return err
			}
		}
		intents, err := tx.Intents(string(peer), string(ch), 1)
		more = len(intents) > 0
		return err
	})
	return msgs, more, err
}

// Fixed returns the messages that are fixed and not acknowledged, behind the number `after`, as they go out: one batch's worth.
func (d *Dispatch) Fixed(tx *store.Tx, peer protocol.Country, ch protocol.Channel, after uint64) ([]store.StoredMessage, error) {
	msgs, err := tx.Messages(string(peer), string(ch), after, protocol.MaxBatchCount)
	if err != nil {
		return nil, err
	}
	room := batchRoom
	for i := range msgs {
		m := &msgs[i]
		if m.Bytes, err = d.whole(tx, peer, ch, m); err != nil {
			return nil, fmt.Errorf("message %d: %w", m.Seq, err)
		}
		if room -= len(m.Bytes); room < 0 && i > 0 { // a large one alone does not block its channel
			return msgs[:i], nil
		}
	}
	return msgs, nil
}

// whole returns a message's bytes, from memory or made from its document.
func (d *Dispatch) whole(tx *store.Tx, peer protocol.Country, ch protocol.Channel, m *store.StoredMessage) ([]byte, error) {
	if b := d.flows.message(peer, ch, m.Seq, m.Hash); b != nil {
		return b, nil
	}
	rec, err := Documents.Get(tx, m.Document)
	if err != nil {
		return nil, err
	}
	b, err := protocol.Whole(m.Bytes, rec.JWS)
	if err == nil && protocol.MessageHash(b) != m.Hash {
		err = errors.New("its document makes another one")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return b, nil
}

// pack signs and compresses messages.
func (d *Dispatch) pack(peer protocol.Country, ch protocol.Channel, msgs []store.StoredMessage) (*Batch, error) {
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
	signed, err := d.signer().Sign(crypto.TypeBatch, manifest)
	if err != nil {
		return nil, fmt.Errorf("batch for %s: %w", peer, err)
	}
	return &Batch{Manifest: signed, Payload: packed, First: msgs[0].Seq, Last: last.Seq}, nil
}

// form asks policy once more about queued intents and fixes terms, number and predecessor of those that may go, one batch's worth. What policy
// has come to refuse leaves the queue with an audit entry. Nothing is formed while messages behind `ahead` are not acknowledged, without it any at all. It
// reports whether there were intents to work on.
func (d *Dispatch) form(ctx context.Context, peer protocol.Country, ch protocol.Channel, ahead *uint64) (some bool, err error) {
	err = d.Store.Update(ctx, func(tx *store.Tx) error {
		some = false // an act may be run again
		if err := d.mayExchange(tx, peer); err != nil {
			return err
		}
		if !d.isMember(peer, tx.Now()) {
			return fmt.Errorf("%s: %w", peer, ErrNotMember)
		}
		head, err := tx.OutHead(string(peer), string(ch))
		if err != nil {
			return err
		}
		clear := head.Acked
		if ahead != nil {
			clear = max(clear, *ahead)
		}
		if head.Seq > clear {
			return nil // somebody else formed a batch meanwhile
		}
		intents, err := tx.Intents(string(peer), string(ch), protocol.MaxBatchCount)
		if err != nil {
			return err
		}
		some = len(intents) > 0
		room := batchRoom
		for _, in := range intents {
			rec, err := Documents.Get(tx, in.Document)
			switch {
			case errors.Is(err, store.ErrNotFound), err == nil && rec.Status == Recalled:
				err = d.forget(tx, in.Document, peer)
			case err == nil:
				err = d.fix(tx, rec, peer, ch, &room)
			}
			if errors.Is(err, errFull) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", in.Document, err)
			}
			if err := tx.RemoveIntent(string(peer), string(ch), in); err != nil {
				return err
			}
		}
		return nil
	})
	return some, err
}

// errFull: the message does not fit into this batch any more.
var errFull = errors.New("the batch is full")

// forget drops the delivery of a document that was erased while it waited.
func (d *Dispatch) forget(tx *store.Tx, document string, peer protocol.Country) error {
	id := deliveryID(document, peer)
	dl, err := Deliveries.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && dl.State != Queued {
		return nil
	}
	if err != nil {
		return err
	}
	return Deliveries.Delete(tx, id)
}

// fix asks policy about one document and makes it the next message of a channel, and takes its bytes from room.
func (d *Dispatch) fix(tx *store.Tx, rec *Record, peer protocol.Country, ch protocol.Channel, room *int) error {
	dl, err := Deliveries.Get(tx, deliveryID(rec.ID, peer))
	if err != nil {
		return err
	}
	dec, err := d.lift(tx, rec, dl, d.mayShare(tx, rec, peer))
	switch {
	case err != nil:
		return err
	case held(dec):
		return d.hold(tx, rec, peer, dec, dl)
	case !dec.Allow:
		return d.deny(tx, rec, peer, dec)
	}
	return d.number(tx, rec, dl, dec, func(size int) bool {
		if size > *room {
			return false
		}
		*room -= size
		return true
	})
}

// number fixes terms, number and predecessor of a message that a decision permits; errFull, with nothing changed, where fits does not take its bytes. A
// document that cannot be a message is kept back with the reason: it must not hold up what waits behind it.
func (d *Dispatch) number(tx *store.Tx, rec *Record, dl *Delivery, dec policy.Decision, fits func(size int) bool) error {
	peer, ch := dl.Peer, dl.Channel
	kept, missing, withheld, err := chosen(rec, dec)
	if err != nil {
		return err
	}
	already, err := d.markings(tx, rec)
	if err != nil {
		return err
	}
	t := terms(dec, already, d.Country, d.Country, tx.Now())
	t.Withheld = withheld
	head, err := tx.OutHead(string(peer), string(ch))
	if err != nil {
		return err
	}
	msg := protocol.Message{From: d.Country, To: peer, Channel: ch, Seq: head.Seq + 1, Prev: head.Head, Terms: t, Document: rec.JWS, Disclosures: kept}
	b, hash, err := msg.Encode()
	if errors.Is(err, protocol.ErrBadMessage) {
		return d.keepBack(tx, rec, peer, dec, "invalid", "cannot be sent: "+cut(err.Error()))
	}
	if err != nil {
		return err
	}
	if !fits(len(b)) {
		return errFull
	}
	bare, err := protocol.Bare(b, rec.JWS) // the document is kept once, not with each message again
	if err != nil {
		return err
	}
	seq, err := tx.FixMessage(string(peer), string(ch), rec.ID, bare, hash)
	if err != nil {
		return err
	}
	d.flows.fixed(peer, ch, seq, b, hash)
	e := d.entry(rec, peer, dec)
	e.Action, e.Ground, e.Event = protocol.ActDisclose, "policy", "sent"
	if duty(rec.Type) {
		e.Ground, e.PolicyVer = groundWithdrawal, ""
	}
	if dl.Wait != nil {
		for i, a := range dl.Wait.Approvals {
			e.Details[fmt.Sprintf("approved_%d", i+1)] = a.By
		}
	}
	e.Handling, e.Withheld, e.Channel, e.MessageSeq = protocol.ReadHandling(t.Handling, d.Country).Codes(), missing, string(ch), seq
	for _, what := range slices.Sorted(maps.Keys(dec.Sources)) {
		if owner, is := strings.CutPrefix(what, "onward:"); is {
			e.Details["permission_of_"+owner] = dec.Sources[what][0].ID
		}
	}
	e.Details["message"] = hash
	if !t.RetainUntil.IsZero() {
		e.Details["retain_until"] = t.RetainUntil.Format("2006-01-02")
	}
	if len(t.Operations) > 0 {
		e.Details["operations"] = strings.Join(t.Operations, " ")
	}
	tx.Audit(e)
	dl.State, dl.Seq, dl.Sent, dl.Withheld, dl.Terms, dl.Policy = Sent, seq, tx.Now(), missing, t, d.Policy().Version()
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
func (d *Dispatch) Waiting(peer protocol.Country, ch protocol.Channel) (int, error) {
	queues, err := d.Queues()
	for _, q := range queues {
		if q.Peer == peer && q.Channel == ch {
			return q.Waits(), err
		}
	}
	return 0, err
}
