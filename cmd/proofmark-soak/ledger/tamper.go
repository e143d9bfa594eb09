package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// Mutation is one change to a copy of a stored log, and how it was found.
type Mutation struct {
	Change string `json:"change"`
	Found  string `json:"found"` // empty: it was not
}

// The keys of audit entries in the database begin with this (package store).
const leafSpace = "l"

// mutations change one stored log each. Whoever makes them holds the key of the database, but not the key that signs the log.
var mutations = []struct {
	change string
	make   func(r *rand.Rand, keys, values [][]byte, txn *badger.Txn) error
}{
	{"one letter of an entry's body is changed", func(r *rand.Rand, keys, values [][]byte, txn *badger.Txn) error {
		i := r.IntN(len(keys))
		v := bytes.Clone(values[i])
		at := bytes.LastIndex(v, []byte(`"event":"`)) + len(`"event":"`)
		v[at] ^= 0x01
		return txn.Set(keys[i], v)
	}},
	{"an entry is taken out", func(r *rand.Rand, keys, _ [][]byte, txn *badger.Txn) error {
		return txn.Delete(keys[r.IntN(len(keys))])
	}},
	{"two entries change places", func(r *rand.Rand, keys, values [][]byte, txn *badger.Txn) error {
		i := r.IntN(len(keys) - 1)
		return errors.Join(txn.Set(keys[i], bytes.Clone(values[i+1])), txn.Set(keys[i+1], bytes.Clone(values[i])))
	}},
	{"an entry is repeated at the end", func(r *rand.Rand, keys, values [][]byte, txn *badger.Txn) error {
		next := bytes.Clone(keys[len(keys)-1])
		for i := len(next) - 1; i > 0; i-- {
			if next[i]++; next[i] != 0 {
				break
			}
		}
		return txn.Set(next, bytes.Clone(values[r.IntN(len(values))]))
	}},
}

// Mutate changes copies of a node's stored log under scratch, each in another way, and has each verified.
func Mutate(ctx context.Context, f Folder, scratch string, seed uint64) ([]Mutation, error) {
	r := rand.New(rand.NewPCG(seed, 3))
	var out []Mutation
	for _, m := range mutations {
		found, err := mutate(ctx, f, filepath.Join(scratch, "mutated"), func(keys, values [][]byte, txn *badger.Txn) error { return m.make(r, keys, values, txn) })
		if err != nil {
			return out, fmt.Errorf("a copy of the log of %s, in which %s: %w", f.Country, m.change, err)
		}
		out = append(out, Mutation{m.change, found})
	}
	return out, nil
}

func mutate(ctx context.Context, f Folder, scratch string, change func(keys, values [][]byte, txn *badger.Txn) error) (found string, err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if err := os.CopyFS(scratch, os.DirFS(f.Dir)); err != nil {
		return "", err
	}
	copied := Folder{Dir: scratch, Country: f.Country, Passphrase: f.Passphrase}
	master, _, err := copied.unlock()
	if err != nil {
		return "", err
	}
	db, err := badger.Open(badger.DefaultOptions(filepath.Join(scratch, "store")).WithLogger(nil).WithEncryptionKey(master.Derive("badger")).
		WithIndexCacheSize(16 << 20).WithNumVersionsToKeep(1))
	if err != nil {
		return "", err
	}
	err = db.Update(func(txn *badger.Txn) error {
		var keys, values [][]byte
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(leafSpace), PrefetchValues: true, PrefetchSize: 100})
		for it.Rewind(); it.Valid(); it.Next() {
			v, err := it.Item().ValueCopy(nil)
			if err != nil {
				it.Close()
				return err
			}
			keys, values = append(keys, it.Item().KeyCopy(nil)), append(values, v)
		}
		it.Close()
		if len(keys) < 2 {
			return errors.New("the log has fewer than two entries")
		}
		return change(keys, values, txn)
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return "", err
	}
	b, err := Read(ctx, copied)
	if err != nil {
		return err.Error(), nil // it cannot even be read
	}
	return b.LogFault, nil
}
