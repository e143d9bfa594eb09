// Package exchange moves batches and receipts between the members of the roster over libp2p: it finds them, keeps connections to them,
// lets nobody else in, and delivers what the mail hands out. It knows no document and decides nothing about content.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	libp2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/prometheus/client_golang/prometheus"

	"golang.org/x/time/rate"
	"proofmark/crypto/roster"
	"proofmark/node/dispatch"

	"proofmark/protocol"
)

// Mail hands out what is to be sent and takes in what arrives. *dispatch.Dispatch is the mail of a node.
type Mail interface {
	// Flow says that the peer takes batches of a channel from now on, Pause that it does not.
	Flow(ctx context.Context, peer protocol.Country, ch protocol.Channel) error
	Pause(peer protocol.Country, ch protocol.Channel)
	// NextBatch returns the next batch that the peer has not acknowledged, nil if there is none.
	NextBatch(ctx context.Context, peer protocol.Country, ch protocol.Channel) (*dispatch.Batch, error)
	// BatchAfter returns the batch behind the message `after`, which travels with those before it; nil if there is none.
	BatchAfter(ctx context.Context, peer protocol.Country, ch protocol.Channel, after uint64) (*dispatch.Batch, error)
	// AcceptBatch applies a batch and returns the signed receipt for the channel.
	AcceptBatch(ctx context.Context, from protocol.Country, manifest string, payload []byte) (receipt string, err error)
	// CurrentReceipt signs how far a channel was received, so that its sender resumes there.
	CurrentReceipt(ctx context.Context, from protocol.Country, ch protocol.Channel) (receipt string, err error)
	// AcceptReceipt takes in what the peer acknowledges.
	AcceptReceipt(ctx context.Context, peer protocol.Country, receipt string) error
	// Breach leaves a trace of a member that broke the protocol before it came to batches.
	Breach(ctx context.Context, from protocol.Country, ground string, fault error) error
}

var _ Mail = (*dispatch.Dispatch)(nil)

// Options assemble an Exchange.
type Options struct {
	Country    protocol.Country
	HostKey    libp2pcrypto.PrivKey
	Listen     []string              // multiaddrs, QUIC-v1 and TCP
	Roster     func() *roster.Roster // in force now; nil: none yet, nobody is let in
	RosterHash func() string
	Mail       Mail
	Standing   Standing // nil: nobody is asked where it stands
	Now        func() time.Time
	Log        *slog.Logger

	// Rosters is what versions and announcements are exchanged with; nil: none are.
	Rosters *Rosters

	// Queues tells how far the outgoing channels are, for Peers alone; it may be nil.
	Queues func() ([]dispatch.Queue, error)

	Relaying Relaying

	Figures prometheus.Registerer // takes libp2p's own figures; nil: none are kept

	Muxer network.Multiplexer // carries the streams of TCP connections; nil: yamux. A test looks into them here.

	Book Book // of addresses; empty: none is kept

	// OpenScan decides whether a member may have a scan now: ErrNoScan where it may not. Without it no scan is sent.
	OpenScan func(ctx context.Context, peer protocol.Country, ask ScanAsk) (*ScanSource, error)

	// Statement makes one signed page of what this country's log says of the channels with a member; nil: none is given.
	Statement func(ctx context.Context, from protocol.Country, ask []byte) ([]byte, error)

	// TakeCopy decides whether a member's sealed copy is kept here: RefusedCopy where the member is told why not. Without it none is.
	TakeCopy func(ctx context.Context, peer protocol.Country, offer CopyOffer) (*CopyIntake, error)

	// ProveCopy proves a member that its copy is still kept here: RefusedCopy where it is told why not now.
	ProveCopy func(ctx context.Context, peer protocol.Country, q CopyQuestion) (CopyProof, error)

	// Witness answers a member's question over cosignatures and evidence; what it wants the member told is in the answer. Without it none is answered.
	Witness func(ctx context.Context, from protocol.Country, ask []byte) (answer []byte, err error)
}

// Exchange is one country's end of the network.
type Exchange struct {
	o     Options
	pace  pace
	gate  *gater
	host  host.Host
	dht   *dht.IpfsDHT
	dir   *atomic.Pointer[directory] // nil until Run: nobody is let in
	relay *relay.Relay               // nil unless this node serves as one
	lanes lanes
	scans scanDesk

	copies copyDesk

	statements statementDesk

	life  context.Context // ends when the exchange closes; bounds every stream and link
	end   context.CancelFunc
	works sync.WaitGroup // links and stream handlers

	rumours rumours

	announcements atomic.Pointer[announcements] // as they were read last
	fetches       chan struct{}                 // one fetch of rosters or announcements at a time
	giving        chan struct{}                 // members that are given rosters
	tidings       chan struct{}                 // there is news about rosters or addresses to tell
	lookups       *rate.Limiter                 // of addresses, in the members' table

	dialling, redialling chan struct{} // attempts under way, to those who may answer and to those who did not

	turn    sync.Mutex     // one change of roster at a time
	adopted *roster.Roster // the last one taken over

	mu      sync.Mutex // held for moments only: Wake needs it
	links   map[protocol.Country]*link
	running bool
	closed  bool

	closing  sync.Once
	closeErr error
}

