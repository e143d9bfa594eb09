package exchange

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"golang.org/x/time/rate"

	"proofmark/crypto/roster"
	"proofmark/protocol"
)

// RosterProtocol is the libp2p protocol by which members tell each other of rosters and announced addresses. Whoever opens a stream says which
// version it has, and a digest of the announcements that it knows; the answer says the same of the other side. Versions and announcements themselves travel
// only when they are asked for, and a node asks one member at a time: what is new costs everybody a small message to everybody else, and one fetch.
const RosterProtocol p2pprotocol.ID = "/proofmark/roster/1.0.0"

// Rosters are where the exchange takes rosters and announcements from, and where it brings what it hears of. Nothing in it trusts the network:
// what is learnt is verified there.
type Rosters struct {
	Hashes func() []string                                                                     // of all versions in force, from 1 on
	After  func(version int) ([][]byte, error)                                                 // signed files of the versions that follow
	Learn  func(ctx context.Context, from string, documents [][]byte) (learned int, err error) // how many came into force
	Judge  func(document []byte) (version int, verdict Verdict, err error)

	Announced      func() map[protocol.Country][]string // addresses that active members announced
	Announcements  func() []string                      // the same, signed, for passing on
	LearnAddresses func(ctx context.Context, from string, records []string) error
	CheckAddresses func(record string) (roster.AddressRecord, error)
}

// Verdict is what a roster is beside those in force.
type Verdict int

// The verdicts.
const (
	Foreign Verdict = iota // none of the others: not signed by enough holders, or not to be judged here
	InForce                // a version of the chain in force
	Next                   // follows the version in force, signed by enough of its holders
	Beside                 // signed by enough holders, beside the chain in force: a fork
)

// tidings is what a link remembers of exchanges about rosters.
type tidings struct {
	tender  errand
	fails   int           // of tend alone: exchanges that failed, in a row
	allowed *rate.Limiter // of the member's asking

	mu     sync.Mutex // one exchange at a time
	served chan struct{}
	tried  string // heads of both sides at the last exchange that went well

	theirs atomic.Value // string: what the member said last that it has
	away   atomic.Int32 // how often it was sent away since it was given documents
}

// heard notes what the member has; knows tells whether it is what this side has.
func (t *tidings) heard(state string) { t.theirs.Store(state) }

func (t *tidings) knows(state string) bool {
	theirs, ok := t.theirs.Load().(string)
	return ok && theirs == state
}

func (t *tidings) init() {
	t.served = make(chan struct{}, rosterServed)
	t.allowed = rate.NewLimiter(rate.Every(time.Second), 20)
}

// tend exchanges news with the member, when there is some or a connection has come up.
func (l *link) tend() (again time.Duration) {
	c := l.newest()
	if l.x.o.Rosters == nil || c == nil {
		return 0 // the next connection brings it up again
	}
	if l.tidings.knows(l.x.news()) {
		l.tidings.fails = 0
		return 0 // it has said so itself: there is nothing to tell, and nothing to learn
	}
	err := contained(func() error {
		ctx, cancel := context.WithTimeout(l.life, l.x.pace.answer)
		defer cancel()
		return l.exchangeRosters(ctx, c)
	})
	if err == nil {
		l.tidings.fails = 0
		return 0
	}
	if errors.Is(err, errGivesOthers) {
		return l.x.pace.retryMin * time.Duration(1+rand.IntN(8))
	}
	l.x.o.Log.Debug("exchange about rosters", "peer", l.country, "err", err)
	if l.tidings.fails++; l.tidings.fails >= 8 {
		return 0
	}
	return backoff(l.tidings.fails, l.x.pace.retryMin, l.x.pace.retryMax, 0)
}

// catchUp learns from a member that goes by another roster, before this side goes on with it. It takes a bounded time, and is not repeated for the
// same two rosters: what cannot be learnt holds nothing up.
func (l *link) catchUp(theirs string) {
	ours := l.x.o.RosterHash()
	if l.x.o.Rosters == nil || theirs == ours {
		return
	}
	l.tidings.mu.Lock()
	known := l.tidings.tried == ours+theirs
	l.tidings.mu.Unlock()
	c := l.newest()
	if known || c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(l.life, l.x.pace.hello/3)
	defer cancel()
	if err := contained(func() error { return l.exchangeRosters(ctx, c) }); err != nil {
		l.x.o.Log.Debug("exchange about rosters", "peer", l.country, "err", err)
		l.tidings.tender.wake()
	}
}

