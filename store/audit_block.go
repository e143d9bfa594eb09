package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"proofmark/protocol"
)

// What blocks are known by. The first five follow from what outlives an erasure; the others come from bodies and go when the body that says them is erased.
const (
	blockAction      = "a"
	blockCounterpart = "c"
	blockDecision    = "d"
	blockGround      = "g"
	blockErased      = "e" // of entries whose body was erased: "erased"
	blockActor       = "w"
	blockKind        = "k"
	blockPurpose     = "p"
	blockPolicy      = "y" // the policy's id, without file and line
	blockHandling    = "h"
)

const erasedWord = "erased"

// policyID is what a deciding policy is asked for by, whatever file it stands in.
func policyID(ref string) string {
	id, _, _ := strings.Cut(ref, " (")
	return id
}

// blockPrefix is what the keys of all blocks with this value begin with. A value beyond what a key can hold is cut: whoever asks the index compares with the
// entry itself.
func blockPrefix(kind, value string) string { return spaceBlock + kind + escape(indexed(value)) }

func blockKey(v blockValue, block int64) string {
	return blockPrefix(v.kind, v.value) + newestFirst(block)
}

// blockValue is something that a block is known by; value is cut to what a key can hold.
type blockValue struct{ kind, value string }

// blockValues hands over what an entry makes its block known by, some of it perhaps twice.
func blockValues(r *AuditRecord, add func(blockValue)) {
	one := func(kind, value string) {
		if value != "" {
			add(blockValue{kind, indexed(value)})
		}
	}
	one(blockAction, string(r.Action))
	one(blockCounterpart, r.Counterpart)
	one(blockDecision, r.Decision)
	one(blockGround, r.Ground)
	if r.Erased {
		one(blockErased, erasedWord)
	}
	one(blockActor, r.Actor)
	one(blockKind, r.Kind)
	one(blockPurpose, r.Purpose)
	for _, p := range r.Policies {
		one(blockPolicy, policyID(p))
	}
	for _, h := range r.Handling {
		one(blockHandling, h)
	}
}

// blockIndex gathers what the entries of one block say of it.
type blockIndex struct {
	sets  map[blockValue]*blockSet
	known *timeSpan  // of the entries whose time is known
	days  []timeSpan // of erased entries, of whose time only the day is left
}

func newBlockIndex() *blockIndex { return &blockIndex{sets: make(map[blockValue]*blockSet, 32)} }

func (b *blockIndex) add(r *AuditRecord) error {
	offset := r.Index % timeBlock
	blockValues(r, func(v blockValue) {
		set := b.sets[v]
		if set == nil {
			set = &blockSet{}
			b.sets[v] = set
		}
		set.add(offset)
	})
	if r.Erased {
		day, err := daySpan(r.Day)
		b.days = append(b.days, day)
		return err
	}
	span := spanOf(r.Time)
	if b.known != nil {
		span = span.with(*b.known)
	}
	b.known = &span
	return nil
}

// span is the period that the entries can lie in.
func (b *blockIndex) span() timeSpan {
	spans := b.days
	if b.known != nil {
		spans = append(slices.Clip(spans), *b.known)
	}
	out := spans[0]
	for _, s := range spans[1:] {
		out = out.with(s)
	}
	return out
}

// describeBlock writes what is kept of a block whose last entry has just been written. It reads them all again: some may have been erased since.
func (tx *Tx) describeBlock(block int64) error {
	b := newBlockIndex()
	for index := block * timeBlock; index < (block+1)*timeBlock; index++ {
		r, err := tx.auditRecord(index)
		if err == nil {
			err = b.add(&r)
		}
		if err != nil {
			return fmt.Errorf("describe the block of audit entry %d: %w", index, err)
		}
	}
	for v, set := range b.sets {
		if err := tx.put(blockKey(v, block), set.encode()); err != nil {
			return err
		}
	}
	return errors.Join(tx.noteSpan(spaceTimes, block, b.span()), tx.noteSpan(spaceEras, block/timeEra, b.span()))
}

// forgetInBlock takes away what an entry that is being erased said of its block, and notes that it is erased. A block that is not whole has no description.
func (tx *Tx) forgetInBlock(index int64, full, bare protocol.AuditEntry) error {
	block, offset := index/timeBlock, index%timeBlock
	if whole, err := tx.has(spaceLeaf + number(uint64((block+1)*timeBlock-1))); err != nil || !whole {
		return err
	}
	said := map[blockValue]bool{}
	blockValues(&AuditRecord{Index: index, AuditEntry: full}, func(v blockValue) { said[v] = false })
	blockValues(&AuditRecord{Index: index, Erased: true, AuditEntry: bare}, func(v blockValue) { said[v] = true })
	for v, still := range said {
		if err := tx.changeSet(blockKey(v, block), offset, still); err != nil {
			return err
		}
	}
	day, err := daySpan(bare.Day)
	if err != nil {
		return err
	}
	day.end = day.first + 1 // the time under which it is found from now on
	return errors.Join(tx.noteSpan(spaceTimes, block, day), tx.noteSpan(spaceEras, block/timeEra, day))
}

// changeSet puts one entry into a set or takes it out.
func (tx *Tx) changeSet(key string, offset int64, in bool) error {
	var set blockSet
	stored, err := tx.get(key)
	if err == nil {
		set, err = decodeSet(stored)
	} else if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if err != nil {
		return err
	}
	if in {
		set.add(offset)
	} else if set.remove(offset); set == (blockSet{}) {
		return tx.del(key)
	}
	return tx.put(key, set.encode())
}
