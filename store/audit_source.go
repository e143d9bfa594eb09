package store

import (
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"
)

// source narrows a query down: it answers the largest index up to at that may be selected, or -1 if there is none.
type source func(at int64) (int64, error)

// narrowing is a query's way through the indexes, from the newest entry to the oldest.
type narrowing struct {
	tx      *Tx
	q       *AuditQuery
	size    int64 // entries
	whole   int64 // those in whole blocks: the rest is in no index of blocks and is let through
	sources []source
	moves   int // steps made in indexes so far

	era, block judged
}

// narrow finds the indexes that know something about a query, the most selective kind first.
func (tx *Tx) narrow(q *AuditQuery) (*narrowing, error) {
	head, err := tx.auditHead()
	if err != nil {
		return nil, err
	}
	n := &narrowing{tx: tx, q: q, size: head.size, whole: head.size / timeBlock * timeBlock}
	for _, by := range [][2]string{{byObject, q.Object}, {byCase, q.Case}} {
		if by[1] != "" {
			n.sources = append(n.sources, n.descend(auditIndexPrefix(by[0], indexed(by[1]))))
		}
	}
	erased := ""
	if q.Erased {
		erased = erasedWord
	}
	for _, by := range [][2]string{{blockErased, erased}, {blockPurpose, q.Purpose}, {blockActor, q.Actor}, {blockCounterpart, q.Counterpart}, {blockPolicy, policyID(q.Policy)},
		{blockHandling, q.Handling}, {blockGround, q.Ground}, {blockKind, q.Kind}, {blockAction, q.Action}, {blockDecision, q.Decision}} {
		if by[1] != "" {
			n.sources = append(n.sources, n.inBlocks(blockPrefix(by[0], by[1])))
		}
	}
	if !q.Since.IsZero() || !q.Until.IsZero() {
		n.sources = append(n.sources, n.inPeriod)
	}
	return n, nil
}

// next finds the largest index up to at that every source lets through, or -1.
func (n *narrowing) next(at int64) (int64, error) {
	at, _, err := n.agree(at, math.MaxInt)
	return at, err
}

// agree looks for the largest index up to at that every source lets through, -1 if there is none. Where more than so many steps in indexes were made it gives
// up: what it answers then is not settled, but nothing above it is let through.
func (n *narrowing) agree(at int64, moves int) (to int64, settled bool, err error) {
	for same := 0; same < len(n.sources); {
		if n.moves > moves {
			return at, false, nil
		}
		same = 0
		for _, s := range n.sources {
			to, err := s(at)
			if err != nil || to < 0 {
				return -1, true, err
			}
			if to == at {
				same++
			}
			at = to
		}
	}
	return at, true, nil
}

// groups are what the keys of one value in an index name, entries or blocks, the newest first.
type groups struct {
	n      *narrowing
	prefix string
	it     *badger.Iterator
	last   int64 // under the iterator; -1: there are no more
	begun  bool
}

func (n *narrowing) groups(prefix string) *groups {
	it := n.tx.snap.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
	n.tx.iters = append(n.tx.iters, it)
	return &groups{n: n, prefix: prefix, it: it}
}

// upTo moves to the newest group that is not above want and reports whether it moved.
func (g *groups) upTo(want int64) (moved bool, err error) {
	if g.begun && g.last <= want {
		return false, nil
	}
	if g.n.moves++; g.begun && g.last == want+1 { // neighbours are mostly asked for one after another
		g.it.Next()
	} else {
		g.it.Seek([]byte(g.prefix + newestFirst(want)))
	}
	g.begun = true
	if !g.it.Valid() {
		g.last = -1
		return true, nil
	}
	number, err := parseNumber(string(g.it.Item().Key()[len(g.prefix):]))
	if err != nil {
		return false, fmt.Errorf("audit index: %w", err)
	}
	if g.last = int64(^number); g.last < 0 || g.last > want {
		return false, fmt.Errorf("%w: an audit index names entry or block %d", ErrCorrupt, g.last)
	}
	return true, nil
}

