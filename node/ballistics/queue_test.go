package ballistics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"proofmark/correlate"
	"proofmark/store"
)

// waiting lists the jobs.
func (b *bench) waiting(t *testing.T) (ids []string) {
	t.Helper()
	err := b.store.View(func(tx *store.Tx) error {
		for id := range jobs.All(tx) {
			ids = append(ids, id)
		}
		return tx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// A search that runs out of its time comes after all others, gets more time, and is left for the next start in the end; it never keeps the others waiting.
func TestALateSearchComesAfterTheOthers(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	b.load(t)
	marks := printed()
	for i := range 4 {
		b.enrol(t, i, "ES", "e", correlate.BreechFace, marks[i%len(marks)], "")
	}
	ids := b.waiting(t)
	first, err := b.next()
	if err != nil || first.ID != ids[0] {
		t.Fatalf("the oldest is not the first: %v, %v", first, err)
	}
	second, err := b.next()
	if err != nil || second.ID != ids[1] {
		t.Fatalf("one that is worked on is taken twice: %v, %v", second, err)
	}
	delete(b.queue.running, second.ID)
	b.queue.limit = 0 // no search is fast enough
	b.work(t.Context(), first)
	if b.queue.late[first.ID] != 1 || !strings.Contains(b.said(), "took too long") {
		t.Fatalf("late %v; the log says: %s", b.queue.late, b.said())
	}
	if next, err := b.next(); err != nil || next.ID != ids[1] {
		t.Errorf("the late one stands before the others: %v, %v", next, err)
	}
	delete(b.queue.running, ids[1])
	if err := b.correlateAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(b.queue.failed) != 4 || len(b.waiting(t)) != 4 || !strings.Contains(b.said(), "tried again when the node restarts") {
		t.Errorf("failed %v, waiting %v", b.queue.failed, b.waiting(t))
	}
	b.queue = newQueue() // as after a restart
	b.correlated(t)
}

// What fails because the disk has no room is no failure of the job: it waits until there is room, and no restart is needed.
func TestAJobWaitsForDiskSpace(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	b.load(t)
	b.enrol(t, 0, "ES", "e", correlate.BreechFace, printed()[0], "")
	job, err := b.next()
	if err != nil || job == nil {
		t.Fatalf("%v, %v", job, err)
	}
	b.ended(job, fmt.Errorf("keep candidates: %w", store.ErrDiskReserve), false, time.Minute)
	if next, err := b.next(); next != nil || err != nil || len(b.queue.failed) != 0 || !strings.Contains(b.said(), "waits for free disk space") {
		t.Errorf("while the disk is full: %v, %v, failed %v", next, err, b.queue.failed)
	}
	if !b.queue.tryAgain() || b.queue.tryAgain() {
		t.Error("the queue does not go on once, and only once")
	}
	b.correlated(t)
}

// Whoever finds nothing to search has given the place back by the time that another job can be queued: the nudge for that job finds it free.
func TestNoNudgeMeetsPlacesThatNobodyFills(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	b.load(t)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, ctx := range []context.Context{t.Context(), stopped} {
		for b.queue.hire() {
		}
		for range searchesAtOnce {
			if job, err := b.take(ctx); job != nil || err != nil {
				t.Fatalf("%v, %v", job, err)
			}
		}
		if b.queue.workers != 0 {
			t.Fatalf("%d places are held by nobody", b.queue.workers)
		}
	}
}

func TestManySearchesAtOnceLeaveNoJobAndFindEveryPair(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	b.load(t)
	const n = 12
	for i := range n {
		b.enrol(t, i, "PT", string(rune('a'+i)), correlate.BreechFace, printed()[i%4], "")
	}
	b.correlated(t)
	found := 0
	err := b.store.View(func(tx *store.Tx) (err error) {
		found, err = candidates.Count(tx)
		return err
	})
	if want := n * (n - 1) / 2; err != nil || found != want {
		t.Errorf("%d pairs of %d, %v", found, want, err)
	}
	if !b.queue.hire() || b.queue.workers != 1 {
		t.Errorf("%d still work", b.queue.workers)
	}
}

// A stop ends searches at once, and their jobs stay.
func TestAStopCancelsSearches(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	b.load(t)
	b.enrol(t, 1, "ES", "e", correlate.BreechFace, printed()[0], "")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := b.correlateAll(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	sig, err := b.next()
	if err != nil {
		t.Fatal(err)
	}
	b.work(ctx, sig)
	if len(b.waiting(t)) != 1 || len(b.queue.failed) != 0 || len(b.queue.late) != 0 {
		t.Errorf("waiting %v, failed %v, late %v", b.waiting(t), b.queue.failed, b.queue.late)
	}
	b.correlated(t)
}

// Run fills the index, correlates what waits and what comes, and leaves a snapshot at its end.
func TestRunFromStartToStop(t *testing.T) {
	dir := t.TempDir()
	b := openBench(t, dir)
	b.enrol(t, 1, "PT", "a", correlate.BreechFace, printed()[0], "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	idle := func() {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if ok, err := b.Idle(); ok && b.Filling().Ready {
				return
			} else if err != nil || time.Now().After(end) {
				t.Fatalf("not idle, %v: %s", err, b.said())
			}
		}
	}
	idle()
	b.enrol(t, 2, "ES", "b", correlate.BreechFace, printed()[0], "")
	idle()
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	b.close(t)
	b = openBench(t, dir)
	defer b.close(t)
	b.load(t)
	b.asStored(t, 2)
	if !strings.Contains(b.said(), `from="its snapshot"`) {
		t.Errorf("the stop left no snapshot: %s", b.said())
	}
}
