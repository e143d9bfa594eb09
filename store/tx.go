package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"proofmark/protocol"
)

// Tx is one act's sight of the database. It is valid while the act runs and for its goroutine only.
//
// Iterators have no error of their own: one that meets an error stops, and the error stays with the transaction, where Err shows it.
// Update and View return it in any case, so an act that overlooks it fails as a whole.
type Tx struct {
	s     *Store
	snap  *snapshot
	under *overlay   // the acts folded before this one; nil in a view
	base  *overlay   // the fold before, whose commit may still be under way; nil if there is none
	outer []*overlay // writes of the acts that this nested one is part of, the outermost first
	own   *overlay   // nil in a view
	now   time.Time
	last  lastState

	command string // that Once runs

	entries  []protocol.AuditEntry
	complete func(*protocol.AuditEntry)
	hooks    []func()
	iters    []*badger.Iterator
	err      error
	done     bool
}

// Now is the node's clock, read once when the act began.
func (tx *Tx) Now() time.Time { return tx.now }

// Random is the node's source of randomness.
func (tx *Tx) Random() io.Reader { return tx.s.opt.Random }

// Err is the first error met by an iterator of this transaction.
func (tx *Tx) Err() error { return tx.err }

// Room is how many more bytes of keys and values the act can write before it is ErrTooLarge, its audit entries not counted; values of 32 KiB and more count
// with their keys.
func (tx *Tx) Room() int64 {
	if tx.own == nil {
		return 0
	}
	room := tx.s.db.MaxBatchSize() - commitSize - tx.own.size
	for _, o := range tx.outer {
		room -= o.size
	}
	return room
}

// OnCommit has f called once the act is durable, before Update returns and on its caller's goroutine; not if the act fails. The order
// among different acts is not fixed.
func (tx *Tx) OnCommit(f func()) { tx.hooks = append(tx.hooks, f) }

// Get returns a copy of the value of a raw key, or ErrNotFound.
func (tx *Tx) Get(key string) ([]byte, error) {
	v, err := tx.get(spaceRaw + key)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", key, err)
	}
	return bytes.Clone(v), nil
}

// Put sets a raw key. The value is copied.
func (tx *Tx) Put(key string, value []byte) error {
	if err := tx.put(spaceRaw+key, append(make([]byte, 0, len(value)), value...)); err != nil {
		return fmt.Errorf("put %.60q: %w", key, err)
	}
	return nil
}

// Delete removes a raw key; one that is missing is no error.
func (tx *Tx) Delete(key string) error {
	if err := tx.del(spaceRaw + key); err != nil {
		return fmt.Errorf("delete %.60q: %w", key, err)
	}
	return nil
}

// Scan yields the raw keys with the prefix and their values in ascending order, those after the key `after` only ("" = from the
// start). It sees what this act wrote, also while the iteration is under way. The values must not be changed. Errors: see Tx.
func (tx *Tx) Scan(prefix, after string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		if after != "" {
			after = spaceRaw + after
		}
		for key, value := range tx.scan(spaceRaw+prefix, after, true) {
			if !yield(key[len(spaceRaw):], value) {
				return
			}
		}
	}
}

// fail keeps the first error of an iterator.
func (tx *Tx) fail(err error) {
	if tx.err == nil {
		tx.err = err
	}
}

func (tx *Tx) end() {
	tx.done = true
	for _, it := range tx.iters {
		it.Close() // left open by an iteration that was pulled and never stopped
	}
	tx.iters = nil
}

func (tx *Tx) writable() error {
	switch {
	case tx.done:
		return ErrTxDone
	case tx.own == nil:
		return ErrReadOnly
	}
	return nil
}

// get returns the value of a key of any space; it must not be changed.
func (tx *Tx) get(key string) ([]byte, error) { return tx.read(key, false) }

// read is get; what is kept of the database is read once for all who share the snapshot.
func (tx *Tx) read(key string, keep bool) ([]byte, error) {
	if tx.done {
		return nil, ErrTxDone
	}
	if w, ok := tx.written(key); ok {
		if w.deleted {
			return nil, ErrNotFound
		}
		return w.value, nil
	}
	value, err := tx.snap.get(key, keep)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return value, nil
}