// descend follows the keys of an index of entries.
func (n *narrowing) descend(prefix string) source {
	g := n.groups(prefix)
	return func(at int64) (int64, error) {
		_, err := g.upTo(at)
		return g.last, err
	}
}

// inBlocks follows the keys of an index of blocks, each of which says which of its entries it means.
func (n *narrowing) inBlocks(prefix string) source {
	g := n.groups(prefix)
	var set blockSet
	return func(at int64) (int64, error) {
		if at >= n.whole {
			return at, nil
		}
		for at >= 0 {
			moved, err := g.upTo(at / timeBlock)
			if err != nil || g.last < 0 {
				return -1, err
			}
			if moved {
				err = g.it.Item().Value(func(b []byte) (err error) { set, err = decodeSet(b); return err })
				if err != nil {
					return -1, fmt.Errorf("audit index of the block of entry %d: %w", g.last*timeBlock, err)
				}
			}
			first := g.last * timeBlock
			if offset := set.upTo(min(at-first, timeBlock-1)); offset >= 0 {
				return first + offset, nil
			}
			at = first - 1
		}
		return -1, nil
	}
}

// inPeriod skips the blocks in which nothing lies between the query's bounds, and whole eras first.
func (n *narrowing) inPeriod(at int64) (int64, error) {
	for at >= 0 && at < n.whole {
		block := at / timeBlock
		n.moves++
		in, err := n.era.mayLie(n, spaceEras, block/timeEra)
		if err != nil {
			return -1, err
		}
		if !in {
			at = block/timeEra*timeEra*timeBlock - 1
			continue
		}
		if in, err = n.block.mayLie(n, spaceTimes, block); err != nil || in {
			return at, err
		}
		at = block*timeBlock - 1
	}
	return at, nil
}

// judged is a part of the log of which it is known whether something in it can lie in a query's period.
type judged struct {
	part  int64
	known bool
	in    bool
}

func (j *judged) mayLie(n *narrowing, space string, part int64) (bool, error) {
	if j.known && j.part == part {
		return j.in, nil
	}
	in, err := n.tx.mayLie(space, part, n.q.Since, n.q.Until)
	*j = judged{part, true, in}
	return in, err
}

// leafRun is how many neighbouring entries are read one by one before an iterator takes over, which is quicker in a row and slower at a jump.
const leafRun = 4

// leafReader reads entries in falling order, or in rising order.
type leafReader struct {
	tx     *Tx
	rising bool
	it     *badger.Iterator
	at     int64 // under the iterator
	last   int64
	run    int
}

func (r *leafReader) stored(index int64) ([]byte, error) {
	step := int64(-1)
	if r.rising {
		step = 1
	}
	if r.run++; index != r.last+step {
		r.run = 0
	}
	key := spaceLeaf + number(uint64(index))
	if r.last = index; r.run < leafRun {
		stored, err := r.tx.get(key)
		if err != nil {
			err = fmt.Errorf("audit entry %d: %w", index, err)
		}
		return stored, err
	}
	if r.it == nil {
		r.it = r.tx.snap.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(spaceLeaf), Reverse: !r.rising})
		r.tx.iters = append(r.tx.iters, r.it)
		r.at = -1
	}
	if r.at >= 0 && r.at == index-step {
		r.it.Next()
	} else {
		r.it.Seek([]byte(key))
	}
	if r.at = index; !r.it.Valid() || string(r.it.Item().Key()) != key {
		return nil, fmt.Errorf("audit entry %d: %w", index, ErrNotFound)
	}
	stored, err := r.it.Item().ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("audit entry %d: read: %w", index, err)
	}
	return stored, nil
}

func (r *leafReader) record(index int64) (AuditRecord, error) {
	stored, err := r.stored(index)
	if err != nil {
		return AuditRecord{}, err
	}
	return recordOf(index, stored)
}
