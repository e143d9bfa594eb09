package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
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
// version it has and what it knows of addresses; the answer is the same of the other side, and the versions that were asked for.
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

// Limits of one exchange about rosters.
const (
	maxAsk       = 1 << 20                // bytes of a request's or an answer's head
	maxHashes    = 256                    // versions that an answer names
	roomRosters  = 2 * roster.MaxDocument // bytes of documents in one answer, or one document
	roomRecords  = 512 << 10              // bytes of announcements in a head
	maxRounds    = 64                     // answers in one go
	rosterServed = 2                      // streams of one member at once
)

// ask opens an exchange about rosters.
type ask struct {
	Version   int      `json:"version"` // in force at the asker, 0: none
	Hash      string   `json:"hash"`    // of that version
	After     int      `json:"after"`   // versions after this one are wanted
	Addresses []string `json:"addresses,omitempty"`
}

// tell answers; Count documents follow, a frame each.
type tell struct {
	Version   int      `json:"version"`
	Hashes    []string `json:"hashes"` // of the versions in force up to Version, the last ones
	Addresses []string `json:"addresses,omitempty"`
	Count     int      `json:"count"`
}

var errRosters = errors.New("malformed exchange about rosters")

func decodeHead[T any](b []byte) (v T, err error) {
	if err := protocol.CheckJSON(b, maxAsk, 3); err != nil {
		return v, fmt.Errorf("%w: %w", errRosters, err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("%w: %w", errRosters, err)
	}
	return v, nil
}

func (t tell) check() error {
	if t.Version < 0 || len(t.Hashes) > maxHashes || len(t.Hashes) > t.Version || t.Version > 0 && len(t.Hashes) == 0 || t.Count < 0 || t.Count > 64 {
		return fmt.Errorf("%w: version %d with %d hashes and %d documents", errRosters, t.Version, len(t.Hashes), t.Count)
	}
	return nil
}

// divergence is the first version that both sides have and that is not the same, 0 if there is none.
func (t tell) divergence(ours []string) int {
	first := t.Version - len(t.Hashes) + 1
	for i, h := range t.Hashes {
		if v := first + i; v <= len(ours) && ours[v-1] != h {
			return v
		}
	}
	return 0
}

// tidings is what a link remembers of exchanges about rosters.
type tidings struct {
	due     chan struct{}
	allowed *rate.Limiter // of the member's asking

	mu     sync.Mutex // one exchange at a time
	served chan struct{}
	tried  string // heads of both sides at the last exchange that went well
}

func (t *tidings) init() {
	t.due, t.served = make(chan struct{}, 1), make(chan struct{}, rosterServed)
	t.allowed = rate.NewLimiter(rate.Every(time.Second), 20)
}

// tend exchanges news with the member whenever there is some, or a connection has come up.
func (l *link) tend() {
	if l.x.o.Rosters == nil {
		return
	}
	failures := 0
	var again <-chan time.Time
	for {
		select {
		case <-l.life.Done():
			return
		case <-l.tidings.due:
		case <-again:
		}
		again = nil
		c := l.newest()
		if c == nil {
			continue // the next connection brings it up again
		}
		err := contained(func() error {
			ctx, cancel := context.WithTimeout(l.life, l.x.pace.answer)
			defer cancel()
			return l.exchangeRosters(ctx, c)
		})
		if err == nil {
			failures = 0
			continue
		}
		failures++
		l.x.o.Log.Debug("exchange about rosters", "peer", l.country, "err", err)
		if failures < 8 {
			again = time.After(backoff(failures, l.x.pace.retryMin, l.x.pace.retryMax, 0))
		}
	}
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
		signal(l.tidings.due)
	}
}

