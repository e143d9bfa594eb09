package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var background = context.Background()

func TestActsAreFolded(t *testing.T) {
	s := openTest(t)
	before := s.Commits()
	const writers, each = 16, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				hooked := false
				err := s.Update(background, func(tx *Tx) error {
					tx.Audit(entry("folded", fmt.Sprintf("%d-%d", w, i)))
					tx.OnCommit(func() { hooked = true })
					// Every act sees those before it: the counter loses no step.
					n := 0
					if b, err := tx.Get("counter"); err == nil {
						fmt.Sscan(string(b), &n)
					} else if !errors.Is(err, ErrNotFound) {
						return err
					}
					return tx.Put("counter", fmt.Append(nil, n+1))
				})
				if err != nil || !hooked {
					t.Errorf("writer %d: %v, hook ran: %v", w, err, hooked)
					return
				}
			}
		})
	}
	wg.Wait()
	view(t, s, func(tx *Tx) error {
		if b, err := tx.Get("counter"); string(b) != fmt.Sprint(writers*each) {
			t.Errorf("counter %s, %v", b, err)
		}
		return nil
	})
	commits := s.Commits() - before
	t.Logf("%d acts in %d commits", writers*each, commits)
	if commits > writers*each/2 {
		t.Errorf("%d acts took %d commits", writers*each, commits)
	}
	if r := verify(t, s); r.Size != writers*each {
		t.Errorf("%d audit entries", r.Size)
	}
}

// together runs acts in this order, folded into one transaction: a first act gives the writer a queue in which all others wait already.
func together(t *testing.T, s *Store, acts ...func(*Tx) error) []error {
	t.Helper()
	queue := make(chan *request, len(acts))
	waiting := make([]*request, len(acts))
	for i, act := range acts {
		waiting[i] = &request{act: act, done: make(chan error, 1)}
		queue <- waiting[i]
	}
	if err := s.Update(background, func(*Tx) error { s.queue = queue; return nil }); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, len(acts))
	for i, r := range waiting {
		if errs[i] = <-r.done; errs[i] == nil {
			for _, f := range r.hooks {
				f()
			}
		}
	}
	return errs
}

func TestFailingActsHarmNobody(t *testing.T) {
	s := openTest(t)
	errOwn := errors.New("changed my mind")
	note := func(key string) func(*Tx) error {
		return func(tx *Tx) error {
			tx.Audit(entry(key, key))
			return errors.Join(tx.Put(key, []byte("v")), things.Put(tx, key, &thing{Name: key}))
		}
	}
	hooked := false
	bad := func(end func()) func(*Tx) error {
		return func(tx *Tx) error {
			tx.OnCommit(func() { hooked = true })
			if err := errors.Join(note("bad")(tx), tx.Delete("one"), tx.Enqueue("ES", "bulk", "d")); err != nil {
				return err
			}
			for range tx.Scan("", "") {
				end()
			}
			return errOwn
		}
	}
	before := s.Commits()
	errs := together(t, s,
		note("one"),
		bad(func() {}),
		bad(func() { panic("oops") }),
		note("two"),
		bad(runtime.Goexit),
		func(tx *Tx) error {
			if got := scanKeys(tx, "", ""); strings.Join(got, " ") != "one two" {
				t.Errorf("seen in the fold: %v", got)
			}
			return note("three")(tx)
		})
	for i, want := range []string{"", errOwn.Error(), "panic in an act: oops", "", "ended its goroutine", ""} {
		if err := errs[i]; (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("act %d: %v, want %q", i, err, want)
		}
	}
	if n := s.Commits() - before; n > 2 {
		t.Errorf("%d commits", n)
	}
	if hooked {
		t.Error("the hook of a failed act ran")
	}
	view(t, s, func(tx *Tx) error {
		if got := scanKeys(tx, "", ""); strings.Join(got, " ") != "one three two" {
			t.Errorf("stored: %v", got)
		}
		if q, err := tx.QueueLengths(); len(q) > 0 || err != nil {
			t.Errorf("queued: %v, %v", q, err)
		}
		return nil
	})
	if r := verify(t, s); r.Size != 3 {
		t.Errorf("%d audit entries, want 3", r.Size)
	}
	if err := s.CheckIndexes(background); err != nil {
		t.Error(err)
	}
}

func TestTxIsOverAfterItsAct(t *testing.T) {
	s := openTest(t)
	var kept *Tx
	update(t, s, func(tx *Tx) error { kept = tx; return tx.Put("k", nil) })
	_, err := kept.Get("k")
	wantErr(t, err, ErrTxDone)
	wantErr(t, kept.Put("k", nil), ErrTxDone)
	for range kept.Scan("", "") {
		t.Error("scanned")
	}
	wantErr(t, kept.Err(), ErrTxDone)
}

