package store

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"golang.org/x/mod/sumdb/tlog"
)

func TestVerifyAuditSince(t *testing.T) {
	s := openTest(t)
	_, v := testKeys()
	saved := map[int64][]byte{}
	for _, n := range []int{0, 3, 252, 1, 1, 283} {
		appendEntries(t, s, n)
		b, err := s.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		size, _, err := ParseCheckpoint(b)
		if err != nil {
			t.Fatal(err)
		}
		saved[size] = b
	}
	update(t, s, func(tx *Tx) error { return errors.Join(tx.EraseAudit(1), tx.EraseAudit(300)) })
	for size, b := range saved {
		r, err := s.VerifyAuditSince(context.Background(), v, b, nil)
		if err != nil || r.Size != 540 || r.From != size {
			t.Errorf("since %d: %+v, %v", size, r, err)
			continue
		}
		if size > 0 {
			_, root, _ := ParseCheckpoint(b)
			if err := tlog.CheckTree(r.Proof, r.Size, r.Root, size, root); err != nil {
				t.Errorf("since %d: the proof that is shown: %v", size, err)
			}
		}
	}
	faulty := func(name string, saved []byte, change map[string][]byte, index int64, reason string) {
		t.Helper()
		old := map[string][]byte{}
		for key := range change {
			view(t, s, func(tx *Tx) error { b, err := tx.get(key); old[key] = b; return err })
		}
		put := func(values map[string][]byte) {
			if err := s.db.Update(func(txn *badger.Txn) (err error) {
				for key, b := range values {
					if b == nil {
						err = errors.Join(err, txn.Delete([]byte(key)))
					} else {
						err = errors.Join(err, txn.Set([]byte(key), b))
					}
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			s.renew()
		}
		put(change)
		_, err := s.VerifyAuditSince(context.Background(), v, saved, nil)
		put(old)
		var f *AuditFault
		if !errors.As(err, &f) || f.Index != index || !strings.Contains(f.Reason, reason) {
			t.Errorf("%s: %v, want entry %d, %s", name, err, index, reason)
		}
	}
	var leaf, before, french []byte
	inFrench := blockPrefix(blockCounterpart, "FR") + newestFirst(1)
	view(t, s, func(tx *Tx) (err error) {
		for key, value := range map[string]*[]byte{spaceLeaf + number(333): &leaf, spaceLeaf + number(255): &before, inFrench: &french} {
			if *value, err = tx.get(key); err != nil {
				return err
			}
		}
		return nil
	})
	flip := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 4; return b }
	faulty("changed since", saved[256], map[string][]byte{spaceLeaf + number(333): flip(leaf, len(leaf)-3)}, 333, "")
	faulty("dropped since", saved[256], map[string][]byte{spaceLeaf + number(333): nil}, 333, "missing")
	faulty("a hash before", saved[256], map[string][]byte{spaceLeaf + number(255): flip(before, leafHead+8*32)}, -1, "first 256 entries")
	faulty("index key dropped since", saved[256], map[string][]byte{auditIndexPrefix(byObject, "o3") + newestFirst(333): nil}, 333, "index")
	faulty("block key dropped since", saved[257], map[string][]byte{blockPrefix(blockDecision, "permit") + newestFirst(1): nil}, 256, "index")
	faulty("another entry in a block's value", saved[257], map[string][]byte{inFrench: flip(french, 20)}, 256, "other entries")
	faulty("signature of the saved one", flip(saved[256], len(saved[256])-8), nil, -1, "saved checkpoint's signature")
	faulty("no checkpoint", []byte("hello"), nil, -1, "saved checkpoint's signature")

	other := openTest(t) // the same node, put back to an older state, went on in another way
	appendEntries(t, other, 300)
	forked, err := other.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	faulty("another history", forked, nil, -1, "not those")
	appendEntries(t, other, 300)
	if forked, err = other.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	faulty("put back", forked, nil, -1, "was put back")
}
