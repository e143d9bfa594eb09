package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Intent says that a document is to go to a peer; whether it still may, and in what form, is asked when the batch is formed.
type Intent struct {
	Number   uint64    `json:"-"` // place in the queue of its channel
	Document string    `json:"document"`
	Queued   time.Time `json:"queued"`
}

// ChannelHead is the state of one direction of a channel with a peer. Hashes are in hex; "" before the first message.
type ChannelHead struct {
	Seq       uint64 `json:"seq"`  // the last message sent (or received); 0 = none
	Head      string `json:"head"` // its hash
	Acked     uint64 `json:"acked,omitempty"`
	AckedHead string `json:"acked_head,omitempty"`
	Receipt   []byte `json:"receipt,omitempty"` // the last receipt that advanced Acked
}

// StoredMessage is a message that was fixed and not yet acknowledged.
type StoredMessage struct {
	Seq      uint64
	Hash     string
	Document string // that it carries
	Bytes    []byte // as they were given to FixMessage
}

// QueueLength tells how much waits for a peer on a channel.
type QueueLength struct {
	Peer, Channel  string
	Intents        int    // documents queued
	Unacknowledged uint64 // messages fixed and not acknowledged
}

// Enqueue queues a document for a peer. While it is queued, queueing it again on the same channel changes nothing; it keeps its place.
func (tx *Tx) Enqueue(peer, channel, document string) error {
	if err := checkName("document", document); err != nil {
		return err
	}
	var st outState
	if err := tx.readState(spaceOut, peer, channel, &st); err != nil {
		return err
	}
	at := peer + "\x00" + channel + "\x00"
	if queued, err := tx.has(spaceQueued + at + document); err != nil || queued {
		return onChannel(peer, channel, err)
	}
	in, err := json.Marshal(Intent{Document: document, Queued: tx.now})
	if err != nil {
		return onChannel(peer, channel, err)
	}
	place := number(st.Next)
	st.Next++
	st.Queued++
	return errors.Join(
		tx.put(spaceIntent+at+place, in),
		tx.put(spaceQueued+at+document, []byte(place)),
		tx.writeState(spaceOut, peer, channel, &st))
}

// Intents returns the oldest intents of a channel in order of arrival, at most limit (0 = all).
func (tx *Tx) Intents(peer, channel string, limit int) ([]Intent, error) {
	var st outState
	if err := tx.readState(spaceOut, peer, channel, &st); err != nil || st.Queued == 0 {
		return nil, err
	}
	prefix := spaceIntent + peer + "\x00" + channel + "\x00"
	after := ""
	if st.Oldest > 0 {
		after = prefix + number(st.Oldest-1)
	}
	var out []Intent
	for key, value := range tx.scan(prefix, after, true) {
		var in Intent
		err := json.Unmarshal(value, &in)
		if err == nil {
			in.Number, err = parseNumber(key[len(prefix):])
		}
		if err != nil {
			return nil, onChannel(peer, channel, fmt.Errorf("%w: intent: %w", ErrCorrupt, err))
		}
		if out = append(out, in); len(out) == limit {
			break
		}
	}
	return out, onChannel(peer, channel, tx.err)
}

// RemoveIntent takes an intent out of its queue: it became a message, or is not to be sent any more. One that is no longer there is
// ErrNotFound: whoever formed a batch from it must begin anew.
func (tx *Tx) RemoveIntent(peer, channel string, in Intent) error {
	var st outState
	if err := tx.readState(spaceOut, peer, channel, &st); err != nil {
		return err
	}
	at := peer + "\x00" + channel + "\x00"
	place, err := tx.get(spaceQueued + at + in.Document)
	if err == nil && string(place) != number(in.Number) {
		err = ErrNotFound
	}
	if err != nil {
		return onChannel(peer, channel, fmt.Errorf("intent %d for %s: %w", in.Number, in.Document, err))
	}
	st.Queued--
	switch {
	case st.Queued == 0:
		st.Oldest = st.Next
	case in.Number == st.Oldest:
		st.Oldest++
	}
	return errors.Join(
		tx.del(spaceIntent+at+string(place)),
		tx.del(spaceQueued+at+in.Document),
		tx.writeState(spaceOut, peer, channel, &st))
}

// Unqueue takes the intent of a document out of a channel's queue, wherever it stands in it, and reports whether there was one.
func (tx *Tx) Unqueue(peer, channel, document string) (bool, error) {
	if err := errors.Join(checkName("peer", peer), checkName("channel", channel), checkName("document", document)); err != nil {
		return false, err
	}
	place, err := tx.get(spaceQueued + peer + "\x00" + channel + "\x00" + document)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	var n uint64
	if err == nil {
		n, err = parseNumber(string(place))
	}
	if err != nil {
		return false, onChannel(peer, channel, err)
	}
	return true, tx.RemoveIntent(peer, channel, Intent{Number: n, Document: document})
}

