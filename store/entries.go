package store

import (
	"fmt"
	"iter"
	"slices"
)

// Entries yields the values of an index with the ids of their records, ordered by value and then by id, without reading the records: it takes about a
// microsecond for each.
func (c *Collection[T]) Entries(tx *Tx, index string) iter.Seq2[string, string] {
	return func(yield func(value, id string) bool) {
		if !slices.ContainsFunc(c.indexes, func(x Index[T]) bool { return x.Name == index }) {
			tx.fail(fmt.Errorf("collection %s has no index %q", c.name, index))
			return
		}
		prefix := c.indexKey(index+"\x00", "")
		for key := range tx.scan(prefix, "", false) {
			value, id, ok := cutEscaped(key[len(prefix):])
			if !ok {
				tx.fail(fmt.Errorf("%w: index %s of %s holds the malformed key %q", ErrCorrupt, index, c.name, key))
				return
			}
			if !yield(value, id) {
				return
			}
		}
	}
}

// Spare is the free disk space beside the reserve, in bytes: what may be written next to the database without stopping it. 0 where none is left.
func (s *Store) Spare() (uint64, error) {
	free, err := s.free(s.opt.Dir)
	if err != nil {
		return 0, fmt.Errorf("free disk space: %w", err)
	}
	return free - min(free, s.opt.Reserve), nil
}
