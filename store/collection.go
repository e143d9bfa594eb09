package store

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Index finds the records of a collection by values computed from them.
type Index[T any] struct {
	Name string
	// Keys returns the values under which a record is found: none, one or several, of any bytes. It must depend on the record alone.
	Keys func(*T) []string
}

// Collection is a set of records of one kind, JSON values under ids, with indexes that change in the same transaction. Records that are an
// encoding.BinaryAppender, and their pointers an encoding.BinaryUnmarshaler, are kept in the form that they give themselves. It holds no
// state: make it once, as a package variable, and use it with any store. Two collections must not share a name.
//
// Iterators stop at the first error, a record that cannot be decoded included; see Tx for where it shows. A record may be changed or
// deleted while an iteration over its collection is under way.
type Collection[T any] struct {
	name    string
	indexes []Index[T]
}

// NewCollection describes a collection. It panics on a name that is empty or holds a zero byte and on an index named twice: both are
// mistakes of the program.
func NewCollection[T any](name string, idx ...Index[T]) *Collection[T] {
	seen := map[string]bool{}
	for _, x := range idx {
		if err := checkName("index", x.Name); err != nil || seen[x.Name] {
			panic(fmt.Sprintf("collection %s: index %q: empty, twice or with a zero byte", name, x.Name))
		}
		seen[x.Name] = true
	}
	if err := checkName("collection", name); err != nil {
		panic(err.Error())
	}
	return &Collection[T]{name: name, indexes: idx}
}

// Name is the collection's name.
func (c *Collection[T]) Name() string { return c.name }

func (c *Collection[T]) key(id string) string { return spaceRecord + c.name + "\x00" + id }

func (c *Collection[T]) indexKey(entry, id string) string {
	return spaceIndex + c.name + "\x00" + entry + id
}

func (c *Collection[T]) wrap(id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", c.name, id, err)
}

// Get returns the record with the id, or ErrNotFound (wrapped: "exhibit 0198…: not found").
func (c *Collection[T]) Get(tx *Tx, id string) (*T, error) {
	stored, err := tx.get(c.key(id))
	if err != nil {
		return nil, c.wrap(id, err)
	}
	v, err := c.decode(stored)
	return v, c.wrap(id, err)
}

// Has reports whether there is a record with the id.
func (c *Collection[T]) Has(tx *Tx, id string) (bool, error) {
	ok, err := tx.has(c.key(id))
	return ok, c.wrap(id, err)
}

// Put stores a record, new or in place of the one with the same id, and brings its index entries up to date.
func (c *Collection[T]) Put(tx *Tx, id string, v *T) error {
	return c.wrap(id, c.put(tx, id, v, false))
}

// Insert stores a new record; if there is one with this id, it returns ErrDuplicate.
func (c *Collection[T]) Insert(tx *Tx, id string, v *T) error {
	return c.wrap(id, c.put(tx, id, v, true))
}

func (c *Collection[T]) put(tx *Tx, id string, v *T, fresh bool) error {
	if id == "" {
		return errors.New("a record needs an id")
	}
	now := c.entries(v)
	stored, err := appendRecord(encodeRecord(now, nil), v)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	was, existed, err := c.entriesOf(tx, id)
	if err != nil {
		return err
	}
	if existed && fresh {
		return ErrDuplicate
	}
	for _, e := range was {
		if _, kept := slices.BinarySearch(now, e); !kept {
			if err := tx.del(c.indexKey(e, id)); err != nil {
				return err
			}
		}
	}
	for _, e := range now {
		if _, had := slices.BinarySearch(was, e); !had {
			if err := tx.put(c.indexKey(e, id), present); err != nil {
				return err
			}
		}
	}
	if !existed {
		if err := c.count(tx, +1); err != nil {
			return err
		}
	}
	return tx.put(c.key(id), stored)
}

// appendRecord appends a record in its own form or as JSON.
func appendRecord(b []byte, v any) ([]byte, error) {
	if own, ok := v.(encoding.BinaryAppender); ok {
		return own.AppendBinary(b)
	}
	body, err := json.Marshal(v)
	return append(b, body...), err
}