// FixMessage makes the message that carries a document the next one of the channel and moves the channel's head to hash (hex). What is kept of it until it is
// acknowledged is the caller's to choose: its bytes, or what they can be made from again. The caller built the message with seq and prev from OutHead in the
// same act: read elsewhere, they may be out of date.
func (tx *Tx) FixMessage(peer, channel, document string, msg []byte, hash string) (seq uint64, err error) {
	var st outState
	if err := tx.readState(spaceOut, peer, channel, &st); err != nil {
		return 0, err
	}
	if hash == "" || len(hash) > 256 || len(msg) == 0 {
		return 0, onChannel(peer, channel, errors.New("a message needs bytes and a hash"))
	}
	st.Seq++
	st.Head = hash
	return st.Seq, errors.Join(
		tx.put(spaceMessage+peer+"\x00"+channel+"\x00"+number(st.Seq), encodeMessage(hash, document, msg)),
		tx.writeState(spaceOut, peer, channel, &st))
}

// A stored message is its hash and, as long as it is not acknowledged, the document that it carries and the caller's bytes: hash and document each after its
// length.
func encodeMessage(hash, document string, msg []byte) []byte {
	out := make([]byte, 0, 2*binary.MaxVarintLen32+len(hash)+len(document)+len(msg))
	out = append(binary.AppendUvarint(out, uint64(len(hash))), hash...)
	if len(msg) == 0 {
		return out
	}
	out = append(binary.AppendUvarint(out, uint64(len(document))), document...)
	return append(out, msg...)
}

// decodeMessage reads a stored message; of one that was acknowledged the hash alone is left.
func decodeMessage(seq uint64, stored []byte) (m StoredMessage, err error) {
	cut := func(b []byte) (text string, rest []byte) {
		size, b, ok := cutUvarint(b)
		if !ok || size > uint64(len(b)) {
			err = fmt.Errorf("%w: message %d is cut short", ErrCorrupt, seq)
			return "", nil
		}
		return string(b[:size]), b[size:]
	}
	m.Seq = seq
	if m.Hash, stored = cut(stored); len(stored) > 0 {
		m.Document, m.Bytes = cut(stored)
	}
	return m, err
}

func (tx *Tx) message(peer, channel string, seq uint64) (m StoredMessage, err error) {
	prefix, err := channelKey(spaceMessage, peer, channel)
	if err != nil {
		return m, err
	}
	stored, err := tx.get(prefix + "\x00" + number(seq))
	if err == nil {
		m, err = decodeMessage(seq, stored)
	}
	if err != nil {
		return m, onChannel(peer, channel, fmt.Errorf("message %d: %w", seq, err))
	}
	return m, nil
}

// waiting reads a message that is not acknowledged.
func (tx *Tx) waiting(peer, channel string, seq uint64) (StoredMessage, error) {
	m, err := tx.message(peer, channel, seq)
	if errors.Is(err, ErrNotFound) || err == nil && len(m.Bytes) == 0 {
		err = onChannel(peer, channel, fmt.Errorf("%w: message %d is missing", ErrCorrupt, seq))
	}
	return m, err
}

// Carried yields the numbers of the messages that are not acknowledged, from the oldest to upTo, each with the document that it carries.
func (tx *Tx) Carried(peer, channel string, upTo uint64) iter.Seq2[uint64, string] {
	return func(yield func(uint64, string) bool) {
		head, err := tx.OutHead(peer, channel)
		for seq := head.Acked + 1; err == nil && seq <= min(upTo, head.Seq); seq++ {
			var m StoredMessage
			if m, err = tx.waiting(peer, channel, seq); err == nil && !yield(seq, m.Document) {
				return
			}
		}
		if err != nil {
			tx.fail(err)
		}
	}
}

// OutHead is the state of the channel towards the peer.
func (tx *Tx) OutHead(peer, channel string) (ChannelHead, error) {
	var st outState
	err := tx.readState(spaceOut, peer, channel, &st)
	return st.ChannelHead, err
}

// MessageHash is the hash (hex) of an outgoing message, kept also after its bytes are gone; ErrNotFound if seq was never reached.
func (tx *Tx) MessageHash(peer, channel string, seq uint64) (string, error) {
	m, err := tx.message(peer, channel, seq)
	return m.Hash, err
}

// Messages returns the unacknowledged messages after seq `after`, in order, at most limit (0 = any number).
func (tx *Tx) Messages(peer, channel string, after uint64, limit int) ([]StoredMessage, error) {
	head, err := tx.OutHead(peer, channel)
	if err != nil {
		return nil, err
	}
	var out []StoredMessage
	for seq := max(after, head.Acked) + 1; seq <= head.Seq; seq++ {
		m, err := tx.waiting(peer, channel, seq)
		if err != nil {
			return nil, err
		}
		if out = append(out, m); len(out) == limit {
			break
		}
	}
	return out, nil
}