// New opens the host on all of its addresses. Nobody is let in before Run.
func New(o Options) (*Exchange, error) {
	if o.HostKey == nil || o.Roster == nil || o.RosterHash == nil || o.Mail == nil || o.Now == nil || o.Log == nil || o.Country == "" {
		return nil, errors.New("exchange: country, host key, roster, mail, clock and log are all needed")
	}
	dir := new(atomic.Pointer[directory])
	gate := newGater(dir, o.Log)
	h, err := openHost(o, gate)
	if err != nil {
		return nil, err
	}
	var served *relay.Relay
	if o.Relaying.Serve {
		if served, err = openRelay(h, dir); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	held := &records{}
	table, err := openDHT(h, dir, held)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	life, end := context.WithCancel(context.Background())
	x := &Exchange{o: o, relay: served, pace: defaultPace, gate: gate, tidings: make(chan struct{}, 1), fetches: make(chan struct{}, 1), giving: make(chan struct{}, givers), lookups: rate.NewLimiter(rate.Every(5*time.Second), 10),
		dialling: make(chan struct{}, 8), redialling: make(chan struct{}, 8), host: h, dht: table, dir: dir, lanes: newLanes(), life: life, end: end, links: map[protocol.Country]*link{}}
	held.x.Store(x)
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { x.connected(c) },
		DisconnectedF: func(_ network.Network, c network.Conn) { x.disconnected(c) },
	})
	return x, nil
}

// Run lets members in, connects to them and delivers until ctx ends; then it closes everything and returns when nothing runs any more.
func (x *Exchange) Run(ctx context.Context) error {
	x.mu.Lock()
	if x.closed || x.running {
		x.mu.Unlock()
		return errors.New("exchange: it runs already or was closed; an exchange runs once")
	}
	x.running = true
	x.mu.Unlock()
	x.host.SetStreamHandler(Protocol, x.serve)
	x.host.SetStreamHandler(ScanProtocol, x.serveScan)
	x.host.SetStreamHandler(CustodyProtocol, x.serveCustody)
	x.host.SetStreamHandler(RosterProtocol, x.serveRosters)
	if x.o.Standing != nil {
		x.host.SetStreamHandler(StandingProtocol, x.serveStanding)
	}
	if x.o.Witness != nil {
		x.host.SetStreamHandler(WitnessProtocol, x.serveWitness)
	}
	if x.o.Statement != nil {
		x.host.SetStreamHandler(ReconcileProtocol, x.serveReconcile)
	}
	x.RosterChanged()
	if x.o.Relaying.Use && x.begin() {
		go func() {
			defer x.works.Done()
			x.reserve()
		}()
	}
	if x.o.Rosters != nil && x.begin() {
		go func() {
			defer x.works.Done()
			x.spread()
		}()
	}
	if err := x.dht.Bootstrap(x.life); err != nil {
		return errors.Join(fmt.Errorf("start the members' address table: %w", err), x.Close())
	}
	// Entries begin and end by the clock, without a new roster.
	tick := time.NewTicker(x.pace.reconcile)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			x.RosterChanged()
		case <-ctx.Done():
			return x.Close()
		}
	}
}

// Close ends all streams and connections and returns when nothing runs any more. Run calls it; without Run it must be called.
func (x *Exchange) Close() error {
	x.closing.Do(func() { x.closeErr = x.close() })
	return x.closeErr
}

func (x *Exchange) close() error {
	x.mu.Lock()
	x.closed = true
	x.mu.Unlock()
	x.host.RemoveStreamHandler(Protocol)
	x.host.RemoveStreamHandler(ScanProtocol)
	x.host.RemoveStreamHandler(CustodyProtocol)
	x.host.RemoveStreamHandler(RosterProtocol)
	x.host.RemoveStreamHandler(StandingProtocol)
	x.host.RemoveStreamHandler(WitnessProtocol)
	x.host.RemoveStreamHandler(ReconcileProtocol)
	x.end()
	// The host goes before the wait: closing the connections ends what still reads or writes.
	if x.relay != nil {
		_ = x.relay.Close() // its connections are the host's
	}
	err := errors.Join(x.dht.Close(), x.host.Close())
	x.works.Wait()
	if err != nil {
		return fmt.Errorf("close the exchange: %w", err)
	}
	return nil
}

// begin counts one more piece of work, unless the exchange is closed; done must be called after it.
func (x *Exchange) begin() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return false
	}
	x.works.Add(1)
	return true
}

