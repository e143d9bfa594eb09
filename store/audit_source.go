package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// source narrows a query down: it answers the largest index up to at that may be selected, or -1 if there is none.
type source func(at int64) (int64, error)

// agree finds the largest index up to at that every source lets through, or -1.
func agree(sources []source, at int64) (int64, error) {
	for settled := 0; settled < len(sources); {
		settled = 0
		for _, s := range sources {
			to, err := s(at)
			if err != nil || to < 0 {
				return -1, err
			}
			if to == at {
				settled++
			}
			at = to
		}
	}
	return at, nil
}

// sources are the indexes that know something about a query, the most selective kind first.
func (tx *Tx) sources(q *AuditQuery) []source {
	var out []source
	for _, by := range [][2]string{{byObject, q.Object}, {byCase, q.Case}, {byActor, q.Actor}, {byCounterpart, q.Counterpart}} {
		if by[1] != "" {
			out = append(out, tx.descend(auditIndexPrefix(by[0], indexed(by[1])), 1))
		}
	}
	erased := ""
	if q.Erased {
		erased = erasedWord
	}
	for _, by := range [][2]string{{blockErased, erased}, {blockPolicy, policyID(q.Policy)}, {blockPurpose, q.Purpose}, {blockHandling, q.Handling}, {blockGround, q.Ground},
		{blockKind, q.Kind}, {blockAction, q.Action}, {blockDecision, q.Decision}} {
		if by[1] != "" {
			out = append(out, tx.descend(blockPrefix(by[0], by[1]), timeBlock))
		}
	}
	if !q.Since.IsZero() || !q.Until.IsZero() {
		out = append(out, tx.inPeriod(q))
	}
	return out
}

// descend follows the keys with a prefix, each of which names a group of so many entries, the newest first.
func (tx *Tx) descend(prefix string, group int64) source {
	it := tx.snap.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
	tx.iters = append(tx.iters, it)
	const none = -2
	last := int64(none) // the group under the iterator
	return func(at int64) (int64, error) {
		want := at / group
		if last == none || last > want {
			if last == want+1 { // neighbours are mostly asked for one after another
				it.Next()
			} else {
				it.Seek([]byte(prefix + newestFirst(want)))
			}
			if !it.Valid() {
				last = -1
				return -1, nil
			}
			n, err := parseNumber(string(it.Item().Key()[len(prefix):]))
			if err != nil {
				return -1, fmt.Errorf("audit index: %w", err)
			}
			if last = int64(^n); last < 0 || last > want {
				return -1, fmt.Errorf("%w: an audit index names entry %d", ErrCorrupt, last)
			}
		}
		if last == -1 {
			return -1, nil
		}
		return min(at, last*group+group-1), nil
	}
}

// inPeriod skips the blocks in which nothing lies between the query's bounds, and whole eras first.
func (tx *Tx) inPeriod(q *AuditQuery) source {
	type part struct {
		number   int64
		overlaps bool
	}
	era, block := part{number: -1}, part{number: -1}
	look := func(p *part, space string, number int64) error {
		if p.number == number {
			return nil
		}
		span, err := tx.timesOf(space, number)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		*p = part{number, err != nil || span.overlaps(q.Since, q.Until)} // where nothing is noted the entries are read
		return nil
	}
	return func(at int64) (int64, error) {
		for at >= 0 {
			b := at / timeBlock
			if err := look(&era, spaceEras, b/timeEra); err != nil {
				return -1, err
			}
			if !era.overlaps {
				at = b/timeEra*timeEra*timeBlock - 1
				continue
			}
			if err := look(&block, spaceTimes, b); err != nil {
				return -1, err
			}
			if block.overlaps {
				return at, nil
			}
			at = b*timeBlock - 1
		}
		return -1, nil
	}
}

// leafRun is how many neighbouring entries are read one by one before an iterator takes over, which is quicker in a row and slower at a jump.
const leafRun = 8

// leafReader reads entries in falling order.
type leafReader struct {
	tx   *Tx
	it   *badger.Iterator
	at   int64 // under the iterator
	last int64
	run  int
}

func (r *leafReader) record(index int64) (AuditRecord, error) {
	if r.run++; index != r.last-1 {
		r.run = 0
	}
	if r.last = index; r.run < leafRun {
		return r.tx.auditRecord(index)
	}
	key := spaceLeaf + number(uint64(index))
	if r.it == nil {
		r.it = r.tx.snap.NewIterator(badger.IteratorOptions{Prefix: []byte(spaceLeaf), Reverse: true})
		r.tx.iters = append(r.tx.iters, r.it)
		r.at = -1
	}
	if r.at == index+1 {
		r.it.Next()
	} else {
		r.it.Seek([]byte(key))
	}
	if r.at = index; !r.it.Valid() || string(r.it.Item().Key()) != key {
		return AuditRecord{}, fmt.Errorf("audit entry %d: %w", index, ErrNotFound)
	}
	stored, err := r.it.Item().ValueCopy(nil)
	if err != nil {
		return AuditRecord{}, fmt.Errorf("audit entry %d: read: %w", index, err)
	}
	return recordOf(index, stored)
}
