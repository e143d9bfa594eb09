// Package store keeps a node's records in an encrypted Badger database: typed collections with secondary indexes, blobs, the
// audit log, the outbox and the channels' heads, all changed together in one transaction by one writer.
//
// It promises that an act which Update has acknowledged survives a crash of the process or the machine, that an act which failed
// left nothing behind, and that no audit entry exists which the signed checkpoint next to it does not cover. It refuses to know
// what the records mean, what the network is and what policies say.
package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/skl"
	"golang.org/x/mod/sumdb/note"
)

// Errors that a caller decides on.
var (
	ErrNotFound    = errors.New("not found")
	ErrWrongKey    = errors.New("the key does not open this database: it was encrypted with another one; check the passphrase and that the data folder belongs to this node")
	ErrLocked      = errors.New("the database is in use by another process: one daemon owns it; stop that one or talk to it")
	ErrClosed      = errors.New("the store is closed")
	ErrReadOnly    = errors.New("a view cannot change anything: use Update")
	ErrTxDone      = errors.New("the transaction is over: a Tx must not be used after its act has returned")
	ErrDiskReserve = errors.New("too little free disk space: writes stop so that the database survives; free some space and try again")
	ErrTooLarge    = errors.New("too large for one transaction")
	ErrFailed      = errors.New("an earlier write failed and what is on disk is uncertain: restart the node, which recovers the last durable state")
	ErrCorrupt     = errors.New("the database contradicts itself")
	ErrOrigin      = errors.New("the audit log in this database belongs to another origin")
	ErrAuditFault  = errors.New("the audit log does not agree with its own checkpoint, nothing can be appended: run an audit verification to see where")
	ErrReceipt     = errors.New("the receipt does not fit what was sent")
	ErrSequence    = errors.New("the message is not the next one of its channel")
	ErrKeyReused   = errors.New("the idempotency key was used before for a different request")
	ErrDuplicate   = errors.New("exists already")
)

// Options says where the database is and what it depends on. Dir, Key, Now, Random and Signer are required.
type Options struct {
	Dir     string           // created (mode 0700) if missing
	Key     []byte           // 32 bytes: AES-256 for everything on disk
	Now     func() time.Time // the node's clock
	Random  io.Reader        // salts of audit entries; crypto/rand.Reader outside of tests
	Signer  note.Signer      // signs the audit log's checkpoints; their origin is Signer.Name()
	Reserve uint64           // bytes of free disk below which writes stop with ErrDiskReserve, small ones below half of it; 0 = no check
	Log     *slog.Logger     // nil = discard

	// MemTable is Badger's table in memory, in bytes; 15 % of it is the limit of one transaction (values from 32 KiB up count only
	// with their keys). 0 = 32 MiB, a limit of 4.8 MiB.
	MemTable int64
	// Cache is the memory for decrypted blocks and table indexes, in bytes; the indexes of a large database get more. 0 = 32 MiB.
	Cache int64

	plain bool // nothing is encrypted or compressed: a test looks for erased bytes in the files
}

const (
	defaultMemTable = 32 << 20
	defaultCache    = 32 << 20
	valueThreshold  = 32 << 10  // values from here on live in the value log, where compaction does not rewrite them
	valueLogFile    = 256 << 20 // a file of the value log; a value must fit into one
	formatVersion   = "2"
)

// Store is one open database. Its methods may be called from any goroutine.
type Store struct {
	opt  Options
	db   *badger.DB
	log  *slog.Logger
	free func(dir string) (uint64, error)

	tables int64 // bytes of the table in memory

	queue   chan *request
	chores  chan *chore
	closing chan struct{}
	stopped chan struct{} // closed when the writer is gone
	w       writer
	commits atomic.Int64
	acts    atomic.Int64 // in commits

	reclaiming sync.Mutex

	sights sync.Mutex
	latest *snapshot
	heads  heads

	mu    sync.Mutex
	shut  bool
	users sync.WaitGroup
}

