package exchange

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/multiformats/go-multiaddr"

	"proofmark/node/dispatch"
	"proofmark/protocol"
)

// PeerStatus is how the exchange stands with one member.
type PeerStatus struct {
	Country     protocol.Country `json:"country"`
	Name        string           `json:"name"`
	Connected   bool             `json:"connected"`
	Transport   string           `json:"transport,omitempty"` // "quic", "tcp" or "relay"
	Address     string           `json:"address,omitempty"`   // the member's, of the youngest connection
	LastContact time.Time        `json:"last_contact,omitzero"`
	LagSeconds  float64          `json:"lag_seconds"`            // age of the oldest document that is not delivered, on any channel
	Sync        *SyncStatus      `json:"sync,omitempty"`         // while the member is given what this node holds, for the first time
	LastError   string           `json:"last_error,omitempty"`   // in plain words; empty where all is well
	ToDo        string           `json:"to_do,omitempty"`        // what a person can do about the error
	NextTry     time.Time        `json:"next_try,omitzero"`      // while something fails
	OtherRoster string           `json:"other_roster,omitempty"` // hash of the member's roster where it is not ours
	Channels    []ChannelStatus  `json:"channels"`
}

// ChannelStatus is how far a channel to a member is.
type ChannelStatus struct {
	Channel        protocol.Channel `json:"channel"`
	Delivered      uint64           `json:"delivered"`               // messages acknowledged since this node started
	Queued         int              `json:"queued"`                  // documents and messages that the member has not acknowledged; −1: not counted
	Unacknowledged uint64           `json:"unacknowledged"`          // of them, messages that were formed
	Oldest         time.Time        `json:"oldest_queued,omitzero"`  // when the oldest of them was queued
	LagSeconds     float64          `json:"lag_seconds"`             // its age
	Last           time.Time        `json:"last_delivered,omitzero"` // since this node started
}

// SyncStatus is how far an initial synchronisation is, in documents on the bulk channel.
type SyncStatus struct {
	Delivered uint64 `json:"delivered"`
	Total     uint64 `json:"total"`
}

// Peers tells how the exchange stands with every active member, by country.
func (x *Exchange) Peers() []PeerStatus {
	x.mu.Lock()
	links := make([]*link, 0, len(x.links))
	for _, l := range x.links {
		links = append(links, l)
	}
	x.mu.Unlock()
	slices.SortFunc(links, func(a, b *link) int { return cmp.Compare(a.country, b.country) })
	queues, counted := x.queues()
	now := x.o.Now()
	out := make([]PeerStatus, len(links))
	for i, l := range links {
		out[i] = l.status()
		out[i].queued(queues, counted, now)
	}
	return out
}

type channelOf struct {
	peer protocol.Country
	ch   protocol.Channel
}

// queues asks how far the channels are, once for all members.
func (x *Exchange) queues() (map[channelOf]dispatch.Queue, bool) {
	if x.o.Queues == nil {
		return nil, false
	}
	list, err := x.o.Queues()
	if err != nil {
		x.o.Log.Warn("count what waits for the members", "err", err)
		return nil, false
	}
	out := make(map[channelOf]dispatch.Queue, len(list))
	for _, q := range list {
		out[channelOf{q.Peer, q.Channel}] = q
	}
	return out, true
}

func (l *link) status() PeerStatus {
	st := l.report.snapshot()
	st.Country, st.Name = l.country, l.member.Load().name
	if c := l.newest(); c != nil {
		st.Connected, st.Transport, st.Address = true, transport(c.RemoteMultiaddr()), c.RemoteMultiaddr().String()
	}
	return st
}

// queued adds to a status what waits on its channels.
func (st *PeerStatus) queued(queues map[channelOf]dispatch.Queue, counted bool, now time.Time) {
	for i := range st.Channels {
		ch := &st.Channels[i]
		if !counted {
			ch.Queued = -1
			continue
		}
		q := queues[channelOf{st.Country, ch.Channel}]
		ch.Queued, ch.Unacknowledged, ch.Oldest = q.Waits(), q.Unacknowledged, q.Oldest
		if !q.Oldest.IsZero() {
			ch.LagSeconds = max(0, now.Sub(q.Oldest).Seconds())
			st.LagSeconds = max(st.LagSeconds, ch.LagSeconds)
		}
		if ch.Channel == protocol.Bulk && !q.CaughtUp && q.Waits() > 0 {
			st.Sync = &SyncStatus{Delivered: q.Acknowledged, Total: q.Acknowledged + uint64(q.Waits())}
		}
	}
}

// transport says by what an address is reached.
func transport(a multiaddr.Multiaddr) string {
	for _, t := range []struct {
		code int
		name string
	}{{multiaddr.P_CIRCUIT, "relay"}, {multiaddr.P_QUIC_V1, "quic"}} {
		if _, err := a.ValueForProtocol(t.code); err == nil {
			return t.name
		}
	}
	return "tcp"
}

// source is where something can go wrong with a member: connecting, what comes in, and each channel that goes out.
type source string

const (
	connecting source = "connecting"
	incoming   source = "incoming"
)

// trouble is what goes wrong at one source until it goes right there.
type trouble struct {
	text string
	todo string    // what a person can do
	next time.Time // when it is tried again; zero where that is up to the other side
}

// report gathers what a link has to say of itself.
type report struct {
	mu          sync.Mutex
	lastContact time.Time
	otherRoster string
	troubles    map[source]trouble
	channels    map[protocol.Channel]ChannelStatus
	slow        bool
}

// contact notes a greeting and reports whether the other side's roster differs as it did not before.
func (r *report) contact(now time.Time, roster string, differs bool) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastContact = now
	delete(r.troubles, connecting)
	if !differs {
		r.otherRoster = ""
		return false
	}
	news = r.otherRoster != roster
	r.otherRoster = roster
	return news
}

// well notes that a source works.
func (r *report) well(s source, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastContact = now
	delete(r.troubles, s)
}

// fault notes an error of a source and reports whether it is another than the last one there.
func (r *report) fault(s source, err error, next time.Time) (news bool) {
	text, todo := explain(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.troubles == nil {
		r.troubles = map[source]trouble{}
	}
	news = r.troubles[s].text != text
	r.troubles[s] = trouble{text: text, todo: todo, next: next}
	return news
}

// delivered notes how many messages of a channel have been acknowledged.
func (r *report) delivered(ch protocol.Channel, messages uint64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.channels == nil {
		r.channels = map[protocol.Channel]ChannelStatus{}
	}
	if c := r.channels[ch]; messages > c.Delivered {
		r.channels[ch] = ChannelStatus{Delivered: messages, Last: now}
	}
}

// setSlow notes whether the member takes its batches slowly.
func (r *report) setSlow(slow bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow = slow
}

func (r *report) isSlow() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slow
}

func (r *report) snapshot() PeerStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := PeerStatus{LastContact: r.lastContact, OtherRoster: r.otherRoster}
	for _, s := range []source{incoming, source(protocol.Bulk), source(protocol.Urgent), comparing, connecting} { // the last one found is the gravest
		if t, ok := r.troubles[s]; ok {
			st.LastError, st.ToDo = t.text, t.todo
			if st.NextTry.IsZero() || !t.next.IsZero() && t.next.Before(st.NextTry) {
				st.NextTry = t.next
			}
		}
	}
	for _, ch := range protocol.Channels {
		c := r.channels[ch]
		c.Channel = ch
		st.Channels = append(st.Channels, c)
	}
	return st
}