// Acknowledge takes in a peer's receipt for everything up to upTo, whose hash it names as head (hex). A receipt beyond what was sent,
// or with a head that is not the hash at upTo, is ErrReceipt. One that says nothing new changes nothing. What was kept of acknowledged
// messages is dropped, their hashes and the receipt are kept.
func (tx *Tx) Acknowledge(peer, channel string, upTo uint64, head string, receipt []byte) error {
	var st outState
	if err := tx.readState(spaceOut, peer, channel, &st); err != nil {
		return err
	}
	if upTo > st.Seq {
		return onChannel(peer, channel, fmt.Errorf("%w: up to %d, but only %d were sent", ErrReceipt, upTo, st.Seq))
	}
	sent := ""
	if upTo > 0 {
		var err error
		if sent, err = tx.MessageHash(peer, channel, upTo); err != nil {
			return err
		}
	}
	if head != sent {
		return onChannel(peer, channel, fmt.Errorf("%w: head %.64q, but message %d has hash %q", ErrReceipt, head, upTo, sent))
	}
	if upTo <= st.Acked {
		return nil
	}
	st.Acked, st.AckedHead, st.Receipt = upTo, head, receipt
	_, err := tx.dropMessages(peer, channel, &st, sweepBatch)
	return err
}

// dropMessages leaves nothing but their hashes of at most limit acknowledged messages; what is left over is for the next receipt or Sweep, so that
// one receipt for a huge backlog does not burst the transaction.
func (tx *Tx) dropMessages(peer, channel string, st *outState, limit int) (n int, err error) {
	for ; n < limit && st.Dropped < st.Acked; n++ {
		if err := tx.dropMessage(peer, channel, st.Dropped+1); err != nil {
			return n, err
		}
		st.Dropped++
	}
	return n, tx.writeState(spaceOut, peer, channel, st)
}

// dropMessage leaves nothing but its hash of a message.
func (tx *Tx) dropMessage(peer, channel string, seq uint64) error {
	hash, err := tx.MessageHash(peer, channel, seq)
	if err != nil {
		return err
	}
	return tx.keepHash(peer, channel, seq, hash)
}

func (tx *Tx) keepHash(peer, channel string, seq uint64, hash string) error {
	return onChannel(peer, channel, tx.put(spaceMessage+peer+"\x00"+channel+"\x00"+number(seq), encodeMessage(hash, "", nil)))
}

func (tx *Tx) sweepMessages() (n int, err error) {
	err = tx.eachOut(func(peer, channel string, st *outState) error {
		if n == sweepBatch || st.Dropped == st.Acked {
			return nil
		}
		dropped, err := tx.dropMessages(peer, channel, st, sweepBatch-n)
		n += dropped
		return err
	})
	return n, err
}

// InHead is the state of the channel from the peer: Seq and Head of the last message taken in.
func (tx *Tx) InHead(peer, channel string) (ChannelHead, error) {
	var head ChannelHead
	err := tx.readState(spaceIn, peer, channel, &head)
	return head, err
}

// AdvanceIn records that message seq with hash head (hex) was taken in. It must be the next one: anything else is ErrSequence.
func (tx *Tx) AdvanceIn(peer, channel string, seq uint64, head string) error {
	st, err := tx.InHead(peer, channel)
	if err != nil {
		return err
	}
	if seq != st.Seq+1 {
		return onChannel(peer, channel, fmt.Errorf("%w: got %d, want %d", ErrSequence, seq, st.Seq+1))
	}
	st.Seq, st.Head = seq, head
	return tx.writeState(spaceIn, peer, channel, &st)
}

// QueueLengths lists the outgoing channels that exist, with what waits on them; it costs one read per channel.
func (tx *Tx) QueueLengths() ([]QueueLength, error) {
	var out []QueueLength
	err := tx.eachOut(func(peer, channel string, st *outState) error {
		out = append(out, QueueLength{Peer: peer, Channel: channel, Intents: st.Queued, Unacknowledged: st.Seq - st.Acked})
		return nil
	})
	return out, err
}

func (tx *Tx) eachOut(f func(peer, channel string, st *outState) error) error {
	for key, value := range tx.scan(spaceOut, "", true) {
		peer, channel, _ := strings.Cut(key[len(spaceOut):], "\x00")
		var st outState
		if err := json.Unmarshal(value, &st); err != nil {
			return onChannel(peer, channel, fmt.Errorf("%w: %w", ErrCorrupt, err))
		}
		if err := f(peer, channel, &st); err != nil {
			return err
		}
	}
	return tx.err
}