// Wake says that something was queued for a peer. It does not block.
func (x *Exchange) Wake(peer protocol.Country, ch protocol.Channel) {
	if l := x.link(peer); l != nil {
		if s := l.senders[ch]; s != nil {
			s.wake()
		}
	}
}

func (x *Exchange) link(c protocol.Country) *link {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.links[c]
}

// RosterChanged takes over the roster in force: addresses are added again, connections of those who left or were suspended are closed when
// it returns, and newcomers are dialled. Before Run it does nothing; Run begins with it.
func (x *Exchange) RosterChanged() {
	x.turn.Lock()
	defer x.turn.Unlock()
	r := x.o.Roster()
	dir, faults := directoryOf(r, x.announced(), x.o.Country, x.o.Now())
	if r != x.adopted {
		for _, err := range append(faults, standing(r, x.o.Country, x.host.ID(), x.o.Now())) {
			if err != nil {
				x.o.Log.Warn("roster", "err", err)
			}
		}
		x.adopted = r
	}
	leaving, begun, moved := x.adopt(dir)
	for _, c := range leaving {
		x.drop(c)
	}
	for _, l := range begun {
		l.start()
	}
	for _, l := range moved {
		l.keeper.wake()
	}
	signal(x.tidings)
}

// adopt makes a directory the gate's and the links', and returns the connections of those who no longer belong, the links of newcomers, and those whose member
// has other addresses now.
func (x *Exchange) adopt(dir *directory) (leaving []network.Conn, begun, moved []*link) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.running || x.closed {
		return nil, nil, nil
	}
	// First the gate, then the sweep: what passes the old gate meanwhile is met by connected().
	x.dir.Store(dir)
	for c, l := range x.links {
		if dir.byCountry[c] == nil {
			x.o.Log.Info("member left the roster or was suspended", "peer", c)
			l.stop()
			delete(x.links, c)
		}
	}
	for _, c := range x.host.Network().Conns() {
		if dir.member(c.RemotePeer()) == nil && !x.gate.visited(c.RemotePeer()) {
			leaving = append(leaving, c)
		}
	}
	for c, m := range dir.byCountry {
		l := x.links[c]
		if l == nil {
			l = newLink(x, m)
			x.links[c] = l
			begun = append(begun, l)
		}
		if l.update(m) {
			moved = append(moved, l)
		}
	}
	return leaving, begun, moved
}

// drop closes a connection and forgets the peer's addresses.
func (x *Exchange) drop(c network.Conn) {
	if err := c.Close(); err != nil {
		x.o.Log.Debug("close connection", "peer", c.RemotePeer(), "err", err)
	}
	x.host.Peerstore().ClearAddrs(c.RemotePeer())
}

// connected runs for every new connection, on libp2p's goroutines.
func (x *Exchange) connected(c network.Conn) {
	if !x.begin() {
		return
	}
	defer x.works.Done()
	l := x.linkOf(c)
	if l == nil && x.gate.visited(c.RemotePeer()) {
		return
	}
	if l == nil {
		x.drop(c) // it passed the gate before the roster changed
		return
	}
	if c.Stat().Direction == network.DirInbound {
		x.dropForsaken(c)
	}
	l.up(c)
}

// dropForsaken closes older connections of a peer that has come in anew. A host does not dial whom it is connected with: the peer was
// restarted, or has lost those connections, and here they would be noticed as dead only after a long silence. Two hosts that dial each
// other at the same time are left in peace.
func (x *Exchange) dropForsaken(c network.Conn) {
	for _, old := range x.host.Network().ConnsToPeer(c.RemotePeer()) {
		if c.Stat().Opened.Sub(old.Stat().Opened) > x.pace.crossing {
			_ = old.Close()
		}
	}
}

func (x *Exchange) disconnected(c network.Conn) {
	if l := x.linkOf(c); l != nil {
		l.down()
	}
}

// linkOf returns the link of the member at the other end, nil if it is none.
func (x *Exchange) linkOf(c network.Conn) *link {
	m := x.dir.Load().member(c.RemotePeer())
	if m == nil {
		return nil
	}
	return x.link(m.country)
}

// PeerID is this node's libp2p identity.
func (x *Exchange) PeerID() string { return x.host.ID().String() }

// Addresses are the multiaddrs under which this node listens, each with its peer ID.
func (x *Exchange) Addresses() []string {
	var out []string
	addrs, err := x.host.Network().InterfaceListenAddresses()
	if err != nil {
		addrs = x.host.Network().ListenAddresses()
	}
	for _, a := range addrs {
		out = append(out, a.String()+"/p2p/"+x.PeerID())
	}
	slices.Sort(out)
	return out
}

// Connections counts the connections that are open: two nodes that dial each other at the same moment have two.
func (x *Exchange) Connections() int { return len(x.host.Network().Conns()) }
