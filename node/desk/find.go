package desk

import (
	"errors"
	"strings"

	"proofmark/protocol"
	"proofmark/store"
)

// leastRef is the length from which the beginning of an id is taken for one: nobody means eight digits by chance.
const leastRef = 8

// Absent says that there is nothing of a kind that is called so, and which command lists what there is.
func Absent(ref, kind, list string) error {
	return NotFound("there is no %s %.60q in this node: `proofmark %s` shows them", kind, ref, list)
}

// Find finds a record by what people type: its number, its id, or an id's unambiguous beginning. The collection has an index "number". own tells whether a
// record's number was given here: that one goes before a foreign one that is written the same, for a number is its giver's word. kind and list are
// the words of the errors, such as "trace" and "trace list".
func Find[T any](tx *store.Tx, c *store.Collection[T], ref, kind, list string, own func(*T) bool) (*T, error) {
	if protocol.CheckID(ref) == nil {
		r, err := c.Get(tx, ref)
		if errors.Is(err, store.ErrNotFound) {
			return nil, Absent(ref, kind, list)
		}
		return r, err
	}
	var found []*T
	for _, r := range c.By(tx, "number", ref) {
		if own(r) {
			return r, tx.Err()
		}
		found = append(found, r)
	}
	if len(found) == 0 && len(ref) >= leastRef {
		for id, r := range c.AllAfter(tx, ref) {
			if !strings.HasPrefix(id, ref) || len(found) > 1 {
				break
			}
			found = append(found, r)
		}
	}
	switch {
	case tx.Err() != nil:
		return nil, tx.Err()
	case len(found) == 0:
		return nil, Absent(ref, kind, list)
	case len(found) > 1:
		return nil, Conflict("more than one %s is called %.60q: name the one you mean by its id, which `proofmark --json %s` shows", kind, ref, list)
	}
	return found[0], nil
}
