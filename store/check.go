package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// CheckIndexes examines every collection: each record is found under exactly the index entries that it names, no index points to
// nothing, and the counts are right. The first contradiction is returned (ErrCorrupt, with the record's place). It works on a snapshot.
func (s *Store) CheckIndexes(ctx context.Context) error {
	return s.View(func(tx *Tx) error {
		counts := map[string]uint64{}
		for key, stored := range tx.scan(spaceRecord, "", true) {
			if err := ctx.Err(); err != nil {
				return err
			}
			name, id, _ := strings.Cut(key[len(spaceRecord):], "\x00")
			counts[name]++
			entries, _, err := decodeRecord(stored)
			if err != nil {
				return fmt.Errorf("%s %s: %w", name, id, err)
			}
			for _, e := range entries {
				if ok, err := tx.has(spaceIndex + name + "\x00" + e + id); err != nil || !ok {
					return fmt.Errorf("%w: %s %s is missing from index %q (%v)", ErrCorrupt, name, id, e, err)
				}
			}
		}
		for key := range tx.scan(spaceIndex, "", false) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := tx.checkIndexKey(key); err != nil {
				return err
			}
		}
		for key, stored := range tx.scan(spaceCount, "", true) {
			name := key[len(spaceCount):]
			if n, err := parseNumber(string(stored)); err != nil || n != counts[name] {
				return fmt.Errorf("%w: there are %d of %s, its count says %d (%v)", ErrCorrupt, counts[name], name, n, err)
			}
			delete(counts, name)
		}
		for name, n := range counts {
			return fmt.Errorf("%w: there are %d of %s and no count", ErrCorrupt, n, name)
		}
		return nil
	})
}

func (tx *Tx) checkIndexKey(key string) error {
	name, entry, id, ok := splitIndexKey(key)
	if !ok {
		return fmt.Errorf("%w: malformed index key %q", ErrCorrupt, key)
	}
	stored, err := tx.get(spaceRecord + name + "\x00" + id)
	if err != nil {
		return fmt.Errorf("%w: index %q points to %s %s: %w", ErrCorrupt, entry, name, id, err)
	}
	entries, _, err := decodeRecord(stored)
	if err != nil {
		return fmt.Errorf("%s %s: %w", name, id, err)
	}
	if !slices.Contains(entries, entry) {
		return fmt.Errorf("%w: index %q points to %s %s, which does not have that value", ErrCorrupt, entry, name, id)
	}
	return nil
}
