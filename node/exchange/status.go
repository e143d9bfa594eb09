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
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multiaddr"

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
	LastError   string           `json:"last_error,omitempty"`   // since the last success, in plain words
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

// report gathers what a link has to say of itself.
type report struct {
	mu   sync.Mutex
	st   PeerStatus
	done map[protocol.Channel]*ChannelStatus
	slow bool
}

// contact notes a greeting and reports whether the other side's roster differs as it did not before.
func (r *report) contact(now time.Time, roster string, differs bool) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.st.LastContact, r.st.LastError, r.st.NextTry = now, "", time.Time{}
	if !differs {
		r.st.OtherRoster = ""
		return false
	}
	news = r.st.OtherRoster != roster
	r.st.OtherRoster = roster
	return news
}

func (r *report) heard(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.st.LastContact = now
}

func (r *report) delivered(ch protocol.Channel, messages uint64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = map[protocol.Channel]*ChannelStatus{}
	}
	if r.done[ch] == nil {
		r.done[ch] = new(ChannelStatus)
	}
	r.done[ch].Delivered += messages
	r.done[ch].Last = now
	r.st.LastContact, r.st.LastError, r.st.NextTry = now, "", time.Time{}
}

func (r *report) took(d, slow time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow = d > slow
}

func (r *report) isSlow() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slow
}

func (r *report) fault(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.st.LastError = plain(err)
}

func (r *report) next(t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.st.NextTry = t
}

func (r *report) snapshot() PeerStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.st
	st.Channels = nil
	for _, ch := range protocol.Channels {
		c := ChannelStatus{}
		if r.done[ch] != nil {
			c = *r.done[ch]
		}
		c.Channel = ch
		st.Channels = append(st.Channels, c)
	}
	return st
}

// plain says an error of the network as an operator would.
func plain(err error) string {
	var refused refusedError
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.Is(err, swarm.ErrNoAddresses):
		return "the roster gives no address for it, and no other member knows one"
	case errors.Is(err, swarm.ErrGaterDisallowedConnection):
		return "it is not an active member of the roster in force"
	case mentions(err, syscall.ECONNREFUSED, "connection refused"):
		return "nothing listens at its address: the other node may be down"
	case errors.Is(err, swarm.ErrAllDialsFailed), errors.Is(err, context.DeadlineExceeded), timedOut(err):
		return "no answer in time: the other node may be down, or a firewall stands between"
	case errors.Is(err, network.ErrReset), errors.Is(err, io.ErrUnexpectedEOF), mentions(err, syscall.ECONNRESET, "connection reset"):
		return "it closed the connection: it may not have this node in its roster, or it was just restarted"
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return printable(line, maxRefusal)
}

// mentions looks for an errno also in errors that carry it as text alone.
func mentions(err error, no syscall.Errno, text string) bool {
	return errors.Is(err, no) || strings.Contains(err.Error(), text)
}
