package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
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
	Seq   uint64
	Hash  string
	Bytes []byte
}

// QueueLength tells how much waits for a peer on a channel.
type QueueLength struct {
	Peer, Channel  string
	Intents        int    // documents queued
	Unacknowledged uint64 // messages fixed and not acknowledged
}

// outState is what is stored for an outgoing channel.
type outState struct {
	ChannelHead
	Next    uint64 `json:"next"`    // number of the next intent
	Oldest  uint64 `json:"oldest"`  // no intent has a smaller number: what was taken out need not be gone over again
	Queued  int    `json:"queued"`  // intents in the queue
	Dropped uint64 `json:"dropped"` // message bytes up to here are gone
}

func channelKey(space, peer, channel string) (string, error) {
	if err := errors.Join(checkName("peer", peer), checkName("channel", channel)); err != nil {
		return "", err
	}
	return space + peer + "\x00" + channel, nil
}

func onChannel(peer, channel string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("channel %s/%s: %w", peer, channel, err)
}

// lastState is the state of the outgoing channel that was read or written last: an act that works through a queue asks for it many times.
type lastState struct {
	stored []byte // as it stands; the same bytes at the same place decode to the same state
	state  outState
}

func (l *lastState) is(stored []byte) bool {
	return len(stored) > 0 && len(l.stored) == len(stored) && &l.stored[0] == &stored[0]
}

// heads are the outgoing channels' states as they were decoded last, by key: a channel is asked for its state many times for each time that it changes.
type heads struct {
	mu    sync.Mutex
	known map[string]lastState
}

func (h *heads) decode(key string, stored []byte) (outState, error) {
	h.mu.Lock()
	last := h.known[key]
	h.mu.Unlock()
	if len(stored) > 0 && bytes.Equal(last.stored, stored) {
		return last.state, nil
	}
	var st outState
	if err := json.Unmarshal(stored, &st); err != nil {
		return outState{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil {
		h.known = map[string]lastState{}
	}
	h.known[key] = lastState{stored, st}
	return st, nil
}

func (tx *Tx) readState(space, peer, channel string, into any) error {
	key, err := channelKey(space, peer, channel)
	if err != nil {
		return err
	}
	stored, err := tx.get(key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	out, isOut := into.(*outState)
	if err == nil && isOut && tx.last.is(stored) {
		*out = tx.last.state
		return nil
	}
	if err == nil {
		if isOut {
			*out, err = tx.s.heads.decode(key, stored)
		} else {
			err = json.Unmarshal(stored, into)
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	if err == nil && isOut {
		tx.last = lastState{stored, *out}
	}
	return onChannel(peer, channel, err)
}

func (tx *Tx) writeState(space, peer, channel string, state any) error {
	key, err := channelKey(space, peer, channel)
	if err != nil {
		return err
	}
	b, err := json.Marshal(state)
	if err == nil {
		err = tx.put(key, b)
	}
	if out, ok := state.(*outState); ok && err == nil {
		tx.last = lastState{b, *out}
	}
	return onChannel(peer, channel, err)
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

// FixMessage stores a message's bytes as the next one of the channel and moves the channel's head to hash (hex). The caller built the
// message with seq and prev from OutHead in the same act: read elsewhere, they may be out of date.
func (tx *Tx) FixMessage(peer, channel string, msg []byte, hash string) (seq uint64, err error) {
	var st outState
	if err := tx.readState(spaceOut, peer, channel, &st); err != nil {
		return 0, err
	}
	if hash == "" || len(hash) > 256 || len(msg) == 0 {
		return 0, onChannel(peer, channel, errors.New("a message needs bytes and a hash"))
	}
	st.Seq++
	st.Head = hash
	at := peer + "\x00" + channel + "\x00" + number(st.Seq)
	return st.Seq, errors.Join(
		tx.put(spaceMessage+at, msg),
		tx.put(spaceSent+at, []byte(hash)),
		tx.writeState(spaceOut, peer, channel, &st))
}

// OutHead is the state of the channel towards the peer.
func (tx *Tx) OutHead(peer, channel string) (ChannelHead, error) {
	var st outState
	err := tx.readState(spaceOut, peer, channel, &st)
	return st.ChannelHead, err
}

// MessageHash is the hash (hex) of an outgoing message, kept also after its bytes are gone; ErrNotFound if seq was never reached.
func (tx *Tx) MessageHash(peer, channel string, seq uint64) (string, error) {
	prefix, err := channelKey(spaceSent, peer, channel)
	if err != nil {
		return "", err
	}
	hash, err := tx.get(prefix + "\x00" + number(seq))
	if err != nil {
		return "", onChannel(peer, channel, fmt.Errorf("message %d: %w", seq, err))
	}
	return string(hash), nil
}

// Messages returns the unacknowledged messages after seq `after`, in order: at most limit (0 = any number), and as many as fit into
// maxBytes (0 = any size), but at least one, so that a large message does not block its channel.
func (tx *Tx) Messages(peer, channel string, after uint64, limit, maxBytes int) ([]StoredMessage, error) {
	head, err := tx.OutHead(peer, channel)
	if err != nil {
		return nil, err
	}
	at := peer + "\x00" + channel + "\x00"
	var out []StoredMessage
	size := 0
	for seq := max(after, head.Acked) + 1; seq <= head.Seq; seq++ {
		msg, err := tx.get(spaceMessage + at + number(seq))
		if errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("%w: message %d is missing", ErrCorrupt, seq)
		}
		var hash string
		if err == nil {
			hash, err = tx.MessageHash(peer, channel, seq)
		}
		if err != nil {
			return nil, onChannel(peer, channel, err)
		}
		if size += len(msg); len(out) > 0 && maxBytes > 0 && size > maxBytes {
			break
		}
		if out = append(out, StoredMessage{Seq: seq, Hash: hash, Bytes: msg}); len(out) == limit {
			break
		}
	}
	return out, nil
}

// Acknowledge takes in a peer's receipt for everything up to upTo, whose hash it names as head (hex). A receipt beyond what was sent,
// or with a head that is not the hash at upTo, is ErrReceipt. One that says nothing new changes nothing. The bytes of acknowledged
// messages are dropped, their hashes and the receipt are kept.
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

// dropMessages deletes the bytes of at most limit acknowledged messages; what is left over is for the next receipt or Sweep, so that
// one receipt for a huge backlog does not burst the transaction.
func (tx *Tx) dropMessages(peer, channel string, st *outState, limit int) (n int, err error) {
	at := peer + "\x00" + channel + "\x00"
	for ; n < limit && st.Dropped < st.Acked; n++ {
		st.Dropped++
		if err := tx.del(spaceMessage + at + number(st.Dropped)); err != nil {
			return n, onChannel(peer, channel, err)
		}
	}
	return n, tx.writeState(spaceOut, peer, channel, st)
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
