package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"pgregory.net/rapid"

	"proofmark/protocol"
)

// auditSpaces hold all that the audit log consists of.
var auditSpaces = []string{spaceLeaf, spaceAuditIndex, spaceBlock, spaceTimes, spaceEras, keyCheckpoint}

// spoiled is a stored log whose bytes are changed behind the store's back and put back again.
type spoiled struct {
	t     testing.TB
	s     *Store
	keys  map[string][]string // by space
	value map[string][]byte
}

func newSpoiled(t testing.TB) *spoiled {
	opt := testOptions(t.TempDir())
	m := &spoiled{t: t, s: open(t, opt), keys: map[string][]string{}, value: map[string][]byte{}}
	for n := 0; n < 540; {
		update(t, m.s, func(tx *Tx) error {
			for end := n + 90; n < end; n++ {
				e := entry(fmt.Sprintf("event %d", n), fmt.Sprintf("o%d", n%10))
				e.Purpose, e.Policies, e.Handling = "trace", []string{"signatures (20.cedar:3)"}, []string{"H0", "H1"}[:1+n%2]
				e.Time = testStart.AddDate(0, 0, n)
				if n%97 == 0 {
					e.Action, e.Decision, e.Case = protocol.ActDeny, "deny", "C-7"
				}
				tx.Audit(e)
			}
			return nil
		})
	}
	update(t, m.s, func(tx *Tx) error {
		return errors.Join(tx.EraseAudit(0), tx.EraseAudit(99), tx.EraseAudit(260), tx.EraseAudit(530)) // the last one of a block that is not whole
	})
	verify(t, m.s)
	err := m.s.db.View(func(txn *badger.Txn) error {
		for _, space := range auditSpaces {
			it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(space)})
			for it.Rewind(); it.Valid(); it.Next() {
				key := string(it.Item().Key())
				v, err := it.Item().ValueCopy(nil)
				if err != nil {
					return err
				}
				m.keys[space] = append(m.keys[space], key)
				m.value[key] = append([]byte{}, v...)
			}
			it.Close()
			if len(m.keys[space]) == 0 {
				return fmt.Errorf("nothing is kept under %q", space)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// found writes values (nil = the key is deleted), verifies, and puts everything back.
func (m *spoiled) found(change map[string][]byte) *AuditFault {
	m.t.Helper()
	write := func(value func(key string) ([]byte, bool)) {
		err := m.s.db.Update(func(txn *badger.Txn) (err error) {
			for key := range change {
				if v, ok := value(key); ok {
					err = errors.Join(err, txn.Set([]byte(key), v))
				} else {
					err = errors.Join(err, txn.Delete([]byte(key)))
				}
			}
			return err
		})
		if err != nil {
			m.t.Fatal(err)
		}
		m.s.renew()
	}
	write(func(key string) ([]byte, bool) { return change[key], change[key] != nil })
	_, v := testKeys()
	_, err := m.s.VerifyAudit(background, v, nil)
	write(func(key string) ([]byte, bool) { b, ok := m.value[key]; return b, ok })
	var f *AuditFault
	if err != nil && !errors.As(err, &f) {
		m.t.Fatalf("not a fault of the log: %v", err)
	}
	return f
}

// setOf is a key of the index of blocks whose value has a length.
func (m *spoiled) setOf(length func(int) bool) string {
	for _, key := range m.keys[spaceBlock] {
		if length(len(m.value[key])) {
			return key
		}
	}
	m.t.Fatal("there is no such set")
	return ""
}

func (m *spoiled) known(key string) bool { _, ok := m.value[key]; return ok }

// where is the entry at which a change of a key shows: itself, or the first one of what the key describes.
func where(key string) int64 {
	n, _ := parseNumber(key[max(0, len(key)-8):])
	switch key[:1] {
	case spaceLeaf:
		return int64(n)
	case spaceAuditIndex, spaceBlock:
		return namedBy(key)
	case spaceTimes:
		return int64(n) * timeBlock
	case spaceEras:
		return int64(n) * timeBlock * timeEra
	}
	return -1
}

// Each byte of what is stored, in each kind of place.
func TestEveryByteOfTheLogCounts(t *testing.T) {
	m := newSpoiled(t)
	spoil := func(key string) {
		step := 1 + len(m.value[key])/50 // long ones in steps that fall into every hash, length and field
		for at := 0; at < len(m.value[key]); at += step {
			b := bytes.Clone(m.value[key])
			b[at] ^= 1 << (at % 8)
			f := m.found(map[string][]byte{key: b})
			if f == nil {
				t.Fatalf("byte %d of the value of %q was changed from %#x to %#x, and nothing was found", at, key, m.value[key][at], b[at])
			}
			if f.Index != where(key) {
				t.Errorf("byte %d of %q: found at entry %d (%s), want %d", at, key, f.Index, f.Reason, where(key))
			}
		}
	}
	leaf := func(n uint64) string { return spaceLeaf + number(n) }
	for _, key := range []string{leaf(255), leaf(99), leaf(269), keyCheckpoint, m.keys[spaceTimes][0], m.keys[spaceTimes][1], m.keys[spaceEras][0],
		m.keys[spaceAuditIndex][17], m.setOf(func(n int) bool { return n > 0 && n < setBytes }), m.setOf(func(n int) bool { return n == setBytes })} {
		spoil(key)
	}
	all := m.setOf(func(n int) bool { return n == 0 })
	if f := m.found(map[string][]byte{all: {7}}); f == nil || f.Index != where(all) {
		t.Errorf("a value of a whole block was replaced: %v", f)
	}
	// The last sign of a signature stands for fewer bits than it has.
	b := bytes.Clone(m.value[keyCheckpoint])
	last := bytes.LastIndexByte(b, '=') - 1
	for _, c := range []byte("\rABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") {
		if b[last] = c; bytes.Equal(b, m.value[keyCheckpoint]) {
			continue
		}
		if f := m.found(map[string][]byte{keyCheckpoint: b}); f == nil {
			t.Errorf("the checkpoint may end in %q", c)
		}
	}
}

// Any entry or index key dropped, doubled, moved or exchanged, any byte added or taken away: something is found, and at the right place.
func TestNoChangeOfTheLogGoesUnseen(t *testing.T) {
	m := newSpoiled(t)
	rapid.Check(t, func(r *rapid.T) {
		space := rapid.SampledFrom(auditSpaces).Draw(r, "space")
		key := rapid.SampledFrom(m.keys[space]).Draw(r, "key")
		other := rapid.SampledFrom(m.keys[space]).Draw(r, "other key")
		old := m.value[key]
		change := map[string][]byte{}
		from, to := where(key), where(key)
		switch what := rapid.SampledFrom([]string{"flip", "insert", "cut", "drop", "exchange", "copy", "rename", "truncate"}).Draw(r, "change"); {
		case what == "flip" && len(old) > 0:
			b := bytes.Clone(old)
			b[rapid.IntRange(0, len(b)-1).Draw(r, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
			change[key] = b
		case what == "insert":
			change[key] = slices.Insert(bytes.Clone(old), rapid.IntRange(0, len(old)).Draw(r, "at"), rapid.Byte().Draw(r, "byte"))
		case what == "cut" && len(old) > 0:
			at := rapid.IntRange(0, len(old)-1).Draw(r, "at")
			change[key] = slices.Delete(bytes.Clone(old), at, at+1)
		case what == "exchange" && !bytes.Equal(old, m.value[other]):
			change[key], change[other] = m.value[other], old
			from, to = min(where(key), where(other)), max(where(key), where(other))
		case what == "copy" || what == "rename":
			b := []byte(key)
			b[rapid.IntRange(1, max(1, len(b)-1)).Draw(r, "at")%len(b)] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
			if space == keyCheckpoint || !strings.HasPrefix(string(b), space) || m.known(string(b)) {
				r.Skip()
			}
			change[string(b)] = old
			from, to = math.MinInt64, math.MaxInt64 // a key that was never written may name anything
			if what == "rename" {
				change[key] = nil
			}
		case what == "truncate" && space == spaceLeaf:
			for _, k := range m.keys[space] {
				if k >= key {
					change[k] = nil
				}
			}
		default:
			change[key] = nil
		}
		f := m.found(change)
		if f == nil {
			r.Fatalf("nothing was found")
		}
		if space == spaceTimes && f.Index == -1 || space == spaceEras && f.Index == -1 { // a period too many or too few
			return
		}
		if f.Index < from || f.Index > to {
			r.Errorf("found at entry %d (%s), want %d to %d", f.Index, f.Reason, from, to)
		}
	})
}