// Delete removes a record and its index entries, or returns ErrNotFound.
func (c *Collection[T]) Delete(tx *Tx, id string) error {
	was, existed, err := c.entriesOf(tx, id)
	if err == nil && !existed {
		err = ErrNotFound
	}
	if err != nil {
		return c.wrap(id, err)
	}
	for _, e := range was {
		if err := tx.del(c.indexKey(e, id)); err != nil {
			return c.wrap(id, err)
		}
	}
	if err := c.count(tx, -1); err != nil {
		return c.wrap(id, err)
	}
	return c.wrap(id, tx.del(c.key(id)))
}

// All yields every record in ascending order of ids.
func (c *Collection[T]) All(tx *Tx) iter.Seq2[string, *T] { return c.AllAfter(tx, "") }

// AllAfter yields the records with ids greater than id, in ascending order.
func (c *Collection[T]) AllAfter(tx *Tx, id string) iter.Seq2[string, *T] {
	after := ""
	if id != "" {
		after = c.key(id)
	}
	return c.walk(tx, "", after)
}

// Within yields the records whose ids begin with the prefix, in ascending order of ids.
func (c *Collection[T]) Within(tx *Tx, prefix string) iter.Seq2[string, *T] {
	return c.walk(tx, prefix, "")
}

func (c *Collection[T]) walk(tx *Tx, prefix, after string) iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		head := len(c.key(""))
		for key, stored := range tx.scan(c.key(prefix), after, true) {
			v, err := c.decode(stored)
			if err != nil {
				tx.fail(c.wrap(key[head:], err))
				return
			}
			if !yield(key[head:], v) {
				return
			}
		}
	}
}

// By yields the records that have exactly this value in the index, in ascending order of ids.
func (c *Collection[T]) By(tx *Tx, index, value string) iter.Seq2[string, *T] {
	return c.ByAfter(tx, index, value, "")
}

// ByAfter is By for the ids greater than id: the next page.
func (c *Collection[T]) ByAfter(tx *Tx, index, value, id string) iter.Seq2[string, *T] {
	after := ""
	if id != "" {
		after = escape(value) + id
	}
	return c.follow(tx, index, escape(value), after)
}

// ByPrefix yields the records with a value in the index that begins with prefix, ordered by that value and then by id; a record that
// has several such values comes once for each.
func (c *Collection[T]) ByPrefix(tx *Tx, index, prefix string) iter.Seq2[string, *T] {
	return c.follow(tx, index, escapePrefix(prefix), "")
}

// ByPrefixFrom is ByPrefix for the values from `from` on, which it goes to without looking at those before: where records leave an index at its beginning,
// what they leave behind would be gone over each time.
func (c *Collection[T]) ByPrefixFrom(tx *Tx, index, prefix, from string) iter.Seq2[string, *T] {
	return c.follow(tx, index, escapePrefix(prefix), escapePrefix(from))
}

// follow yields the records whose escaped value and id begin with prefix and come after `after` ("" = all).
func (c *Collection[T]) follow(tx *Tx, index, prefix, after string) iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		if !slices.ContainsFunc(c.indexes, func(x Index[T]) bool { return x.Name == index }) {
			tx.fail(fmt.Errorf("collection %s has no index %q", c.name, index))
			return
		}
		space := c.indexKey(index+"\x00", "")
		if after != "" {
			after = space + after
		}
		head := len(space)
		for key := range tx.scan(space+prefix, after, false) {
			_, id, ok := cutEscaped(key[head:])
			if !ok {
				tx.fail(fmt.Errorf("%w: index %s of %s holds the malformed key %q", ErrCorrupt, index, c.name, key))
				return
			}
			v, err := c.Get(tx, id)
			if errors.Is(err, ErrNotFound) {
				err = fmt.Errorf("%w: index %s points to the missing %s %s", ErrCorrupt, index, c.name, id)
			}
			if err != nil {
				tx.fail(err)
				return
			}
			if !yield(id, v) {
				return
			}
		}
	}
}

