package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

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

// heads are the outgoing channels' states as they were written and as they were decoded last, by key: a channel is asked for its state many times for each
// time that it changes, by the acts that follow its writer and by views of what is durable.
type heads struct {
	mu               sync.Mutex
	written, decoded map[string]lastState
}

func (h *heads) decode(key string, stored []byte) (outState, error) {
	h.mu.Lock()
	written, decoded := h.written[key], h.decoded[key]
	h.mu.Unlock()
	for _, l := range []lastState{written, decoded} {
		if len(stored) > 0 && bytes.Equal(l.stored, stored) {
			return l.state, nil
		}
	}
	var st outState
	if err := json.Unmarshal(stored, &st); err != nil {
		return outState{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.decoded == nil {
		h.decoded = map[string]lastState{}
	}
	h.decoded[key] = lastState{stored, st}
	return st, nil
}

// wrote notes what an act has written: the next act asks for it, or nobody if the act fails.
func (h *heads) wrote(key string, l lastState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.written == nil {
		h.written = map[string]lastState{}
	}
	h.written[key] = l
}

func (tx *Tx) readState(space, peer, channel string, into any) error {
	key, err := channelKey(space, peer, channel)
	if err != nil {
		return err
	}
	stored, err := tx.read(key, true)
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
		tx.s.heads.wrote(key, tx.last)
	}
	return onChannel(peer, channel, err)
}
