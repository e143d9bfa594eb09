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

// link is everything this node does about one member: errands that keep it connected, deliver on each channel and exchange what else there is, and the
// bounds on what comes in from it. A link at rest has no goroutine.
type link struct {
	x       *Exchange
	country protocol.Country
	member  atomic.Pointer[member]
	life    context.Context
	stop    context.CancelFunc

	keeper   errand
	alone    bool         // of keep alone: no connection was open when it last looked
	next     time.Time    // of keep alone: when to dial next
	moved    atomic.Bool  // the roster names other addresses
	reached  atomic.Bool  // greeted since the last connection was lost
	dials    atomic.Int32 // attempts since the last greeting that went well
	senders  map[protocol.Channel]*sender
	urgent   precedence
	berths   map[protocol.Channel]*berth
	incoming atomic.Int32 // streams being served
	report   report
	tidings  tidings // of rosters
	witness  witnessing

	attester errand
	asked    sync.Mutex // one question of the member at a time
	attested attested   // of attest alone
}

func newLink(x *Exchange, m *member) *link {
	l := &link{x: x, country: m.country, senders: map[protocol.Channel]*sender{}, berths: map[protocol.Channel]*berth{}}
	l.keeper, l.attester = errand{l: l, do: l.keep}, errand{l: l, do: l.attest}
	l.tidings.tender = errand{l: l, do: l.tend}
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

// start begins the link's work. The exchange's lock must not be held.
func (l *link) start() {
	l.keeper.wake()
	for _, s := range l.senders {
		s.errand.wake() // a restart may have left batches that were never acknowledged
	}
}

// update takes over what the roster says now, and tells whether the member is to be dialled anew. Addresses of the roster never expire from the address book;
// those it no longer names do.
func (l *link) update(m *member) (moved bool) {
	old := l.member.Swap(m)
	book := l.x.host.Peerstore()
	for _, p := range old.peers {
		book.UpdateAddrs(p, peerstore.PermanentAddrTTL, peerstore.TempAddrTTL)
	}
	for p, addrs := range m.addrs {
		book.AddAddrs(p, addrs, peerstore.PermanentAddrTTL)
	}
	if reflect.DeepEqual(old.addrs, m.addrs) {
		return false
	}
	l.dials.Store(0)
	l.moved.Store(true)
	return true
}

// up and down run on libp2p's goroutines when a connection opens or closes.
func (l *link) up(c network.Conn) {
	l.keeper.wake()
	l.tidings.tender.wake()
	l.attester.wake()
	for _, s := range l.senders {
		s.move(c)
		signal(s.contact)
		s.errand.wake()
	}
}

func (l *link) down() {
	l.keeper.wake()
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

// keep dials the member when no connection is open and it is time to. A connection counts as a success once the other side has greeted: a node that
// does not have us in its roster closes what it had accepted.
func (l *link) keep() (again time.Duration) {
	if l.newest() != nil {
		l.alone = false
		return 0 // the end of the connection wakes it
	}
	if !l.alone {
		l.alone = true
		if l.dials.Load() == 0 {
			l.next = time.Now().Add(l.courtesy())
		}
	}
	if l.moved.Swap(false) {
		l.next = time.Now()
	}
	if early := time.Until(l.next); early > 0 {
		return early
	}
	wait := backoff(int(l.dials.Add(1)), l.x.pace.retryMin, l.x.pace.retryMax, rand.Float64())
	if err := l.inTurn(func() error { return contained(l.dial) }); err != nil {
		l.fault(connecting, fmt.Errorf("connect: %w", err), wait)
	}
	l.next = time.Now().Add(wait)
	return wait
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