// Count is the number of records; it costs one read.
func (c *Collection[T]) Count(tx *Tx) (int, error) {
	stored, err := tx.get(spaceCount + c.name)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("count of %s: %w", c.name, err)
	}
	n, err := parseNumber(string(stored))
	return int(n), err
}

func (c *Collection[T]) count(tx *Tx, by int) error {
	n, err := c.Count(tx)
	if err != nil {
		return err
	}
	if n+by < 0 {
		return fmt.Errorf("%w: the count of %s would fall below zero", ErrCorrupt, c.name)
	}
	return tx.put(spaceCount+c.name, []byte(number(uint64(n+by))))
}

// Reindex rewrites the index entries of the records after the id, at most limit of them, and returns the last id it did and whether
// it reached the end. Needed once after an index was added or its Keys changed; call it in as many acts as it takes.
func (c *Collection[T]) Reindex(tx *Tx, after string, limit int) (last string, end bool, err error) {
	last = after
	for id, v := range c.AllAfter(tx, after) {
		if limit--; limit < 0 {
			return last, false, nil
		}
		if err := c.Put(tx, id, v); err != nil {
			return last, false, err
		}
		last = id
	}
	return last, true, tx.Err()
}

// entries lists a record's index entries, "index 0 esc(value)", sorted and without repetition.
func (c *Collection[T]) entries(v *T) []string {
	var out []string
	for _, x := range c.indexes {
		for _, value := range x.Keys(v) {
			out = append(out, x.Name+"\x00"+escape(value))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *Collection[T]) entriesOf(tx *Tx, id string) (entries []string, existed bool, err error) {
	stored, err := tx.get(c.key(id))
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	entries, _, err = decodeRecord(stored)
	return entries, true, err
}

func (c *Collection[T]) decode(stored []byte) (*T, error) {
	_, body, err := decodeRecord(stored)
	if err != nil {
		return nil, err
	}
	v := new(T)
	if own, ok := any(v).(encoding.BinaryUnmarshaler); ok {
		err = own.UnmarshalBinary(body)
	} else {
		err = json.Unmarshal(body, v)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: decode: %w", ErrCorrupt, err)
	}
	return v, nil
}

// A stored record names its own index entries, so that they can be removed without decoding the record, and also after the program's
// idea of an index has changed: format byte, number of entries, each with its length, and the record as JSON or in its own form.
const recordFormat = 1

func encodeRecord(entries []string, body []byte) []byte {
	size := 1 + binary.MaxVarintLen32 + len(body)
	for _, e := range entries {
		size += binary.MaxVarintLen32 + len(e)
	}
	out := append(make([]byte, 0, size), recordFormat)
	out = binary.AppendUvarint(out, uint64(len(entries)))
	for _, e := range entries {
		out = binary.AppendUvarint(out, uint64(len(e)))
		out = append(out, e...)
	}
	return append(out, body...)
}

func decodeRecord(b []byte) (entries []string, body []byte, err error) {
	if len(b) < 2 || b[0] != recordFormat {
		return nil, nil, fmt.Errorf("%w: not a record", ErrCorrupt)
	}
	n, b, ok := cutUvarint(b[1:])
	for ; ok && n > 0; n-- {
		var size uint64
		if size, b, ok = cutUvarint(b); !ok || size > uint64(len(b)) {
			ok = false
			break
		}
		entries = append(entries, string(b[:size]))
		b = b[size:]
	}
	if !ok {
		return nil, nil, fmt.Errorf("%w: a record's index entries are cut short", ErrCorrupt)
	}
	return entries, b, nil
}

func cutUvarint(b []byte) (uint64, []byte, bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

// splitIndexKey takes a key of the index space apart.
func splitIndexKey(key string) (collection, entry, id string, ok bool) {
	collection, rest, ok1 := strings.Cut(key[len(spaceIndex):], "\x00")
	index, escaped, ok2 := strings.Cut(rest, "\x00")
	if !ok1 || !ok2 {
		return "", "", "", false
	}
	value, id, ok := cutEscaped(escaped)
	return collection, index + "\x00" + escape(value), id, ok
}