// errGivesOthers: the member has what is wanted, and gives it to others first. They will have it in a moment too.
var errGivesOthers = errors.New("the member is giving rosters to others")

// exchangeRosters tells the member what this side has, and learns what the member has beyond it.
func (l *link) exchangeRosters(ctx context.Context, c network.Conn) error {
	l.tidings.mu.Lock()
	defer l.tidings.mu.Unlock()
	r, x := l.x.o.Rosters, l.x
	claim := math.MaxInt
	for range maxRounds {
		t, _, err := x.askRosters(ctx, c, claim, ask{After: -1})
		if err != nil {
			return err
		}
		if err := l.swapAddresses(ctx, c, t); err != nil {
			return err
		}
		l.tidings.heard(t.state())
		ours := r.Hashes()
		fork := t.divergence(ours)
		switch {
		case fork > 0 && len(t.Hashes) < min(t.Version, maxHashes):
			claim = t.Version // and it names all of its versions
			continue
		case fork == 0 && t.Version <= len(ours):
			l.tried(t)
			return nil
		}
		after, done := len(ours), false
		if fork > 0 {
			after = fork - 1
		}
		if done, err = l.fetch(ctx, c, t, after); err != nil || done {
			if err == nil {
				l.tried(t)
			}
			return err
		}
	}
	return fmt.Errorf("%w: no end after %d answers", errRosters, maxRounds)
}

func (l *link) tried(t tell) {
	head := ""
	if len(t.Hashes) > 0 {
		head = t.Hashes[len(t.Hashes)-1]
	}
	l.tidings.tried = l.x.o.RosterHash() + head
}

// fetch learns the versions after one, unless they have come from another member while this one was waited for. It tells whether there is an end to it.
func (l *link) fetch(ctx context.Context, c network.Conn, t tell, after int) (done bool, err error) {
	r := l.x.o.Rosters
	defer l.x.fetching(ctx)()
	if now := r.Hashes(); len(now) >= t.Version && t.divergence(now) == 0 {
		return true, nil
	}
	said, docs, err := l.x.askRosters(ctx, c, math.MaxInt, ask{After: after})
	if err != nil {
		return false, err
	}
	if said.Busy {
		return false, errGivesOthers
	}
	learned, err := r.Learn(ctx, string(l.country), docs)
	if err != nil {
		l.x.o.Log.Info("roster refused", "peer", l.country, "err", err)
	}
	return err != nil || learned == 0 || said.Version <= len(r.Hashes()), nil
}

// fetching waits until nothing is being fetched from another member, but not for ever: that one may be slow.
func (x *Exchange) fetching(ctx context.Context) (done func()) {
	select {
	case x.fetches <- struct{}{}:
		return func() { <-x.fetches }
	case <-ctx.Done():
	case <-time.After(x.pace.hello):
	}
	return func() {}
}

// swapAddresses learns the announcements that the member knows and this side does not, and gives it those that it lacks.
func (l *link) swapAddresses(ctx context.Context, c network.Conn, t tell) error {
	r := l.x.o.Rosters
	if t.Digest == l.x.known().digest {
		return nil
	}
	defer l.x.fetching(ctx)()
	theirs := map[string]bool{}
	for _, m := range t.Marks {
		theirs[m] = true
	}
	q := ask{After: -1}
	known := map[string]bool{}
	ours := l.x.known()
	for i, m := range ours.marks {
		known[m] = true
		if !theirs[m] {
			q.Addresses = append(q.Addresses, ours.records[i])
		}
	}
	for _, m := range t.Marks {
		if !known[m] {
			q.Want = append(q.Want, m)
		}
	}
	if len(q.Want) == 0 && len(q.Addresses) == 0 {
		return nil
	}
	q.Addresses = fitting(q.Addresses)
	t, _, err := l.x.askRosters(ctx, c, math.MaxInt, q)
	if err != nil {
		return err
	}
	if err := r.LearnAddresses(ctx, string(l.country), t.Addresses); err != nil {
		l.x.o.Log.Info("announced addresses refused", "peer", l.country, "err", err)
	}
	l.tidings.heard(t.state())
	return nil
}