// Open opens the database in opt.Dir, making it if the folder is missing or empty. It returns ErrWrongKey, ErrLocked or ErrOrigin
// (wrapped) where those are the reason. An audit log that contradicts its checkpoint does not keep the store from opening, so that
// it can be examined; appending to it then fails with ErrAuditFault.
func Open(opt Options) (*Store, error) {
	if err := opt.check(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.MemTable == 0 {
		opt.MemTable = defaultMemTable
	}
	if opt.Cache == 0 {
		opt.Cache = defaultCache
	}
	opt.Key = bytes.Clone(opt.Key)
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := clearEmptyLogs(opt.Dir); err != nil {
		return nil, fmt.Errorf("open store %s: %w", opt.Dir, err)
	}
	db, err := badger.Open(badgerOptions(opt))
	switch {
	case errors.Is(err, badger.ErrEncryptionKeyMismatch):
		return nil, fmt.Errorf("open store %s: %w", opt.Dir, ErrWrongKey)
	case err != nil && lockedByOther(opt.Dir):
		return nil, fmt.Errorf("open store %s: %w", opt.Dir, ErrLocked)
	case err != nil:
		return nil, fmt.Errorf("open store %s: %w", opt.Dir, err)
	}
	s := &Store{
		opt: opt, db: db, log: opt.Log, free: FreeBytes,
		queue: make(chan *request), chores: make(chan *chore), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	s.fitCache()
	s.renew()
	err = s.begin()
	s.renew()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", opt.Dir, err), db.Close())
	}
	s.tables = opt.MemTable + db.MaxBatchSize() + db.MaxBatchCount()*int64(skl.MaxNodeSize)
	tableBytes.Add(s.tables)
	go s.write()
	return s, nil
}

// tableBytes is what the open databases' tables in memory may take.
var tableBytes atomic.Int64

// TableBytes is how many bytes of the heap are tables in memory of all databases that are open, one each; Go counts them as living from the beginning.
func TableBytes() uint64 { return uint64(tableBytes.Load()) }

func (opt *Options) check() error {
	switch {
	case opt.Dir == "":
		return errors.New("no folder given")
	case len(opt.Key) != 32:
		return fmt.Errorf("the key has %d bytes, want 32", len(opt.Key))
	case opt.Now == nil || opt.Random == nil || opt.Signer == nil:
		return errors.New("a clock, a source of randomness and a signer are required")
	case opt.MemTable != 0 && opt.MemTable < 1<<20, opt.Cache != 0 && opt.Cache < 1<<20:
		return errors.New("MemTable and Cache need at least 1 MiB")
	}
	return nil
}

func badgerOptions(opt Options) badger.Options {
	b := badger.DefaultOptions(opt.Dir).
		WithLogger(badgerLog{opt.Log}).
		WithEncryptionKey(opt.Key).
		WithSyncWrites(true).
		// One writer: nothing can conflict, and the bookkeeping for it would cost memory on every read.
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithNumVersionsToKeep(1).
		// Records are JSON, of which neighbours repeat much: in blocks of 8 KiB Snappy takes no more room for the audit log than zstd's level 1 in blocks of
		// 4 KiB, somewhat more for documents, and a third of the time to merge tables; reading one record costs no more.
		WithCompression(options.Snappy).WithBlockSize(8 << 10).
		WithValueThreshold(valueThreshold).WithValueLogFileSize(valueLogFile).
		WithMemTableSize(opt.MemTable).WithNumMemtables(2).
		WithBlockCacheSize(opt.Cache / 2).WithIndexCacheSize(opt.Cache / 2).
		WithNumCompactors(2).WithNumGoroutines(2).
		// AES-CTR hides but does not authenticate: checksums find what the disk got wrong.
		WithVerifyValueChecksum(true).WithChecksumVerificationMode(options.OnBlockRead)
	if opt.plain {
		b = b.WithEncryptionKey(nil).WithCompression(options.None)
	}
	return b
}

// begin checks or writes the format version and loads the audit log's head.
func (s *Store) begin() error {
	err := s.View(func(tx *Tx) error {
		version, err := tx.get(keyFormat)
		if errors.Is(err, ErrNotFound) {
			return s.create()
		}
		if err != nil {
			return err
		}
		if string(version) != formatVersion {
			return fmt.Errorf("the database has format %q, this program knows %q: use the program that wrote it, or a newer one", version, formatVersion)
		}
		return s.loadAudit(tx)
	})
	if err != nil {
		return err
	}
	return s.upgradeIndexes()
}

func (s *Store) create() error {
	checkpoint, err := signCheckpoint(s.opt.Signer, &s.w.tree)
	if err != nil {
		return err
	}
	return s.db.Update(func(txn *badger.Txn) error {
		return errors.Join(txn.Set([]byte(keyFormat), []byte(formatVersion)), txn.Set([]byte(keyCheckpoint), checkpoint),
			txn.Set([]byte(keyIndexed), []byte(indexForm)))
	})
}

// Close lets the commit under way and the views that are open finish, then closes the database. Acts still waiting get ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.shut {
		s.mu.Unlock()
		return nil
	}
	s.shut = true
	s.mu.Unlock()
	close(s.closing)
	<-s.stopped
	s.users.Wait()
	s.release(s.latest)
	tableBytes.Add(-s.tables)
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close store %s: %w", s.opt.Dir, err)
	}
	return nil
}

func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return ErrClosed
	}
	s.users.Add(1)
	return nil
}

// View runs act on a consistent snapshot of everything committed so far; changing anything in it fails with ErrReadOnly. An error
// met by one of the transaction's iterators becomes View's error, even when act overlooked it.
func (s *Store) View(act func(*Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.users.Done()
	sn := s.acquire()
	defer s.release(sn)
	tx := &Tx{s: s, snap: sn, now: s.opt.Now()}
	defer tx.end()
	if err := act(tx); err != nil {
		return err
	}
	return tx.err
}

// Commits is the number of transactions committed since Open: with many writers far fewer than acts.
func (s *Store) Commits() int64 { return s.commits.Load() }

// badgerLog passes on what Badger complains about; its informational chatter stays out of the node's log, and so does what it thinks of the cache of blocks,
// whose size is chosen: whoever reads a whole log finds nothing in it.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(f string, a ...any) { l.log.Error("badger: " + trimLine(f, a)) }
func (l badgerLog) Warningf(f string, a ...any) {
	line := trimLine(f, a)
	if !strings.HasPrefix(line, "Block cache might be too small") && !strings.HasPrefix(line, "Cache life expectancy") {
		l.log.Warn("badger: " + line)
	}
}
func (l badgerLog) Infof(string, ...any)  {}
func (l badgerLog) Debugf(string, ...any) {}

func trimLine(format string, args []any) string {
	return string(bytes.TrimSpace(fmt.Appendf(nil, format, args...)))
}
