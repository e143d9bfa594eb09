package exchange

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"sync"
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

	changed  chan struct{} // connections
	moved    chan struct{} // the roster names other addresses
	reached  atomic.Bool   // greeted since the last connection was lost
	dials    atomic.Int32  // attempts since the last greeting that went well
	senders  map[protocol.Channel]*sender
	urgent   precedence
	berths   map[protocol.Channel]*berth
	incoming atomic.Int32 // streams being served
	report   report
	tidings  tidings // of rosters
	witness  witnessing

	fresh      chan struct{} // a connection came up: the member is to be asked for its standing
	asked      sync.Mutex    // one question of the member at a time
	attested   atomic.Bool
	lastAttest time.Time // of attest alone
}

func newLink(x *Exchange, m *member) *link {
	l := &link{x: x, country: m.country, changed: make(chan struct{}, 1), moved: make(chan struct{}, 1), fresh: make(chan struct{}, 1),
		senders: map[protocol.Channel]*sender{}, berths: map[protocol.Channel]*berth{}}
	l.member.Store(m)
	l.life, l.stop = context.WithCancel(x.life)
	l.urgent.init()
	l.tidings.init()
	l.witness.init()
	for _, ch := range protocol.Channels {
		l.senders[ch] = newSender(l, ch)
		l.berths[ch] = new(berth)
	}
	return l
}

// start launches the link's goroutines; the exchange's lock is held, and it is not closed.
func (l *link) start() {
	l.x.works.Add(2 + len(l.senders))
	go func() {
		defer l.x.works.Done()
		l.keep()
	}()
	go func() {
		defer l.x.works.Done()
		l.tend()
	}()
	if l.x.o.Standing != nil {
		l.x.works.Add(1)
		go func() {
			defer l.x.works.Done()
			l.attest()
		}()
	}
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
	if !reflect.DeepEqual(old.addrs, m.addrs) {
		l.dials.Store(0)
		signal(l.moved)
	}
}

// up and down run on libp2p's goroutines when a connection opens or closes.
func (l *link) up(c network.Conn) {
	signal(l.changed)
	signal(l.tidings.due)
	signal(l.fresh)
	for _, s := range l.senders {
		s.move(c)
		signal(s.contact)
	}
}

func (l *link) down() {
	signal(l.changed)
	if l.newest() != nil {
		return
	}
	for ch := range l.senders { // their streams are dead, and may learn of it only with the next batch
		l.x.o.Mail.Pause(l.country, ch)
	}
	if l.reached.CompareAndSwap(true, false) {
		l.x.o.Log.Info("connection lost", "peer", l.country)
	}
}

// greeted notes that the other side said a valid hello, on a stream of either side's.
func (l *link) greeted(h *protocol.Hello) {
	l.dials.Store(0)
	if l.reached.CompareAndSwap(false, true) {
		l.x.o.Log.Info("connected", "peer", l.country)
		l.keepAddress()
	}
	l.catchUp(h.Roster) // before anything that may be signed with a key of a newer roster
	ours := l.x.o.RosterHash()
	if l.report.contact(l.x.o.Now(), h.Roster, h.Roster != ours) {
		l.x.o.Log.Info("the other node has another roster in force", "peer", l.country, "theirs", h.Roster, "ours", ours)
	}
}

// nudge tells senders that fail that the other side is alive.
func (l *link) nudge() {
	for _, s := range l.senders {
		if s.failing.Load() {
			signal(s.alive)
		}
	}
}

// fault notes what went wrong and after which wait it is tried again (0: that is up to the other side), and logs it when it is news.
func (l *link) fault(s source, err error, wait time.Duration) {
	var next time.Time
	if wait > 0 {
		next = l.x.o.Now().Add(wait)
	}
	if l.life.Err() == nil && l.report.fault(s, err, next) {
		l.x.o.Log.Info("exchange with a member fails", "peer", l.country, "where", s, "err", plain(err))
		l.x.o.Log.Debug("in full", "peer", l.country, "err", err)
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
	var wait time.Duration
	for {
		var due <-chan time.Time
		if l.newest() == nil {
			if l.dials.Load() == 0 {
				wait = l.courtesy()
			}
			due = time.After(wait)
		}
		if !l.pause(due) {
			return
		}
		if l.newest() != nil {
			continue
		}
		wait = backoff(int(l.dials.Add(1)), l.x.pace.retryMin, l.x.pace.retryMax, rand.Float64())
		if err := l.inTurn(func() error { return contained(l.dial) }); err != nil {
			l.fault(connecting, fmt.Errorf("connect: %w", err), wait)
		}
	}
}

// inTurn dials when it is this link's turn: few handshakes at once come to an end, hundreds keep one another from it. Those who did not answer before wait in a queue of
// their own, as an attempt may take its whole time.
func (l *link) inTurn(dial func() error) error {
	queue := l.x.dialling
	if l.dials.Load() > 2 {
		queue = l.x.redialling
	}
	select {
	case queue <- struct{}{}:
	case <-l.life.Done():
		return l.life.Err()
	}
	defer func() { <-queue }()
	if l.newest() != nil {
		return nil // the other side was quicker
	}
	return dial()
}

// courtesy is how long a first attempt waits. Of two nodes that hear of each other, or lose each other, at the same moment, one dials at once and the
// other only if nothing has come of it: else most pairs would have two connections, with twice the handshakes and twice the memory.
func (l *link) courtesy() time.Duration {
	if peers := l.member.Load().peers; len(peers) > 0 && l.x.host.ID() > peers[0] {
		return l.x.pace.courtesy
	}
	return 0
}

// pause waits until a dial is due or a connection has come up; without due, until the connections change. It reports false at the end.
func (l *link) pause(due <-chan time.Time) bool {
	for {
		select {
		case <-l.life.Done():
			return false
		case <-due:
			return true
		case <-l.moved:
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
		if !worthAsking(int(l.dials.Load())) {
			break
		}
		found, err := l.x.locate(l.life, l.country, p)
		if err == nil {
			l.x.host.Peerstore().AddAddrs(p, found.Addrs, peerstore.TempAddrTTL)
			err = l.dialPeer(p, m)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	if l.x.o.Relaying.Use {
		err := l.dialThrough(m)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// worthAsking tells whether the other members are asked for an address after so many attempts in a row: the first three, then ever more seldom, and at last four times an
// hour. A member whose address changes announces it to all who are connected; this is for those who were not.
func worthAsking(attempt int) bool {
	const seldom = 16 // attempts, a minute each
	return attempt <= 3 || attempt%seldom == 0 || attempt < seldom && attempt&(attempt-1) == 0
}

func (l *link) dialPeer(p peer.ID, m *member) error {
	ctx, cancel := context.WithTimeout(l.life, l.x.pace.dial)
	defer cancel()
	n := l.x.host.Network()
	l.x.host.Peerstore().AddAddrs(p, m.addrs[p], peerstore.PermanentAddrTTL)
	l.recall(p)
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
