package exchange

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"

	"proofmark/protocol"
)

// PeerStatus is how the exchange stands with one member.
type PeerStatus struct {
	Country     protocol.Country `json:"country"`
	Name        string           `json:"name"`
	Connected   bool             `json:"connected"`
	Transport   string           `json:"transport,omitempty"` // "quic" or "tcp"
	Address     string           `json:"address,omitempty"`   // the member's, of the youngest connection
	LastContact time.Time        `json:"last_contact,omitzero"`
	LastError   string           `json:"last_error,omitempty"`   // in plain words; empty where all is well
	NextTry     time.Time        `json:"next_try,omitzero"`      // while something fails
	OtherRoster string           `json:"other_roster,omitempty"` // hash of the member's roster where it is not ours
	Channels    []ChannelStatus  `json:"channels"`
}

// ChannelStatus is how far a channel to a member is.
type ChannelStatus struct {
	Channel   protocol.Channel `json:"channel"`
	Delivered uint64           `json:"delivered"` // messages acknowledged since this node started
	Queued    int              `json:"queued"`    // −1: not counted
	Last      time.Time        `json:"last,omitzero"`
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
	out := make([]PeerStatus, len(links))
	for i, l := range links {
		out[i] = l.status()
	}
	return out
}

func (l *link) status() PeerStatus {
	st := l.report.snapshot()
	st.Country, st.Name = l.country, l.member.Load().name
	if c := l.newest(); c != nil {
		st.Connected, st.Transport, st.Address = true, transport(c), c.RemoteMultiaddr().String()
	}
	for i := range st.Channels {
		st.Channels[i].Queued = -1
		if l.x.o.Queued != nil {
			if n, err := l.x.o.Queued(l.country, st.Channels[i].Channel); err == nil {
				st.Channels[i].Queued = n
			}
		}
	}
	return st
}

func transport(c network.Conn) string {
	if _, err := c.RemoteMultiaddr().ValueForProtocol(multiaddr.P_QUIC_V1); err == nil {
		return "quic"
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
	text := plain(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.troubles == nil {
		r.troubles = map[source]trouble{}
	}
	news = r.troubles[s].text != text
	r.troubles[s] = trouble{text: text, next: next}
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
	for _, s := range []source{incoming, source(protocol.Bulk), source(protocol.Urgent), connecting} { // the last one found is the gravest
		if t, ok := r.troubles[s]; ok {
			st.LastError = t.text
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

// plain says an error of the network as an operator would.
func plain(err error) string {
	var refused refusedError
	switch {
	case errors.As(err, new(multistream.ErrNotSupported[p2pprotocol.ID])):
		return "it does not speak this version of the exchange"
	case errors.As(err, &refused):
		return refused.Error()
	case errors.Is(err, swarm.ErrNoAddresses):
		return "the roster gives no address for it, and no other member knows one"
	case errors.Is(err, swarm.ErrGaterDisallowedConnection):
		return "it is not an active member of the roster in force"
	case mentions(err, syscall.ECONNREFUSED):
		return "nothing listens at its address: the other node may be down"
	case errors.Is(err, swarm.ErrAllDialsFailed), errors.Is(err, context.DeadlineExceeded), timedOut(err):
		return "no answer in time: the other node may be down, or a firewall stands between"
	case errors.Is(err, network.ErrReset), errors.As(err, new(*network.ConnError)), errors.Is(err, io.ErrUnexpectedEOF), mentions(err, syscall.ECONNRESET),
		strings.Contains(err.Error(), "stateless reset"): // QUIC's answer for a connection of a process that is gone
		return "it closed the connection: it may not have this node in its roster, or it was just restarted"
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return printable(line, maxRefusal)
}

// mentions looks for an errno also in errors that carry it as text alone.
func mentions(err error, no syscall.Errno) bool {
	return errors.Is(err, no) || strings.Contains(err.Error(), no.Error())
}