// What does not fit into one Badger transaction is committed in several; one act that does not fit is refused.
func TestLargeTransactions(t *testing.T) {
	opt := testOptions(t.TempDir())
	opt.MemTable = 1 << 20 // a limit of 157,286 bytes
	s := open(t, opt)
	chunk := bytes.Repeat([]byte("x"), 30_000)
	put := func(prefix string, n int) func(*Tx) error {
		return func(tx *Tx) error {
			for i := range n {
				if err := tx.Put(fmt.Sprintf("%s%05d", prefix, i), chunk); err != nil {
					return err
				}
			}
			tx.Audit(entry("large", prefix))
			return nil
		}
	}
	before := s.Commits()
	for i, err := range together(t, s, put("a", 4), put("b", 4), put("huge", 6), put("c", 1), put("d", 4)) {
		if (i == 2) != errors.Is(err, ErrTooLarge) || i != 2 && err != nil {
			t.Errorf("act %d: %v", i, err)
		}
	}
	if n := s.Commits() - before; n < 3 {
		t.Errorf("%d commits, want at least 3", n)
	}
	view(t, s, func(tx *Tx) error {
		if n := len(scanKeys(tx, "", "")); n != 13 {
			t.Errorf("%d keys, want 13", n)
		}
		return nil
	})
	if r := verify(t, s); r.Size != 4 {
		t.Errorf("%d audit entries, want 4", r.Size)
	}
	// Many small keys meet the limit on their number.
	err := s.Update(background, func(tx *Tx) error {
		for i := range int(s.db.MaxBatchCount()) {
			if err := tx.Put(fmt.Sprint(i), nil); err != nil {
				return err
			}
		}
		return nil
	})
	wantErr(t, err, ErrTooLarge, "split")
	// The exact limit, from below and above: Badger's own count must agree with the store's.
	size := func(n int) func(*Tx) error {
		return func(tx *Tx) error {
			for n > 0 {
				part := min(n, 20_000)
				if err := tx.Put(fmt.Sprintf("exact%06d", n), make([]byte, part-len(spaceRaw)-11-12)); err != nil {
					return err
				}
				n -= part
			}
			return nil
		}
	}
	limit := int(s.db.MaxBatchSize()) - commitSize
	if err := s.Update(background, size(limit-60)); err != nil {
		t.Errorf("just below the limit: %v", err)
	}
	wantErr(t, s.Update(background, size(limit+60)), ErrTooLarge)
	// Large values do not count: they go to the value log.
	update(t, s, func(tx *Tx) error { _, err := tx.PutBlob(bytes.Repeat([]byte("scan"), 1<<20)); return err })
	wantErr(t, s.Update(background, func(tx *Tx) error { return tx.Put("k", make([]byte, MaxBlob+1)) }), ErrTooLarge)
}

func TestUpdateContext(t *testing.T) {
	s := openTest(t)
	cancelled, cancel := context.WithCancel(background)
	cancel()
	never := func(*Tx) error { t.Error("run"); return nil }
	wantErr(t, s.Update(cancelled, never), context.Canceled)

	started, release := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(background)
	var wg sync.WaitGroup
	wg.Go(func() { // begun before the context ended: it is finished and succeeds
		if err := s.Update(ctx, func(tx *Tx) error { close(started); <-release; return tx.Put("begun", nil) }); err != nil {
			t.Error(err)
		}
	})
	<-started
	wg.Go(func() { wantErrAsync(t, s.Update(ctx, never), context.Canceled) })
	time.Sleep(20 * time.Millisecond)
	cancel()
	time.Sleep(20 * time.Millisecond)
	close(release)
	wg.Wait()
	view(t, s, func(tx *Tx) error { _, err := tx.Get("begun"); return err })
}

func wantErrAsync(t *testing.T, err, kind error) {
	if !errors.Is(err, kind) {
		t.Errorf("got error %v, want %v", err, kind)
	}
}

func TestCloseWhileBusy(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testOptions(dir))
	var wg, begun sync.WaitGroup
	done := make([]int, 8)
	begun.Add(len(done))
	for w := range done {
		wg.Go(func() {
			atWork := sync.OnceFunc(begun.Done)
			defer atWork()
			for {
				err := s.Update(background, func(tx *Tx) error { return tx.Put(fmt.Sprintf("%d/%05d", w, done[w]), nil) })
				if err != nil {
					wantErrAsync(t, err, ErrClosed)
					return
				}
				done[w]++
				atWork()
			}
		})
		wg.Go(func() {
			for {
				if err := s.View(func(tx *Tx) error { scanKeys(tx, "", ""); return nil }); err != nil {
					wantErrAsync(t, err, ErrClosed)
					return
				}
			}
		})
	}
	begun.Wait()
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s = open(t, testOptions(dir))
	view(t, s, func(tx *Tx) error {
		for w, n := range done {
			if got := len(scanKeys(tx, fmt.Sprintf("%d/", w), "")); got < n {
				t.Errorf("writer %d: %d keys, %d were acknowledged", w, got, n)
			}
		}
		return nil
	})
}

// After a write that failed nothing may be written any more: what is on disk is uncertain.
func TestFailedCommitStopsWriting(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testOptions(dir))
	appendEntries(t, s, 3)
	hooked := false
	err := s.Update(background, func(tx *Tx) error {
		tx.OnCommit(func() { hooked = true })
		return errors.Join(tx.Put("lost", nil), s.db.Close()) // the database goes away under the act
	})
	wantErr(t, err, ErrFailed, "restart")
	err = s.Update(background, func(*Tx) error { t.Error("run"); return nil })
	wantErr(t, err, ErrFailed, "restart")
	if hooked {
		t.Error("the hook of an act that was not committed ran")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, testOptions(dir))
	if r := verify(t, s); r.Size != 3 {
		t.Errorf("%d audit entries after a restart, want 3", r.Size)
	}
}
