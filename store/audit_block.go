package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"proofmark/protocol"
)

// timeBlock is the number of audit entries that are described together: the earliest and latest time among them, and which actions, purposes, policies
// and the like occur in them, so that a query skips the rest of the log. The clock may jump: times need not ascend.
const timeBlock = 256

// timeEra is the number of blocks whose times are summed up once more.
const timeEra = 256

// What blocks are known by. The first four follow from what outlives an erasure; the others come from bodies and go when the last body that says them is erased.
const (
	blockAction   = "a"
	blockDecision = "d"
	blockGround   = "g"
	blockErased   = "e" // of entries whose body was erased: "erased"
	blockKind     = "k"
	blockPurpose  = "p"
	blockPolicy   = "y" // the policy's id, without file and line
	blockHandling = "h"
)

const erasedWord = "erased"

// policyID is what a deciding policy is asked for by, whatever file it stands in.
func policyID(ref string) string {
	id, _, _ := strings.Cut(ref, " (")
	return id
}

func blockPrefix(kind, value string) string { return spaceBlock + kind + escape(indexed(value)) }

// describeBlock lists the keys by which the block of an entry is found, with repetitions where the entry has some.
func describeBlock(r *AuditRecord) []string {
	index, e := r.Index, &r.AuditEntry
	at := newestFirst(index / timeBlock)
	keys := make([]string, 0, 5+len(e.Policies)+len(e.Handling))
	add := func(kind, value string) {
		if value != "" {
			keys = append(keys, blockPrefix(kind, value)+at)
		}
	}
	add(blockAction, string(e.Action))
	add(blockDecision, e.Decision)
	add(blockGround, e.Ground)
	if r.Erased {
		add(blockErased, erasedWord)
	}
	add(blockKind, e.Kind)
	add(blockPurpose, e.Purpose)
	for _, p := range e.Policies {
		add(blockPolicy, policyID(p))
	}
	for _, h := range e.Handling {
		add(blockHandling, h)
	}
	return keys
}

// noteBlock describes a new entry in what is kept of its block.
func (tx *Tx) noteBlock(r *AuditRecord) error {
	for _, key := range describeBlock(r) {
		known, err := tx.has(key)
		if err == nil && !known {
			err = tx.put(key, present)
		}
		if err != nil {
			return err
		}
	}
	block := r.Index / timeBlock
	return errors.Join(tx.noteSpan(spaceTimes, block, spanOf(r.Time)), tx.noteSpan(spaceEras, block/timeEra, spanOf(r.Time)))
}

// forgetBlock takes away what only the erased entry said of its block, and notes that it has one.
func (tx *Tx) forgetBlock(index int64, full, bare protocol.AuditEntry) error {
	kept := describeBlock(&AuditRecord{Index: index, Erased: true, AuditEntry: bare})
	gone := make(map[string]bool)
	for _, key := range describeBlock(&AuditRecord{Index: index, AuditEntry: full}) {
		gone[key] = true
	}
	for _, key := range kept {
		if err := tx.put(key, present); err != nil {
			return err
		}
		delete(gone, key)
	}
	first := index - index%timeBlock
	for i := first; i < first+timeBlock && len(gone) > 0; i++ {
		if i == index {
			continue
		}
		r, err := tx.auditRecord(i)
		if errors.Is(err, ErrNotFound) {
			break // the log's end; what this act appends comes after
		}
		if err != nil {
			return err
		}
		for _, key := range describeBlock(&r) {
			delete(gone, key)
		}
	}
	for key := range gone {
		if err := tx.del(key); err != nil {
			return err
		}
	}
	return nil
}

// timeSpan is a period in Unix seconds, from first to before end.
type timeSpan struct{ first, end int64 }

func spanOf(at time.Time) timeSpan { return timeSpan{at.Unix(), at.Unix() + 1} }

func (p timeSpan) with(o timeSpan) timeSpan {
	return timeSpan{min(p.first, o.first), max(p.end, o.end)}
}

// overlaps reports whether something between since and until (a zero time is no bound) can lie in the span.
func (p timeSpan) overlaps(since, until time.Time) bool {
	return (since.IsZero() || p.end > since.Unix()) && (until.IsZero() || p.first <= until.Unix())
}

// noteSpan widens the period of a part of the log.
func (tx *Tx) noteSpan(space string, part int64, span timeSpan) error {
	old, err := tx.timesOf(space, part)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	default:
		if span = span.with(old); span == old {
			return nil
		}
	}
	return tx.put(space+number(uint64(part)), []byte(number(uint64(span.first))+number(uint64(span.end))))
}

func (tx *Tx) timesOf(space string, part int64) (timeSpan, error) {
	b, err := tx.get(space + number(uint64(part)))
	if err != nil {
		return timeSpan{}, err
	}
	if len(b) != 16 {
		return timeSpan{}, fmt.Errorf("%w: the period of audit block %d", ErrCorrupt, part)
	}
	return timeSpan{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}, nil
}

// distinct sorts keys and drops repetitions.
func distinct(keys []string) []string {
	slices.Sort(keys)
	return slices.Compact(keys)
}
