package store

import "github.com/dgraph-io/badger/v4"

// maxIndexCache bounds what the decrypted indexes of tables may take in memory, in bytes: enough for some ten gigabytes of tables.
const maxIndexCache = 256 << 20

// fitCache gives the indexes of tables as much room as they need. Badger decrypts a whole index, of about a megabyte, whenever it is not in the cache, and asks
// for it at each step of a search in a table: a database whose indexes do not fit reads a hundred times as long.
func (s *Store) fitCache() {
	var need int64
	for _, t := range s.db.Tables() {
		need += int64(t.IndexSz)
	}
	room := min(max(s.opt.Cache/2, need+need/4), max(s.opt.Cache/2, maxIndexCache))
	if _, err := s.db.CacheMaxCost(badger.IndexCache, room); err != nil {
		s.log.Error("store: the cache keeps its size", "error", err)
	}
}
