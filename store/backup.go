package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/dgraph-io/badger/v4"
)

// ErrBackup: the bytes are no backup of a database, or not the one that follows what is there.
var ErrBackup = errors.New("not a backup that fits")

// BackupHead says what a backup holds before its bytes are written.
type BackupHead struct {
	Version    uint64 // of the database; the next backup takes what is newer
	Checkpoint []byte // the signed head of the audit log in it
}

// BackupCount counts the records of a backup.
type BackupCount struct {
	Written int64 `json:"written"` // with their values
	Kept    int64 `json:"kept"`    // unchanged since the backup before
}

// The records of a backup, in the order of their keys, then one end:
//
//	S key value    a key with its value, each with its length before it (varint); everything newer than `since`
//	K digest       a key that is unchanged: the first 8 bytes of its SHA-256
//	E number       how many records there were (varint)
//
// A key of the backup before that is neither S nor K was deleted since: Badger's own increments learn of deletions by marks, which compaction may have
// dropped by then, and what was erased would come back.
const (
	recordSet  = 'S'
	recordKept = 'K'
	recordEnd  = 'E'
	digestSize = 8
)

// Backup writes everything, or what changed after version `since` (0 = everything) with the proof of what did not, as one consistent snapshot, beside all
// other work and in bounded memory: one value at most. begin is told what the snapshot is and returns where its bytes go. progress (may be nil) is told
// now and then how many records are done.
//
// Badger's Backup reads with several transactions begun one after another, which under load are of different moments; this is one.
func (s *Store) Backup(ctx context.Context, since uint64, begin func(BackupHead) (io.Writer, error), progress func(records int64)) (BackupCount, error) {
	var n BackupCount
	if err := s.enter(); err != nil {
		return n, err
	}
	defer s.users.Done()
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	if since > txn.ReadTs() {
		return n, fmt.Errorf("%w: it is to follow version %d, this database is at %d: it is older than its last backup", ErrBackup, since, txn.ReadTs())
	}
	head := BackupHead{Version: txn.ReadTs()}
	item, err := txn.Get([]byte(keyCheckpoint))
	if err == nil {
		head.Checkpoint, err = item.ValueCopy(nil)
	}
	if err != nil {
		return n, fmt.Errorf("backup: audit checkpoint: %w", err)
	}
	to, err := begin(head)
	if err != nil {
		return n, err
	}
	w := bufio.NewWriterSize(to, 64<<10)
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		if err := writeRecord(w, it.Item(), since, &n); err != nil {
			return n, fmt.Errorf("backup: %w", err)
		}
		if all := n.Written + n.Kept; progress != nil && all%1024 == 0 {
			progress(all)
		}
	}
	_, err = w.Write(binary.AppendUvarint([]byte{recordEnd}, uint64(n.Written+n.Kept)))
	if err = errors.Join(err, w.Flush()); err != nil {
		return n, fmt.Errorf("backup: %w", err)
	}
	return n, nil
}

func writeRecord(w io.Writer, item *badger.Item, since uint64, n *BackupCount) error {
	if item.Version() <= since {
		n.Kept++
		sum := sha256.Sum256(item.Key())
		_, err := w.Write(append([]byte{recordKept}, sum[:digestSize]...))
		return err
	}
	n.Written++
	return item.Value(func(value []byte) error {
		b := binary.AppendUvarint([]byte{recordSet}, uint64(len(item.Key())))
		b = binary.AppendUvarint(append(b, item.Key()...), uint64(len(value)))
		if _, err := w.Write(b); err != nil {
			return err
		}
		_, err := w.Write(value)
		return err
	})
}

// Loader fills a new database from a full backup and the increments after it, in their order.
type Loader struct {
	db      *badger.DB
	opt     Options
	applied int
}

// loadFlush is how many bytes of values are held in memory before they are written.
const loadFlush = 32 << 20

