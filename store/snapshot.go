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

	mu     sync.Mutex
	absent map[string]struct{} // keys that were asked for and are not in it
}

// absentKeys bounds how many keys a snapshot remembers: every act asks for some that are hardly ever there, and twice for the record that it adds, and to find
// nothing Badger looks into all of its tables.
const absentKeys = 256

func (sn *snapshot) lacks(key string) bool {
	sn.mu.Lock()
	defer sn.mu.Unlock()
	_, absent := sn.absent[key]
	return absent
}

func (sn *snapshot) noteAbsent(key string) {
	sn.mu.Lock()
	defer sn.mu.Unlock()
	if sn.absent == nil || len(sn.absent) == absentKeys {
		sn.absent = make(map[string]struct{}, 16)
	}
	sn.absent[key] = struct{}{}
}

// get finds a key; badger.ErrKeyNotFound if it is not there.
func (sn *snapshot) get(key string) (*badger.Item, error) {
	if sn.lacks(key) {
		return nil, badger.ErrKeyNotFound
	}
	item, err := sn.txn.Get([]byte(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		sn.noteAbsent(key)
	}
	return item, err
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