// askRosters has one exchange on a connection. claim bounds the version that this side says it has.
func (x *Exchange) askRosters(ctx context.Context, c network.Conn, claim int, q ask) (tell, [][]byte, error) {
	s, err := c.NewStream(ctx)
	if err != nil {
		return tell{}, nil, fmt.Errorf("open stream: %w", err)
	}
	defer s.Reset() //nolint:errcheck // what is needed has been read
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	if err := s.SetProtocol(RosterProtocol); err != nil {
		return tell{}, nil, fmt.Errorf("open stream: %w", err)
	}
	p := patient{pipe: lazily(s, RosterProtocol), progress: x.pace.progress, until: time.Now().Add(x.pace.answer)}
	ours := x.o.Rosters.Hashes()
	q.Version, q.Digest = min(len(ours), claim), x.known().digest
	if q.Version > 0 {
		q.Hash = ours[q.Version-1]
	}
	if err := x.rumours.head(p, q); err != nil {
		return tell{}, nil, fmt.Errorf("ask for rosters: %w", err)
	}
	b, err := protocol.ReadFrame(p, maxAsk)
	if err != nil {
		return tell{}, nil, fmt.Errorf("answer about rosters: %w", noEOF(err))
	}
	t, err := decodeHead[tell](b)
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return tell{}, nil, err
	}
	if t.Count == 0 {
		return t, nil, nil
	}
	if err := s.Scope().ReserveMemory(roomRosters, network.ReservationPriorityMedium); err != nil {
		return tell{}, nil, fmt.Errorf("%w: %w", errNoMemory, err)
	}
	defer s.Scope().ReleaseMemory(roomRosters)
	docs, room := make([][]byte, 0, t.Count), roomRosters
	for range t.Count {
		d, err := protocol.ReadFrame(p, min(room, roster.MaxDocument))
		if err != nil {
			return tell{}, nil, fmt.Errorf("roster %d of %d: %w", len(docs)+1, t.Count, noEOF(err))
		}
		docs, room = append(docs, d), room-len(d)
	}
	return t, docs, nil
}

func (x *Exchange) announced() map[protocol.Country][]string {
	if x.o.Rosters == nil {
		return nil
	}
	return x.o.Rosters.Announced()
}

// Visit asks a member for the versions after one, for a node that knows nobody yet: nothing about the other side is known but that it has the key
// of the peer ID in the address. The answer has to be held against an anchor. Whoever is visited is not let in.
func (x *Exchange) Visit(ctx context.Context, address string, after int) (documents [][]byte, versions int, err error) {
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		return nil, 0, fmt.Errorf("%.200q: %w; write it like /ip4/192.0.2.1/tcp/4931/p2p/12D3Koo…, as the member's `proofmark status` shows it", address, err)
	}
	if x.o.Rosters == nil {
		return nil, 0, errors.New("this node exchanges no rosters")
	}
	if !x.begin() {
		return nil, 0, errors.New("the node is stopping")
	}
	defer x.works.Done()
	if !x.gate.host.CompareAndSwap(nil, &info.ID) {
		return nil, 0, errors.New("another visit is under way: wait a moment")
	}
	defer x.gate.host.Store(nil)
	ctx, cancel := context.WithTimeout(ctx, x.pace.answer)
	defer cancel()
	stop := context.AfterFunc(x.life, cancel)
	defer stop()
	x.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.TempAddrTTL)
	if s, ok := x.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(info.ID) // a person waits; that it did not answer a moment ago is no reason not to try
	}
	c, err := x.host.Network().DialPeer(ctx, info.ID)
	if err != nil {
		return nil, 0, fmt.Errorf("connect: %s: %w", plain(err), err)
	}
	if x.dir.Load().member(info.ID) == nil {
		defer func() { _ = c.Close() }()
	}
	t, docs, err := x.askRosters(ctx, c, math.MaxInt, ask{After: after})
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", plain(err), err)
	}
	if t.Busy {
		return nil, 0, errors.New("it is giving the roster to others at this moment: try again")
	}
	return docs, t.Version, nil
}
