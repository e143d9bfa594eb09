package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	libp2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/node/accounting"
	"proofmark/node/backup"
	"proofmark/node/ballistics"
	"proofmark/node/bundle"
	"proofmark/node/control"
	"proofmark/node/custody"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/exchange"
	"proofmark/node/identity"
	"proofmark/node/membership"
	"proofmark/node/operations"
	"proofmark/node/people"
	"proofmark/node/permission"
	"proofmark/node/release"
	"proofmark/node/retention"
	"proofmark/node/sharing"
	"proofmark/node/tracing"
	"proofmark/node/witness"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Options adjust a node that is opened.
type Options struct {
	Now  func() time.Time // the wall clock unless a test says otherwise
	Log  *slog.Logger
	Cost crypto.ArgonCost // of new secrets; the default unless a test says otherwise

	offline bool     // no network: the node is only being made
	scans   scanPace // the usual one unless a test says otherwise
	muxer   network.Multiplexer

	witnessing witness.Pace // the usual one unless a test says otherwise
}

// Node is one country's node, open.
type Node struct {
	Config Config
	dir    string
	log    *slog.Logger
	now    func() time.Time
	keys   *crypto.Keys
	store  *store.Store
	policy atomic.Pointer[policy.Engine]

	desk       *desk.Desk
	people     *people.Service
	membership *membership.Service
	identity   *identity.Service
	hostKey    libp2pcrypto.PrivKey // that the host was opened with
	dispatch   *dispatch.Dispatch
	exchange   *exchange.Exchange
	ballistics *ballistics.Service
	operations *operations.Service
	tracing    *tracing.Service
	release    *release.Service
	backup     *backup.Service
	custody    *custody.Service
	witness    *witness.Service
	accounting *accounting.Service

	permissions *permission.Service
	retention   *retention.Service
	sharing     *sharing.Service

	figures prometheus.Gatherer // libp2p's; nil where nobody asks for figures

	offer chan struct{} // publications may have to be offered to members
}