func (tx *Tx) has(key string) (bool, error) {
	if w, ok := tx.written(key); ok {
		return !w.deleted, nil
	}
	if tx.done {
		return false, ErrTxDone
	}
	ok, err := tx.snap.has(key)
	if err != nil {
		return false, fmt.Errorf("read: %w", err)
	}
	return ok, nil
}

// put sets a key of any space and keeps value.
func (tx *Tx) put(key string, value []byte) error {
	if err := tx.writable(); err != nil {
		return err
	}
	if len(key) > maxKey {
		return fmt.Errorf("%w: a key of %d bytes, the limit is %d", ErrTooLarge, len(key), maxKey)
	}
	if int64(len(value)) > MaxBlob {
		return fmt.Errorf("%w: a value of %d bytes, the limit is %d", ErrTooLarge, len(value), MaxBlob)
	}
	tx.own.set(key, write{value: value})
	return nil
}

func (tx *Tx) del(key string) error {
	if err := tx.writable(); err != nil {
		return err
	}
	if len(key) > maxKey {
		return nil
	}
	tx.own.set(key, write{deleted: true})
	return nil
}

// scan yields keys of any space with the prefix, strictly after `after` ("" = from the start); values only if wanted.
func (tx *Tx) scan(prefix, after string, values bool) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		if tx.done {
			tx.fail(ErrTxDone)
			return
		}
		if tx.err != nil {
			return
		}
		from, inclusive := prefix, true
		if after >= prefix && after != "" {
			from, inclusive = after, false
		}
		it := tx.snap.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
		tx.iters = append(tx.iters, it)
		defer tx.closeIterator(it)
		it.Seek([]byte(from))
		for !tx.done {
			var stored string
			inStore := it.Valid()
			if inStore {
				stored = string(it.Item().Key())
				if !inclusive && stored == from {
					it.Next()
					continue
				}
			}
			key, w, inMemory := tx.nextWrite(from, inclusive, prefix)
			switch {
			case !inStore && !inMemory:
				return
			case inMemory && (!inStore || key <= stored):
				if inStore && key == stored {
					it.Next()
				}
				from, inclusive = key, false
				if !w.deleted && !yield(key, w.value) {
					return
				}
			default:
				var value []byte
				if values {
					var err error
					if value, err = it.Item().ValueCopy(nil); err != nil {
						tx.fail(fmt.Errorf("read: %w", err))
						return
					}
				}
				it.Next()
				from, inclusive = stored, false
				if !yield(stored, value) {
					return
				}
			}
			if tx.err != nil {
				return
			}
		}
	}
}

// written is the last write of a key that is still in memory: this act's, the acts' around it, those folded before, or the fold before.
func (tx *Tx) written(key string) (write, bool) {
	if w, ok := tx.own.get(key); ok {
		return w, true
	}
	for _, o := range slices.Backward(tx.outer) {
		if w, ok := o.get(key); ok {
			return w, true
		}
	}
	if w, ok := tx.under.get(key); ok {
		return w, true
	}
	return tx.base.get(key)
}

// nextWrite is the next key in memory, the later writes before the earlier ones.
func (tx *Tx) nextWrite(from string, inclusive bool, prefix string) (key string, w write, ok bool) {
	consider := func(o *overlay) {
		if k, v, more := o.next(from, inclusive); more && strings.HasPrefix(k, prefix) && (!ok || k < key) {
			key, w, ok = k, v, true
		}
	}
	consider(tx.own)
	for _, o := range slices.Backward(tx.outer) {
		consider(o)
	}
	consider(tx.under)
	consider(tx.base)
	return key, w, ok
}

func (tx *Tx) closeIterator(it *badger.Iterator) {
	for i, open := range tx.iters {
		if open == it {
			tx.iters = append(tx.iters[:i], tx.iters[i+1:]...)
			it.Close()
			return
		}
	}
}
