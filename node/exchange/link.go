package exchange

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"proofmark/protocol"
)

// link is everything this node does about one member: one goroutine that keeps it connected, one that delivers on each channel, and the
// bounds on what comes in from it.
type link struct {
	x       *Exchange
	country protocol.Country
	member  atomic.Pointer[member]
	life    context.Context
	stop    context.CancelFunc

	changed  chan struct{} // connections, or the addresses to dial
	dials    atomic.Int32  // attempts since the last greeting that went well
	senders  map[protocol.Channel]*sender
	urgent   precedence
	berths   map[protocol.Channel]*berth
	incoming atomic.Int32 // streams being served
	report   report
}

func newLink(x *Exchange, m *member) *link {
	l := &link{x: x, country: m.country, changed: make(chan struct{}, 1), senders: map[protocol.Channel]*sender{}, berths: map[protocol.Channel]*berth{}}
	l.member.Store(m)
	l.life, l.stop = context.WithCancel(x.life)
	l.urgent.init()
	for _, ch := range protocol.Channels {
		l.senders[ch] = newSender(l, ch)
		l.berths[ch] = new(berth)
	}
	return l
}

// start launches the link's goroutines; the exchange's lock is held, and it is not closed.
func (l *link) start() {
	l.x.works.Add(1 + len(l.senders))
	go func() {
		defer l.x.works.Done()
		l.keep()
	}()
	for _, s := range l.senders {
		go func() {
			defer l.x.works.Done()
			s.run()
		}()
	}
}

// update takes over what the roster says now. Addresses of the roster never expire from the address book; those it no longer names do.
func (l *link) update(m *member) {
	old := l.member.Swap(m)
	book := l.x.host.Peerstore()
	for _, p := range old.peers {
		book.UpdateAddrs(p, peerstore.PermanentAddrTTL, peerstore.TempAddrTTL)
	}
	for p, addrs := range m.addrs {
		book.AddAddrs(p, addrs, peerstore.PermanentAddrTTL)
	}
	signal(l.changed)
}

// connectionsChanged runs on libp2p's goroutines.
func (l *link) connectionsChanged(up bool) {
	signal(l.changed)
	if up {
		for _, s := range l.senders {
			signal(s.contact)
		}
	}
}

// greeted notes that the other side said a valid hello, on a stream of either side's.
func (l *link) greeted(h *protocol.Hello) {
	l.dials.Store(0)
	ours := l.x.o.RosterHash()
	if l.report.contact(l.x.o.Now(), h.Roster, h.Roster != ours) {
		l.x.o.Log.Info("the other node has another roster in force", "peer", l.country, "theirs", h.Roster, "ours", ours)
	}
	for _, s := range l.senders {
		if s.failing.Load() {
			signal(s.contact)
		}
	}
}

// newest returns the youngest open connection to the member, nil without one. After a restart of the other side an older one may be dead
// without our knowing.
func (l *link) newest() network.Conn {
	var best network.Conn
	for _, p := range l.member.Load().peers {
		for _, c := range l.x.host.Network().ConnsToPeer(p) {
			if !c.IsClosed() && (best == nil || c.Stat().Opened.After(best.Stat().Opened)) {
				best = c
			}
		}
	}
	return best
}

// keep dials the member whenever no connection is open. A connection counts as a success once the other side has greeted: a node that
// does not have us in its roster closes what it had accepted.
func (l *link) keep() {
	for {
		var due <-chan time.Time
		if l.newest() == nil {
			wait := time.Duration(0)
			if n := int(l.dials.Load()); n > 0 {
				wait = backoff(n, l.x.pace.retryMin, l.x.pace.retryMax, rand.Float64())
			}
			l.report.next(time.Now().Add(wait))
			due = time.After(wait)
		}
		if !l.pause(due) {
			return
		}
		if l.newest() != nil {
			continue
		}
		l.dials.Add(1)
		err := contained(func() error { return l.dial() })
		if l.life.Err() != nil {
			return
		}
		if err != nil {
			l.x.o.Log.Debug("member not reached", "peer", l.country, "err", err)
			l.report.fault(err)
		}
	}
}

// pause waits until a dial is due or a connection has come up; without due, until the connections change. It reports false at the end.
func (l *link) pause(due <-chan time.Time) bool {
	for {
		select {
		case <-l.life.Done():
			return false
		case <-due:
			return true
		case <-l.changed:
			if due == nil || l.newest() != nil {
				return true
			}
		}
	}
}

// dial tries the addresses of the roster and those heard of since; if none answers, the other members are asked.
func (l *link) dial() error {
	m := l.member.Load()
	if len(m.peers) == 0 {
		return errors.New("the roster names no usable peer ID for it")
	}
	var errs []error
	for _, p := range m.peers {
		err := l.dialPeer(p, m)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	for _, p := range m.peers {
		found, err := l.x.locate(l.life, p)
		if err == nil {
			l.x.host.Peerstore().AddAddrs(p, found.Addrs, peerstore.TempAddrTTL)
			err = l.dialPeer(p, m)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (l *link) dialPeer(p peer.ID, m *member) error {
	ctx, cancel := context.WithTimeout(l.life, l.x.pace.dial)
	defer cancel()
	n := l.x.host.Network()
	l.x.host.Peerstore().AddAddrs(p, m.addrs[p], peerstore.PermanentAddrTTL)
	if s, ok := n.(*swarm.Swarm); ok {
		s.Backoff().Clear(p) // the waiting is done here, where contact ends it
	}
	_, err := n.DialPeer(ctx, p)
	return err
}

// contained runs f and turns a panic into an error, so that one member's trouble stays its own.
func contained(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicError{value: p, stack: debug.Stack()}
		}
	}()
	return f()
}

type panicError struct {
	value any
	stack []byte
}

func (e panicError) Error() string { return fmt.Sprintf("internal fault: %v", e.value) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