// exchangeRosters tells the member what this side has, and learns what the member has beyond it.
func (l *link) exchangeRosters(ctx context.Context, c network.Conn) error {
	l.tidings.mu.Lock()
	defer l.tidings.mu.Unlock()
	r := l.x.o.Rosters
	from := string(l.country)
	after := -1
	for range maxRounds {
		ours := r.Hashes()
		if after < 0 {
			after = len(ours)
		}
		t, docs, err := l.x.askRosters(ctx, c, after)
		if err != nil {
			return err
		}
		if err := r.LearnAddresses(ctx, from, t.Addresses); err != nil {
			l.x.o.Log.Info("announced addresses refused", "peer", l.country, "err", err)
		}
		head := ""
		if len(t.Hashes) > 0 {
			head = t.Hashes[len(t.Hashes)-1]
		}
		if len(docs) > 0 {
			learned, err := r.Learn(ctx, from, docs)
			if err != nil {
				l.x.o.Log.Info("roster refused", "peer", l.country, "err", err)
			}
			ours = r.Hashes()
			if err != nil || learned == 0 || t.Version <= len(ours) {
				l.tidings.tried = l.x.o.RosterHash() + head
				return nil
			}
			after = len(ours)
			continue
		}
		fork := t.divergence(ours)
		if fork == 0 || after < fork {
			l.tidings.tried = l.x.o.RosterHash() + head
			return nil
		}
		after = fork - 1
	}
	return fmt.Errorf("%w: no end after %d answers", errRosters, maxRounds)
}

// askRosters has one exchange on a connection.
func (x *Exchange) askRosters(ctx context.Context, c network.Conn, after int) (tell, [][]byte, error) {
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
	q := ask{Version: len(ours), After: after, Addresses: fitting(x.o.Rosters.Announcements())}
	if len(ours) > 0 {
		q.Hash = ours[len(ours)-1]
	}
	if err := writeJSON(p, q); err != nil {
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

// fitting cuts announcements to what fits into a head.
func fitting(records []string) []string {
	room := roomRecords
	for i, r := range records {
		if room -= len(r) + 3; room < 0 {
			return records[:i]
		}
	}
	return records
}

// serveRosters answers a member.
func (x *Exchange) serveRosters(s network.Stream) {
	if x.o.Rosters == nil {
		_ = s.Reset()
		return
	}
	x.attend(s, "rosters", (*link).tellRosters)
}

func (l *link) tellRosters(s network.Stream) error {
	select {
	case l.tidings.served <- struct{}{}:
		defer func() { <-l.tidings.served }()
	default:
		return errTooMany
	}
	r, pace := l.x.o.Rosters, l.x.pace
	p := within(s, pace.hello)
	b, err := protocol.ReadFrame(p, maxAsk)
	if err != nil {
		return fmt.Errorf("wait for a question: %w", noEOF(err))
	}
	if !l.tidings.allowed.Allow() {
		return errBusy
	}
	q, err := decodeHead[ask](b)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(l.life, pace.answer)
	defer cancel()
	if err := r.LearnAddresses(ctx, string(l.country), q.Addresses); err != nil {
		l.x.o.Log.Info("announced addresses refused", "peer", l.country, "err", err)
	}
	ours := r.Hashes()
	t := tell{Version: len(ours), Hashes: ours[max(0, len(ours)-maxHashes):], Addresses: fitting(r.Announcements())}
	var docs [][]byte
	if q.After >= 0 && q.After < len(ours) {
		if docs, err = r.After(q.After); err != nil {
			return err
		}
		room := roomRosters
		for i, d := range docs {
			if room -= len(d); room < 0 || i == 64 {
				docs = docs[:i]
				break
			}
		}
	}
	t.Count = len(docs)
	p = patient{pipe: s, progress: pace.progress, until: time.Now().Add(pace.answer)}
	if err := writeJSON(p, t); err != nil {
		return err
	}
	for _, d := range docs {
		if err := protocol.WriteFrame(p, d); err != nil {
			return err
		}
	}
	if q.Version > len(ours) || q.Version > 0 && q.Version <= len(ours) && ours[q.Version-1] != q.Hash {
		signal(l.tidings.due) // the member has something that this side does not
	}
	return nil
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
	t, docs, err := x.askRosters(ctx, c, after)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", plain(err), err)
	}
	return docs, t.Version, nil
}
