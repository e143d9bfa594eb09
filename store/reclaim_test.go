package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// filesWith lists the files of a database in which a text stands.
func filesWith(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(dir, n.Name()))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			found = append(found, n.Name())
		}
	}
	return found
}

// Erased bytes leave the files of a database that stays open: looked for in one that neither encrypts nor compresses, but works alike.
func TestErasedBytesLeaveTheFiles(t *testing.T) {
	opt := testOptions(t.TempDir())
	opt.plain = true
	s := open(t, opt)
	const early, fresh = "canary-early", "canary-fresh"
	record := func(id, text string) {
		update(t, s, func(tx *Tx) error {
			tx.Audit(entry("kept", id))
			return things.Put(tx, id, &thing{Name: strings.Repeat(text, 20), Tags: []string{text}})
		})
	}
	record("early", early)
	record("stays", "canary-stays")
	if err := s.Reclaim(background); err != nil { // it lies in a table now, and the deletion will lie in another
		t.Fatal(err)
	}
	record("fresh", fresh) // this one in the log of the table in memory
	for _, text := range []string{early, fresh} {
		if len(filesWith(t, opt.Dir, text)) == 0 {
			t.Fatalf("%s stands in no file: the test proves nothing", text)
		}
	}
	update(t, s, func(tx *Tx) error { return errors.Join(things.Delete(tx, "early"), things.Delete(tx, "fresh")) })
	if err := s.Reclaim(background); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{early, fresh} {
		if in := filesWith(t, opt.Dir, text); len(in) > 0 {
			t.Errorf("%s is erased, and still stands in %v", text, in)
		}
	}
	if len(filesWith(t, opt.Dir, "canary-stays")) == 0 {
		t.Error("what was kept is gone")
	}
	view(t, s, func(tx *Tx) error {
		v, err := things.Get(tx, "stays")
		if err == nil && !strings.HasPrefix(v.Name, "canary-stays") {
			t.Errorf("%+v", v)
		}
		return err
	})
	record("after", "canary-after") // and it is written to as before
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, opt)
	view(t, s, func(tx *Tx) error {
		_, err := things.Get(tx, "after")
		return err
	})
}

// Large values lie in the value log. Its newest file is reached once the database was opened again.
func TestErasedLargeValuesLeaveTheFiles(t *testing.T) {
	opt := testOptions(t.TempDir())
	opt.plain = true
	s := open(t, opt)
	text := "canary-large"
	update(t, s, func(tx *Tx) error {
		_, err := tx.PutBlob([]byte(strings.Repeat("x", 64<<10) + "canary-beside"))
		return errors.Join(err, tx.Put("large", []byte(strings.Repeat("x", 64<<10)+text)))
	})
	update(t, s, func(tx *Tx) error { return tx.Delete("large") })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, opt)
	if len(filesWith(t, opt.Dir, text)) == 0 {
		t.Fatal("the value stands in no file: the test proves nothing")
	}
	if err := s.Reclaim(background); err != nil {
		t.Fatal(err)
	}
	if in := filesWith(t, opt.Dir, text); len(in) > 0 {
		t.Errorf("the erased value still stands in %v", in)
	}
	if len(filesWith(t, opt.Dir, "canary-beside")) == 0 {
		t.Error("the value beside it is gone")
	}
}

// Acts and views go on while it works, and nothing is lost or comes back.
func TestReclaimBesideActs(t *testing.T) {
	s := open(t, testOptions(t.TempDir()))
	ctx, stop := context.WithCancel(background)
	var wg sync.WaitGroup
	var kept [4]int
	for w := range kept {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				err := s.Update(background, func(tx *Tx) error {
					err := things.Put(tx, fmt.Sprintf("%d-%d", w, i), &thing{Name: "n", Tags: []string{"t"}})
					if i > 0 && i%2 == 0 {
						err = errors.Join(err, things.Delete(tx, fmt.Sprintf("%d-%d", w, i-1)))
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				kept[w] = i
				if err := s.View(func(tx *Tx) error { _, err := things.Count(tx); return err }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		if err := s.Reclaim(background); err != nil {
			t.Error(err)
		}
	}
	stop()
	wg.Wait()
	view(t, s, func(tx *Tx) error {
		for w, last := range kept {
			for i := range last + 1 {
				want := i%2 == 0 || i == last
				if has, err := things.Has(tx, fmt.Sprintf("%d-%d", w, i)); err != nil || has != want {
					t.Errorf("%d-%d: there %t, want %t, %v", w, i, has, want, err)
				}
			}
		}
		return nil
	})
}

func TestUnqueue(t *testing.T) {
	s := open(t, testOptions(t.TempDir()))
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.Enqueue("ES", "bulk", "a"), tx.Enqueue("ES", "bulk", "b"), tx.Enqueue("ES", "bulk", "c"), tx.Enqueue("FR", "bulk", "b"))
	})
	update(t, s, func(tx *Tx) error {
		for doc, want := range map[string]bool{"b": true, "x": false} {
			if was, err := tx.Unqueue("ES", "bulk", doc); err != nil || was != want {
				t.Errorf("%s: %t, %v", doc, was, err)
			}
		}
		again, err := tx.Unqueue("ES", "bulk", "b")
		if again {
			t.Error("taken out twice")
		}
		return err
	})
	view(t, s, func(tx *Tx) error {
		left, err := tx.Intents("ES", "bulk", 0)
		if len(left) != 2 || left[0].Document != "a" || left[1].Document != "c" {
			t.Errorf("left: %+v", left)
		}
		queues, qerr := tx.QueueLengths()
		if len(queues) != 2 || queues[0].Intents != 2 || queues[1].Intents != 1 {
			t.Errorf("%+v", queues)
		}
		return errors.Join(err, qerr)
	})
}

// A process that is killed while Badger deletes a log, or makes one, leaves it empty.
func TestOpensBesideEmptyLogs(t *testing.T) {
	opt := testOptions(t.TempDir())
	s := open(t, opt)
	update(t, s, func(tx *Tx) error { return tx.Put("a", []byte("1")) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"00007.mem", "000000.vlog", "000009.vlog"} {
		if err := os.WriteFile(filepath.Join(opt.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, opt)
	view(t, s, func(tx *Tx) error {
		v, err := tx.Get("a")
		if err == nil && string(v) != "1" {
			t.Errorf("read %q", v)
		}
		return err
	})
}
