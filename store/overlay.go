package store

import (
	"slices"
	"sort"
)

// overlay holds writes in memory, in key order, until they are applied to what lies under it: an act's writes over those of the acts
// folded before it, and these over Badger's snapshot. Throwing an overlay away undoes an act.
type overlay struct {
	writes map[string]write
	blocks [][]string // the keys in ascending order, in blocks of at most blockKeys
	size   int64      // what Badger counts against its transaction limit
	bytes  int64      // keys and values in memory
}

type write struct {
	value   []byte
	deleted bool
}

const blockKeys = 128

func newOverlay() *overlay { return &overlay{} }

func (o *overlay) set(key string, w write) {
	if o.writes == nil {
		o.writes = make(map[string]write, 8)
	}
	old, had := o.writes[key]
	if had {
		o.size -= badgerSize(key, old.value)
		o.bytes -= int64(len(key) + len(old.value))
	} else {
		o.insert(key)
	}
	o.writes[key] = w
	o.size += badgerSize(key, w.value)
	o.bytes += int64(len(key) + len(w.value))
}

func (o *overlay) get(key string) (write, bool) {
	if o == nil {
		return write{}, false
	}
	w, ok := o.writes[key]
	return w, ok
}

func (o *overlay) insert(key string) {
	if len(o.blocks) == 0 {
		o.blocks = [][]string{{key}}
		return
	}
	b := max(0, sort.Search(len(o.blocks), func(i int) bool { return o.blocks[i][0] > key })-1)
	at, _ := slices.BinarySearch(o.blocks[b], key)
	o.blocks[b] = slices.Insert(o.blocks[b], at, key)
	if block := o.blocks[b]; len(block) > blockKeys {
		// Keys often come in ascending order: then the left part stays full and is never touched again.
		half := len(block) / 2
		if at == len(block)-1 {
			half = len(block) - 1
		}
		o.blocks[b] = block[:half:half]
		o.blocks = slices.Insert(o.blocks, b+1, slices.Clone(block[half:]))
	}
}

// next is the first key after the given one (or the key itself, if inclusive).
func (o *overlay) next(key string, inclusive bool) (string, write, bool) {
	if o == nil || len(o.blocks) == 0 {
		return "", write{}, false
	}
	b := max(0, sort.Search(len(o.blocks), func(i int) bool { return o.blocks[i][0] > key })-1)
	at, found := slices.BinarySearch(o.blocks[b], key)
	if found && !inclusive {
		at++
	}
	if at == len(o.blocks[b]) {
		if b++; b == len(o.blocks) {
			return "", write{}, false
		}
		at = 0
	}
	first := o.blocks[b][at]
	return first, o.writes[first], true
}

// merge applies the writes of upper.
func (o *overlay) merge(upper *overlay) {
	for _, block := range upper.blocks {
		for _, key := range block {
			o.set(key, upper.writes[key])
		}
	}
}

func (o *overlay) len() int { return len(o.writes) }

// badgerSize is what Badger counts for one entry of a transaction: large values go to the value log and count with their pointer.
// From Txn.checkSize and Entry.estimateSizeAndSetThreshold of Badger v4.9.
func badgerSize(key string, value []byte) int64 {
	if len(value) < valueThreshold {
		return int64(len(key)+len(value)) + 2 + 10
	}
	return int64(len(key)) + 12 + 2 + 10
}