// OpenLoader makes a new database in opt.Dir, which must be empty or missing; of opt, Dir and Key are required, and Reserve is kept.
func OpenLoader(opt Options) (*Loader, error) {
	if len(opt.Key) != 32 || opt.Dir == "" {
		return nil, errors.New("load backup: a folder and a key of 32 bytes are required")
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
	db, err := badger.Open(badgerOptions(opt).WithSyncWrites(false)) // a load that was broken off is begun anew; Close syncs
	if err != nil {
		return nil, fmt.Errorf("load backup into %s: %w", opt.Dir, err)
	}
	return &Loader{db: db, opt: opt}, nil
}

// Load applies one backup: the first must be a full one. Bytes that do not follow what is there are ErrBackup, and the database is of no use afterwards.
func (l *Loader) Load(ctx context.Context, r io.Reader) (BackupCount, error) {
	in := newRecordReader(r)
	txn := l.db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	it.Rewind()
	if l.applied > 0 != it.Valid() {
		return in.n, fmt.Errorf("%w: the database has records before the first backup, or none after it", ErrBackup)
	}
	l.applied++
	b := &loadBatch{l: l}
	defer b.cancel()
	for {
		if err := ctx.Err(); err != nil {
			return in.n, err
		}
		rec, err := in.next()
		if err != nil {
			return in.n, err
		}
		if rec.kind == recordEnd {
			break
		}
		for it.Valid() && !rec.reaches(it.Item().Key()) { // deleted since the backup before
			if err := b.del(it.Item().KeyCopy(nil)); err != nil {
				return in.n, err
			}
			it.Next()
		}
		met := it.Valid() && rec.is(it.Item().Key())
		if rec.kind == recordKept && !met {
			return in.n, fmt.Errorf("%w: record %d was unchanged since the backup before it, and is not in that one", ErrBackup, in.n.Written+in.n.Kept)
		}
		if met {
			it.Next()
		}
		if rec.kind == recordSet {
			if err := b.set(rec.key, rec.value); err != nil {
				return in.n, err
			}
		}
	}
	for ; it.Valid(); it.Next() {
		if err := b.del(it.Item().KeyCopy(nil)); err != nil {
			return in.n, err
		}
	}
	return in.n, b.flush()
}

// Close makes everything durable.
func (l *Loader) Close() error {
	if err := errors.Join(l.db.Sync(), l.db.Close()); err != nil {
		return fmt.Errorf("load backup: %w", err)
	}
	return nil
}

// CheckBackup reads a backup of a database to its end without applying it: its form, not what it follows.
func CheckBackup(ctx context.Context, r io.Reader) (BackupCount, error) {
	in := newRecordReader(r)
	for {
		if err := ctx.Err(); err != nil {
			return in.n, err
		}
		rec, err := in.next()
		if err != nil || rec.kind == recordEnd {
			return in.n, err
		}
	}
}

// loadBatch gathers writes up to a size.
type loadBatch struct {
	l     *Loader
	wb    *badger.WriteBatch
	bytes int
}

func (b *loadBatch) room(n int) error {
	if b.wb != nil && b.bytes+n > loadFlush {
		if err := b.flush(); err != nil {
			return err
		}
	}
	if b.wb == nil {
		if b.l.opt.Reserve > 0 { // a full disk kills the process
			free, err := FreeBytes(b.l.opt.Dir)
			if err != nil {
				return err
			}
			if free < b.l.opt.Reserve+2*loadFlush+2*uint64(n) {
				return fmt.Errorf("%w (%d MiB free in %s)", ErrDiskReserve, free>>20, b.l.opt.Dir)
			}
		}
		b.wb = b.l.db.NewWriteBatch()
	}
	b.bytes += n
	return nil
}

func (b *loadBatch) set(key, value []byte) error {
	if err := b.room(len(key) + len(value)); err != nil {
		return err
	}
	return b.wb.Set(key, value)
}

func (b *loadBatch) del(key []byte) error {
	if err := b.room(len(key)); err != nil {
		return err
	}
	return b.wb.Delete(key)
}

func (b *loadBatch) flush() error {
	if b.wb == nil {
		return nil
	}
	wb := b.wb
	b.wb, b.bytes = nil, 0
	if err := wb.Flush(); err != nil {
		return fmt.Errorf("load backup: %w", err)
	}
	return nil
}

func (b *loadBatch) cancel() {
	if b.wb != nil {
		b.wb.Cancel()
	}
}
