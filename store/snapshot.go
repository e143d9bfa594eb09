package store

import (
	"errors"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// snapshot is the database as of one commit, shared by all views and acts that begin before the next one is durable. Badger wakes other goroutines at
// the beginning and the end of each of its transactions, and lets one that begins beside a commit wait for that to end; here a commit pays once for all
// readers behind it, and none of them waits.
type snapshot struct {
	txn   *badger.Txn
	users int // under Store.sights; the latest one has the store itself as a user

	mu    sync.Mutex
	known map[string][]byte // values of keys that were asked for; nil: the key is not there
}

// knownKeys bounds what a snapshot remembers. Every act asks for keys that are hardly ever there, for its record before it adds it, and again and again for a
// channel's state; to find something Badger copies it, and to find nothing it looks into all of its tables.
const knownKeys = 256

func (sn *snapshot) recall(key string) (value []byte, known bool) {
	sn.mu.Lock()
	defer sn.mu.Unlock()
	value, known = sn.known[key]
	return value, known
}

func (sn *snapshot) remember(key string, value []byte) {
	sn.mu.Lock()
	defer sn.mu.Unlock()
	if sn.known == nil || len(sn.known) == knownKeys {
		sn.known = make(map[string][]byte, 16)
	}
	sn.known[key] = value
}

// get returns the value of a key, or badger.ErrKeyNotFound; it must not be changed. A value that is kept is the same slice for whoever asks.
func (sn *snapshot) get(key string, keep bool) ([]byte, error) {
	if value, known := sn.recall(key); known {
		if value == nil {
			return nil, badger.ErrKeyNotFound
		}
		return value, nil
	}
	item, err := sn.txn.Get([]byte(key))
	if err != nil {
		if errors.Is(err, badger.ErrKeyNotFound) {
			sn.remember(key, nil)
		}
		return nil, err
	}
	value, err := item.ValueCopy(nil)
	if err == nil && keep && value != nil {
		sn.remember(key, value)
	}
	return value, err
}

// has reports whether there is a key, without its value.
func (sn *snapshot) has(key string) (bool, error) {
	if value, known := sn.recall(key); known {
		return value != nil, nil
	}
	_, err := sn.txn.Get([]byte(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		sn.remember(key, nil)
		return false, nil
	}
	return err == nil, err
}

// acquire returns the latest snapshot, which the caller gives back with release.
func (s *Store) acquire() *snapshot {
	s.sights.Lock()
	defer s.sights.Unlock()
	s.latest.users++
	return s.latest
}

func (s *Store) release(sn *snapshot) {
	s.sights.Lock()
	defer s.sights.Unlock()
	if sn.users--; sn.users == 0 {
		sn.txn.Discard()
	}
}

// renew makes what is committed now the latest snapshot. The one before keeps Badger from dropping versions, so that every write must be followed by this.
func (s *Store) renew() {
	next := &snapshot{txn: s.db.NewTransaction(false), users: 1}
	s.sights.Lock()
	before := s.latest
	s.latest = next
	s.sights.Unlock()
	if before != nil {
		s.release(before)
	}
}
