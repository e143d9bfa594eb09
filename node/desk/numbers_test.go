package desk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

func TestNumbersAreUnique(t *testing.T) {
	r := newRig(t)
	next := func(series string, fail bool) (n string, err error) {
		err = r.Store.Update(context.Background(), func(tx *store.Tx) error {
			if n, err = NextNumber(tx, "PT", series); err == nil && fail {
				err = errors.New("not this time")
			}
			return err
		})
		return n, err
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = map[string]int{}
	)
	const people, each = 8, 25
	for p := range people {
		wg.Go(func() {
			for i := range each {
				if n, err := next("L", i%5 == p%5); err == nil {
					mu.Lock()
					seen[n]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	const good = people * each * 4 / 5
	for i := range good {
		if n := fmt.Sprintf("PT-L-2026-%06d", i+1); seen[n] != 1 {
			t.Errorf("%s was given %d times: failed acts must leave no gap", n, seen[n])
		}
	}
	if len(seen) != good {
		t.Errorf("%d numbers of %d", len(seen), good)
	}
	if err := r.Store.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	want := func(series, want string) {
		t.Helper()
		if n, err := next(series, false); err != nil || n != want {
			t.Errorf("%q, %v, want %s", n, err, want)
		}
	}
	want("L", fmt.Sprintf("PT-L-2026-%06d", good+1))
	want("T", "PT-T-2026-000001")
	r.now = begin.Add(90 * time.Minute).In(time.FixedZone("", -5*3600)) // the year is that of UTC
	want("L", "PT-L-2027-000001")
	if err := r.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.Put("series/L/2027", []byte("many")) }); err != nil {
		t.Fatal(err)
	}
	if n, err := next("L", false); err == nil {
		t.Errorf("a damaged series goes on with %s", n)
	}
}

// A node that was restored has forgotten the numbers that it gave after its backup; people and other countries have not. Two restores from one backup do not
// meet each other either.
func TestNumbersGoOnFarAboveThoseThatARestoreForgot(t *testing.T) {
	seen := map[string]bool{}
	give := func(r *rig, restored bool, n int) {
		t.Helper()
		if err := r.Store.Update(t.Context(), func(tx *store.Tx) error {
			if restored {
				return SkipNumbers(tx)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := r.Store.Update(t.Context(), func(tx *store.Tx) error {
				number, err := NextNumber(tx, "PT", "L")
				if seen[number] {
					t.Errorf("%s is given twice", number)
				}
				seen[number] = true
				return errors.Join(err, protocol.CheckNumber(number, "PT", "L"))
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := time.Date(2026, 12, 31, 20, 0, 0, 0, time.UTC)
	for i := range 3 { // the same empty backup each time
		r := newRig(t)
		r.now = at.Add(time.Duration(i) * time.Hour)
		give(r, i > 0, 50)
	}
	if !seen["PT-L-2026-000001"] || len("PT-L-2026-927000") != len(slices.Max(slices.Collect(maps.Keys(seen)))) {
		t.Errorf("%v", slices.Sorted(maps.Keys(seen)))
	}
	r := newRig(t)
	r.now = at
	give(r, true, 1)
	r.now = at.AddDate(0, 0, 1)
	give(r, false, 1)
	if !seen["PT-L-2027-000001"] {
		t.Error("the next year does not begin at 1")
	}
}