// Open opens the data folder with its passphrase and wires the node together; Run starts it.
func Open(dir string, passphrase []byte, o Options) (*Node, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Cost == (crypto.ArgonCost{}) {
		o.Cost = crypto.DefaultCost
	}
	c, err := LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	if err := guardFolder(dir); err != nil {
		return nil, err
	}
	n := &Node{Config: c, dir: dir, log: o.Log, now: o.Now, offer: make(chan struct{}, 1)}
	master, err := n.unlock(passphrase)
	if err != nil {
		return nil, err
	}
	signer, err := n.keys.LogSigner(LogOrigin(c.Country))
	if err != nil {
		return nil, err
	}
	if !o.offline {
		if err := databasePresent(filepath.Join(dir, storeDir)); err != nil {
			return nil, err
		}
	}
	n.store, err = store.Open(store.Options{Dir: filepath.Join(dir, storeDir), Key: master.Derive("badger"), Now: o.Now, Random: rand.Reader, Signer: signer,
		Reserve: c.Store.ReserveMB << 20, Log: o.Log.With("part", "store")})
	if err != nil {
		return nil, damagedDatabase(filepath.Join(dir, storeDir), err)
	}
	engine, err := sharing.Load(n.store, filepath.Join(dir, policyDir))
	if err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	n.policy.Store(engine)
	if err := n.assemble(o, master); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	if !o.offline {
		err := n.inhabited()
		if err == nil {
			err = sharing.Record(context.Background(), n.store, engine, filepath.Join(dir, policyDir), n.log)
		}
		if err == nil {
			err = n.calibrate(context.Background())
		}
		if err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

// unlock opens the master key and the country's keys.
func (n *Node) unlock(passphrase []byte) (crypto.MasterKey, error) {
	var none crypto.MasterKey
	wrapped, err := os.ReadFile(filepath.Join(n.dir, masterFile))
	if err != nil {
		return none, fmt.Errorf("master key: %w", err)
	}
	master, err := crypto.UnwrapMasterKey(wrapped, passphrase)
	if err != nil {
		return none, damagedFile(filepath.Join(n.dir, masterFile), wrapped, err)
	}
	sealed, err := os.ReadFile(filepath.Join(n.dir, keysFile))
	if err != nil {
		return none, fmt.Errorf("keys: %w", err)
	}
	if n.keys, err = crypto.OpenKeys(sealed, master); err != nil {
		return none, damagedFile(filepath.Join(n.dir, keysFile), sealed, err)
	}
	return master, nil
}

func (n *Node) assemble(o Options, master crypto.MasterKey) error {
	country := protocol.Country(n.Config.Country)
	n.desk = &desk.Desk{Store: n.store, Policy: n.policy.Load, Country: country, Log: n.log}
	n.people = people.New(n.desk, o.Cost)
	n.sharing = sharing.New(n.desk, filepath.Join(n.dir, policyDir), &n.policy, n.now, n.offerSoon)
	var err error
	n.membership, err = membership.New(n.desk, membership.WithSelf(n.self))
	if err != nil {
		return err
	}
	n.identity = identity.New(identity.Options{Desk: n.desk, Keys: n.keys, Seal: func(k *crypto.Keys) ([]byte, error) { return k.Seal(master) },
		KeysPath: filepath.Join(n.dir, keysFile), MemberPath: MemberPath(n.dir), Name: n.Config.Name, LogOrigin: LogOrigin(n.Config.Country),
		Addresses: func() ([]string, error) { return announcedAddresses(n.Config) }, Roster: n.membership.Current, Now: o.Now, Random: rand.Reader})
	n.hostKey = n.identity.HostKey()
	lapse, err := n.Config.approvalTime()
	if err != nil {
		return err
	}
	n.dispatch = dispatch.New(dispatch.Options{ApprovalTime: lapse, Country: country, Store: n.store, Signing: n.identity.Signer, Policy: n.policy.Load, Roster: n.membership.Current,
		Operations: func(tx *store.Tx, with protocol.Country) ([]policy.Operation, error) {
			return n.operations.Running(tx, with)
		},
		Now: o.Now, Random: rand.Reader, Log: n.log.With("part", "dispatch"), OnQueued: func(peer protocol.Country, ch protocol.Channel) {
			if n.exchange != nil {
				n.exchange.Wake(peer, ch)
			}
		}})
	n.operations = operations.New(n.desk, n.dispatch, n.offerSoon)
	n.permissions = permission.New(n.desk, n.dispatch)
	n.tracing = tracing.New(n.desk, n.dispatch)
	n.ballistics = ballistics.New(n.desk, n.dispatch, o.Now)
	n.ballistics.KeepSnapshot(ballistics.Snapshot{Path: filepath.Join(n.dir, indexFile), Key: master.Derive("index"), Random: rand.Reader})
	n.release = n.newRelease(o)
	n.backup = backup.New(backup.Options{Desk: n.desk, Signer: n.identity.Signer, Master: master, Files: n.backupFiles, Now: o.Now, Random: rand.Reader})
	if n.witness, err = n.newWitness(o.witnessing); err != nil {
		return err
	}
	n.accounting = n.newAccounting()
	if n.retention, err = n.newRetention(); err != nil {
		return err
	}
	if n.custody, err = n.newCustody(); err != nil || o.offline {
		return err
	}
	var figures prometheus.Registerer
	if n.Config.Monitor.Listen != "" {
		registry := prometheus.NewRegistry()
		n.figures, figures = registry, registry
	}
	n.exchange, err = exchange.New(exchange.Options{Figures: figures, Country: country, HostKey: n.hostKey, Listen: n.Config.Network.Listen, Roster: n.membership.Current,
		RosterHash: n.membership.Hash, Mail: n.dispatch, Standing: n.dispatch, Now: o.Now, Log: n.log.With("part", "exchange"), Queues: n.dispatch.Queues, OpenScan: n.openScan, TakeCopy: n.takeCopy, ProveCopy: n.proveCopy, Witness: n.witness.Answer, Statement: n.accounting.AnswerStatement,
		Relaying: exchange.Relaying{Serve: n.Config.Exchange.Relay, Use: n.Config.Exchange.UseRelays}, Rosters: n.rosters(), Book: n.book(), Muxer: o.muxer})
	if err != nil {
		return err
	}
	n.membership.OnChange(func() {
		n.exchange.RosterChanged()
		n.offerSoon()
	})
	return nil
}

func (n *Node) offerSoon() {
	select {
	case n.offer <- struct{}{}:
	default:
	}
}

// Close closes what Open opened; Run does it itself.
func (n *Node) Close() error {
	var err error
	if n.exchange != nil {
		err = n.exchange.Close()
	}
	if n.dispatch != nil {
		err = errors.Join(err, n.dispatch.FlushRefusals(context.Background(), true), n.release.FlushRefusals(context.Background(), true))
	}
	return errors.Join(err, n.store.Close())
}

// Run serves until ctx ends, then stops cleanly: commands under way are finished, streams closed, the store flushed. ready is called once the node
// accepts commands.
func (n *Node) Run(ctx context.Context, ready func()) error {
	defer n.log.Info("stopped")
	if err := n.tracing.Resume(ctx); err != nil {
		return errors.Join(fmt.Errorf("resume imports: %w", err), n.Close())
	}
	if err := n.dispatch.Resume(ctx); err != nil {
		return errors.Join(err, n.Close())
	}
	parts := map[string]func(context.Context) error{"exchange": n.exchange.Run, "correlation": n.ballistics.Run, "scans": n.release.Run, "tracing": n.tracing.Run, "custody": n.custody.Run, "upkeep": (&upkeep{n: n}).run, "retention": n.retention.Run, "witness": n.witness.Run}
	if n.Config.Monitor.Listen != "" {
		page, err := n.monitor()
		if err != nil {
			return errors.Join(err, n.Close())
		}
		defer page.Close()
		parts["monitor"] = page.Serve
	}
	server, err := control.Listen(n.SocketPath(), n.services())
	if err != nil {
		return errors.Join(err, n.Close())
	}
	parts["control"] = server.Serve
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	faults := make(chan error, len(parts))
	for name, serve := range parts {
		wg.Go(func() {
			defer stop(fmt.Errorf("%s has ended", name)) // a part that ends takes the node down: a supervisor restarts it whole
			if err := serve(ctx); err != nil {
				faults <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	n.offerSoon()
	n.log.Info("serving", "country", n.Config.Country, "name", n.Config.Name, "addresses", n.exchange.Addresses(), "socket", n.SocketPath())
	if ready != nil {
		ready()
	}
	wg.Wait()
	n.log.Info("stopping", "because", context.Cause(ctx)) // of what told it to, a signal or a part that ended, the first
	close(faults)
	err = nil
	for f := range faults {
		err = errors.Join(err, f)
	}
	return errors.Join(err, n.Close())
}

// SocketPath is where the node takes commands.
func (n *Node) SocketPath() string { return filepath.Join(n.dir, socketFile) }

// services is what the command socket gives access to.
func (n *Node) services() control.Services {
	return control.Services{
		Country: protocol.Country(n.Config.Country), Name: n.Config.Name, Now: n.now, Log: n.log.With("part", "control"),
		Desk: n.desk, Store: n.store, People: n.people, Membership: n.membership, Operations: n.operations, Identity: n.identity, Ballistics: n.ballistics, Tracing: n.tracing, Release: n.release, Dispatch: n.dispatch, Exchange: n.exchange, Permissions: n.permissions,
		Backup:     n.backup,
		Custody:    n.custody,
		Witness:    n.witness,
		Accounting: n.accounting,
		Retention:  n.retention,
		Agenda:     n.agenda,
		Bundles:    bundle.New(n.desk, n.dispatch, n.membership.Current, n.identity.Keys),
		Sharing:    n.sharing,
		LogVerifier: func() (note.Verifier, error) {
			return note.NewVerifier(n.keys.LogVerifierKey(LogOrigin(n.Config.Country)))
		},
	}
}
