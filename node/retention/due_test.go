package retention

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

var (
	begin = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ncb   = desk.Actor{Name: "ncb", Roles: []string{policy.NCBOperator}}
)

const oneDay = 24 * time.Hour

// shelf keeps records that are made when they are read, any number of them.
type shelf struct{ n int }

func (shelf) Kinds() []string { return []string{"firearm"} }

// record number i last changed so many days before begin that neighbours lie far apart in the list.
func (s shelf) record(i int) Record {
	ago := time.Duration(1+(i*7919)%s.n) * time.Minute
	return Record{Kind: "firearm", Rule: "firearm", ID: fmt.Sprintf("%06d", i), Reference: fmt.Sprintf("PT-%06d", i), Changed: begin.Add(-20*oneDay - ago), Last: "the record was made"}
}

func (s shelf) Kept(_ *store.Tx, each func(Record) bool) error {
	for i := range s.n {
		if !each(s.record(i)) {
			break
		}
	}
	return nil
}

func (s shelf) Find(_ *store.Tx, _, ref string) (Record, error) {
	for i := range s.n {
		if r := s.record(i); r.Reference == ref || r.ID == ref {
			return r, nil
		}
	}
	return Record{}, desk.NotFound("none")
}
func (shelf) Plan(*store.Tx, Record) (Plan, error) { return Plan{}, nil }
func (shelf) Erase(*store.Tx, Record) error        { return nil }

// keeping is the service over a store on disk.
func keeping(t testing.TB, k Keeper, period time.Duration) *Service {
	t.Helper()
	key, _, err := note.GenerateKey(rand.Reader, "proofmark.PT")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Options{Dir: t.TempDir(), Key: make([]byte, 32), Now: func() time.Time { return begin }, Random: rand.Reader, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	engine := policy.Default()
	return New(Options{Desk: &desk.Desk{Store: s, Policy: func() *policy.Engine { return engine }, Country: "PT"}, Periods: Periods{"firearm": period}, Keepers: []Keeper{k}})
}

// TestDuePages goes through 100,000 records that are due, page by page: each once, the longest overdue first, with what a page holds in memory and no more.
func TestDuePages(t *testing.T) {
	const n = 100_000
	s := keeping(t, shelf{n}, 20*oneDay)
	var before, after runtime.MemStats
	seen := map[string]bool{}
	var last place
	pages, most := 0, uint64(0)
	for p := (Page{Limit: MaxPage}); ; pages++ {
		list, err := s.Due(t.Context(), ncb, p)
		if err != nil || list.Total != n || len(list.Items) > MaxPage {
			t.Fatalf("page %d: %d of %d, %v", pages, len(list.Items), list.Total, err)
		}
		for _, i := range list.Items {
			at := placeOf(i)
			if seen[i.ID] || at.compare(last) <= 0 {
				t.Fatalf("page %d: %s stands there again, or out of order", pages, i.ID)
			}
			seen[i.ID], last = true, at
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if before.HeapAlloc == 0 {
			before = after
		}
		most = max(most, after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	if len(seen) != n || pages != n/MaxPage-1 {
		t.Errorf("%d records on %d pages", len(seen), pages+1)
	}
	t.Logf("%d pages; %d MiB more are held at the last than at the first", pages+1, most>>20)
	f := first{keep: 100}
	for i := range n {
		f.add(place{begin.Add(-time.Duration(i)), ""}, Item{Record: Record{ID: fmt.Sprint(i)}})
		if len(f.held) > 2*f.keep+1 {
			t.Fatalf("%d records are held for a page of %d", len(f.held), f.keep)
		}
	}
	if items, more := f.end(); len(items) != 100 || cap(items) != 100 || !more || items[0].ID != fmt.Sprint(n-1) {
		t.Errorf("%d items, more %v", len(items), more)
	}
}

func TestDueInWords(t *testing.T) {
	s := keeping(t, shelf{3}, 20*oneDay)
	list, err := s.Due(t.Context(), ncb, Page{Limit: 2})
	if err != nil || len(list.Items) != 2 || list.Total != 3 || list.Next == "" || list.Items[0].Because != "20 days after the record was made on 2026-11-02" {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, bad := range []string{"x", "2026-11-02", "2026-11-02T00:00:00Z," + string(make([]byte, 300))} {
		if _, err := s.Due(t.Context(), ncb, Page{After: bad}); !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("page after %.20q: %v", bad, err)
		}
	}
	rest, err := s.Due(t.Context(), ncb, Page{Limit: 2, After: list.Next})
	if err != nil || len(rest.Items) != 1 || rest.Next != "" || slices.ContainsFunc(list.Items, func(i Item) bool { return i.ID == rest.Items[0].ID }) {
		t.Fatalf("%+v, %v", rest, err)
	}
	if err := s.count(t.Context()); err != nil {
		t.Fatal(err)
	}
	figures := func() (due, soon, proposed int) {
		t.Helper()
		if err := s.desk.Store.View(func(tx *store.Tx) error {
			k, err := s.Figures(tx)
			due, soon, proposed = k.Due, k.Soon, k.Proposed
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return due, soon, proposed
	}
	if due, soon, proposed := figures(); due != 3 || soon+proposed != 0 {
		t.Errorf("%d due, %d soon, %d proposed", due, soon, proposed)
	}
	if _, err := s.Keep(t.Context(), ncb, "", rest.Items[0].Reference, begin.Add(29*oneDay), "appeal"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Purge(t.Context(), ncb, "", list.Items[0].Reference, "no longer needed"); err != nil {
		t.Fatal(err)
	}
	if err := s.count(t.Context()); err != nil {
		t.Fatal(err)
	}
	if due, soon, proposed := figures(); due != 1 || soon != 1 || proposed != 1 {
		t.Errorf("%d due, %d soon, %d proposed", due, soon, proposed)
	}
	list, err = s.Due(t.Context(), ncb, Page{Within: 30 * oneDay})
	if err != nil || list.Total != 3 || list.Items[2].Because != "kept until then by review of ncb: appeal" || list.Items[0].Review.State != Proposed {
		t.Errorf("%+v, %v", list, err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := s.Due(stopped, ncb, Page{}); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: %v", err)
	}
	for period, want := range map[time.Duration]string{20 * oneDay: "20 days", 365 * oneDay: "365 days", 3650 * oneDay: "10 years", 3651 * oneDay: "3651 days"} {
		if got := days(period); got != want {
			t.Errorf("%v: %s", period, got)
		}
	}
}
