package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// backup is what Store.Backup writes.
func backup(t testing.TB, s *Store, since uint64) (b []byte, head BackupHead, n BackupCount) {
	t.Helper()
	var buf bytes.Buffer
	n, err := s.Backup(t.Context(), since, func(h BackupHead) (io.Writer, error) { head = h; return &buf, nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), head, n
}

// content is everything in a database, by key.
func content(t testing.TB, s *Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.DefaultIteratorOptions)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		v, err := it.Item().ValueCopy(nil)
		if err != nil {
			t.Fatal(err)
		}
		out[string(it.Item().KeyCopy(nil))] = string(v)
	}
	return out
}

func load(t testing.TB, opt Options, files ...[]byte) error {
	t.Helper()
	l, err := OpenLoader(opt)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if _, err := l.Load(t.Context(), bytes.NewReader(f)); err != nil {
			return errors.Join(fmt.Errorf("file %d: %w", i+1, err), l.Close())
		}
	}
	return l.Close()
}

// churn changes, adds and deletes records, so that increments hold all of it.
func churn(t testing.TB, s *Store, random *rand.Rand, acts int) {
	t.Helper()
	for range acts {
		update(t, s, func(tx *Tx) error {
			id := fmt.Sprint(random.IntN(300))
			if random.IntN(3) == 0 {
				err := things.Delete(tx, id)
				if errors.Is(err, ErrNotFound) {
					return nil
				}
				tx.Audit(entry("deleted", id))
				return err
			}
			tx.Audit(entry("written", id))
			_, err := tx.PutBlob([]byte(strings.Repeat(id+"/", 20_000)))
			return errors.Join(err, things.Put(tx, id, &thing{Name: id, Tags: []string{fmt.Sprint(random.IntN(9))}}))
		})
	}
}

// TestBackupAndIncrements restores a full backup and three increments, with the tables compacted between them, so that no mark of a deletion is left.
func TestBackupAndIncrements(t *testing.T) {
	opt := testOptions(t.TempDir())
	opt.MemTable = 1 << 20
	s := open(t, opt)
	random := rand.New(rand.NewPCG(1, 2))
	var files [][]byte
	since := uint64(0)
	for i := range 4 {
		churn(t, s, random, 150)
		b, head, n := backup(t, s, since)
		if (n.Kept > 0) != (i > 0) {
			t.Errorf("backup %d: %+v", i, n)
		}
		files, since = append(files, b), head.Version
		if err := s.Reclaim(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(files[3]) > len(files[0])*2 {
		t.Errorf("an increment has %d bytes, the whole %d", len(files[3]), len(files[0]))
	}
	into := testOptions(t.TempDir())
	if err := load(t, into, files...); err != nil {
		t.Fatal(err)
	}
	r := open(t, into)
	if want, got := content(t, s), content(t, r); !maps.Equal(want, got) {
		t.Errorf("%d keys restored, %d were there; or they differ", len(got), len(want))
	}
	if err := r.CheckIndexes(t.Context()); err != nil {
		t.Error(err)
	}
	_, v := testKeys()
	if _, err := r.VerifyAudit(t.Context(), v, nil); err != nil {
		t.Error(err)
	}
	churn(t, r, random, 20) // it goes on
	for name, order := range map[string][]int{"an increment is missing": {0, 2, 3}, "exchanged": {0, 2, 1, 3}, "begins with an increment": {1}, "full twice": {0, 0}} {
		var mixed [][]byte
		for _, i := range order {
			mixed = append(mixed, files[i])
		}
		err := load(t, testOptions(t.TempDir()), mixed...)
		// What follows by chance (a later increment may hold everything that the missing one did) is for the files' own chain to refuse.
		if name == "begins with an increment" && !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.w.broken; err != nil {
		t.Error(err)
	}
	if _, err := s.Backup(t.Context(), since+1_000_000, func(BackupHead) (io.Writer, error) { return io.Discard, nil }, nil); !errors.Is(err, ErrBackup) {
		t.Errorf("a database older than its backup: %v", err)
	}
}

// TestBackupIsOneMoment backs up while acts go on, each of which changes two records to the same value.
func TestBackupIsOneMoment(t *testing.T) {
	s := openTest(t)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	begun := make(chan struct{}, 4)
	for range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_ = s.Update(ctx, func(tx *Tx) error {
					tx.Audit(entry("both", fmt.Sprint(i)))
					v := []byte(fmt.Sprint(time.Duration(i), rand.Uint64()))
					return errors.Join(tx.Put("a-first", v), tx.Put("z-last", v))
				})
				if i == 3 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		<-begun
	}
	var files [][]byte
	var heads []BackupHead
	since := uint64(0)
	for range 6 {
		b, head, _ := backup(t, s, since)
		files, heads, since = append(files, b), append(heads, head), head.Version
	}
	stop()
	wg.Wait()
	_, v := testKeys()
	for i := range files {
		into := testOptions(t.TempDir())
		if err := load(t, into, files[:i+1]...); err != nil {
			t.Fatal(err)
		}
		r := open(t, into)
		if err := r.View(func(tx *Tx) error {
			a, err := tx.Get("a-first")
			z, zerr := tx.Get("z-last")
			if err = errors.Join(err, zerr); err == nil && !bytes.Equal(a, z) {
				t.Errorf("backup %d is of two moments: %q and %q", i, a, z)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
		if cp, err := r.Checkpoint(); err != nil || !bytes.Equal(cp, heads[i].Checkpoint) {
			t.Errorf("backup %d: its checkpoint is not the one that was announced (%v)", i, err)
		}
		if _, err := r.VerifyAudit(t.Context(), v, nil); err != nil {
			t.Errorf("backup %d: %v", i, err)
		}
	}
}

func TestDamagedBackupsAreRefused(t *testing.T) {
	s := openTest(t)
	churn(t, s, rand.New(rand.NewPCG(3, 4)), 10)
	good, _, n := backup(t, s, 0)
	if got, err := CheckBackup(t.Context(), bytes.NewReader(good)); err != nil || got != n {
		t.Fatalf("checked: %+v, %v; want %+v", got, err, n)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)/2], "without its end": good[:len(good)-1], "with a tail": append(slices.Clone(good), 'S'),
		"another kind": append([]byte{'X'}, good...), "a key as long as memory": {recordSet, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"a value as long as memory": {recordSet, 1, 'v', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, "keys backwards": {recordSet, 1, 'b', 0, recordSet, 1, 'a', 0, recordEnd, 2},
		"one record twice": {recordSet, 1, 'b', 0, recordSet, 1, 'b', 0, recordEnd, 2}, "wrong count": {recordSet, 1, 'b', 0, recordEnd, 2},
	} {
		if _, err := CheckBackup(t.Context(), bytes.NewReader(bad)); !errors.Is(err, ErrBackup) || !strings.Contains(err.Error(), "record ") {
			t.Errorf("%s: checked: %v", name, err)
		}
		if err := load(t, testOptions(t.TempDir()), bad); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: loaded: %v", name, err)
		}
	}
}

func FuzzBackupRecords(f *testing.F) {
	f.Add([]byte{recordSet, 1, 'b', 1, 'x', recordKept, 1, 2, 3, 4, 5, 6, 7, 8, recordEnd, 2})
	f.Add([]byte{recordEnd, 0})
	f.Add([]byte{recordSet, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := CheckBackup(context.Background(), bytes.NewReader(b)); err != nil && !errors.Is(err, ErrBackup) {
			t.Errorf("%q: %v", b, err)
		}
	})
}
