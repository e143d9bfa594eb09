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

// flows are the channels on which a peer takes batches just now.
type flows struct {
	mu   sync.Mutex
	open map[string]*flow
}

// flow is how full the window of one of them is.
type flow struct {
	before uint64 // fixed before the flow began; nothing goes straight until that is acknowledged
	acked  uint64
	first  uint64 // number of the message with sizes[0]
	sizes  []int  // bytes of the messages fixed since
	total  int
}

// fits reports whether one more message of this size goes into the window.
func (f *flow) fits(size int) bool {
	return f.acked >= f.before && len(f.sizes) < windowMessages && f.total+size <= windowBytes
}

// fixed notes a message. Those that an act fixed and then failed over have its number, or a later one: they are forgotten.
func (f *flow) fixed(seq uint64, size int) {
	at := int64(seq) - int64(f.first)
	if at < 0 || at > int64(len(f.sizes)) {
		at, f.first = 0, seq
	}
	f.sizes = append(f.sizes[:at], size)
	f.total = 0
	for _, s := range f.sizes {
		f.total += s
	}
}

// settled takes out what is acknowledged.
func (f *flow) settled(upTo uint64) {
	f.acked = max(f.acked, upTo)
	for len(f.sizes) > 0 && f.first <= upTo {
		f.total -= f.sizes[0]
		f.sizes, f.first = f.sizes[1:], f.first+1
	}
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
	d.flows.mu.Lock()
	defer d.flows.mu.Unlock()
	delete(d.flows.open, channelID(peer, ch))
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
