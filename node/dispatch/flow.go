package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// What is fixed on a flowing channel and not acknowledged: the batch that travels, and one more.
const (
	windowMessages = 2 * protocol.MaxBatchCount
	windowBytes    = 2 * batchRoom
)

// straightReserve is what a message that is fixed in the act of its document leaves free of the act's transaction, in bytes: what else the act writes must
// not fail because a member happens to be connected.
const straightReserve = 2 << 20

// flowingBytes is what is held in memory of the messages on all flowing channels, so that they need not be made from their documents again a moment later.
const flowingBytes = 16 << 20

// flows are the channels on which a peer takes batches just now.
type flows struct {
	mu   sync.Mutex
	open map[string]*flow
	held int // bytes of messages
}

// flow is how full the window of one of them is.
type flow struct {
	before uint64 // fixed before the flow began; nothing goes straight until that is acknowledged
	acked  uint64
	first  uint64   // number of the first of those fixed since
	fixed  []inFlow // in their order
	total  int      // their bytes
}

// inFlow is a message that was fixed and not acknowledged.
type inFlow struct {
	size  int
	hash  string
	bytes []byte // nil where there was no room to hold them
}

// fits reports whether one more message of this size goes into the window.
func (f *flow) fits(size int) bool {
	return f.acked >= f.before && len(f.fixed) < windowMessages && f.total+size <= windowBytes
}

// fixed notes a message. Those that an act fixed and then failed over have its number, or a later one: they are forgotten.
func (w *flows) fixed(peer protocol.Country, ch protocol.Channel, seq uint64, b []byte, hash string) {
	w.with(peer, ch, func(f *flow) {
		at := int64(seq) - int64(f.first)
		if at < 0 || at > int64(len(f.fixed)) {
			at, f.first = 0, seq
			w.drop(f, f.fixed)
			f.fixed = nil
		}
		w.drop(f, f.fixed[at:])
		m := inFlow{size: len(b), hash: hash}
		if w.held+len(b) <= flowingBytes {
			m.bytes = b
			w.held += len(b)
		}
		f.fixed = append(f.fixed[:at], m)
		f.total += len(b)
	})
}

// settled takes out what is acknowledged.
func (w *flows) settled(peer protocol.Country, ch protocol.Channel, upTo uint64) {
	w.with(peer, ch, func(f *flow) {
		f.acked = max(f.acked, upTo)
		n := 0
		for n < len(f.fixed) && f.first+uint64(n) <= upTo {
			n++
		}
		w.drop(f, f.fixed[:n])
		f.fixed, f.first = f.fixed[n:], f.first+uint64(n)
	})
}

// drop lets go of messages of a flow, which its caller takes out.
func (w *flows) drop(f *flow, gone []inFlow) {
	for i := range gone {
		f.total -= gone[i].size
		w.held -= len(gone[i].bytes)
		gone[i].bytes = nil
	}
}

// message returns a message that was fixed since the channel flows; nil where it is not held.
func (w *flows) message(peer protocol.Country, ch protocol.Channel, seq uint64, hash string) (b []byte) {
	w.with(peer, ch, func(f *flow) {
		if at := seq - f.first; seq >= f.first && at < uint64(len(f.fixed)) && f.fixed[at].hash == hash {
			b = f.fixed[at].bytes
		}
	})
	return b
}

// close ends a flow.
func (w *flows) close(peer protocol.Country, ch protocol.Channel) {
	w.with(peer, ch, func(f *flow) {
		w.drop(f, f.fixed)
		delete(w.open, channelID(peer, ch))
	})
}

// with runs f on a channel's flow, if it has one.
func (w *flows) with(peer protocol.Country, ch protocol.Channel, f func(*flow)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.open[channelID(peer, ch)]; known != nil {
		f(known)
	}
}

// fits is false where a channel does not flow.
func (w *flows) fits(peer protocol.Country, ch protocol.Channel, size int) (ok bool) {
	w.with(peer, ch, func(f *flow) { ok = f.fits(size) })
	return ok
}

// Flow says that the peer takes batches of a channel from now on. Until Pause, a document for it becomes a message in the act that issues it, where nothing
// waits before it and the window has room: its batch would be formed a moment later anyway.
func (d *Dispatch) Flow(ctx context.Context, peer protocol.Country, ch protocol.Channel) error {
	err := d.Store.Update(ctx, func(tx *store.Tx) error { // among the acts that fix messages
		head, err := tx.OutHead(string(peer), string(ch))
		if err != nil {
			return err
		}
		d.flows.close(peer, ch)
		d.flows.mu.Lock()
		defer d.flows.mu.Unlock()
		if d.flows.open == nil {
			d.flows.open = map[string]*flow{}
		}
		d.flows.open[channelID(peer, ch)] = &flow{before: head.Seq, acked: head.Acked}
		return nil
	})
	if err != nil {
		return fmt.Errorf("channel to %s (%s): %w", peer, ch, err)
	}
	return nil
}

// Pause says that the peer takes nothing just now: what is queued for it stays an intent, which a change of policy reaches.
func (d *Dispatch) Pause(peer protocol.Country, ch protocol.Channel) {
	d.flows.close(peer, ch)
}

// straight fixes a document's message in the act that shares it, under the decision by which it is shared. Where that is not to be, it reports false and
// changes nothing.
func (d *Dispatch) straight(tx *store.Tx, rec *Record, dl *Delivery, dec policy.Decision) (bool, error) {
	if !d.flows.fits(dl.Peer, dl.Channel, 0) || !d.isMember(dl.Peer, tx.Now()) {
		return false, nil
	}
	if waiting, err := tx.Intents(string(dl.Peer), string(dl.Channel), 1); err != nil || len(waiting) > 0 {
		return false, err
	}
	switch err := d.mayExchange(tx, dl.Peer); {
	case errors.Is(err, ErrStopped), errors.Is(err, ErrRestoring):
		return false, nil
	case err != nil:
		return false, err
	}
	err := d.number(tx, rec, dl, dec, func(size int) bool {
		return d.flows.fits(dl.Peer, dl.Channel, size) && tx.Room() >= straightReserve+int64(size)
	})
	if errors.Is(err, errFull) {
		return false, nil
	}
	return err == nil, err
}
