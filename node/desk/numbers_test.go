package desk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

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
