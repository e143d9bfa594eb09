package accounting

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// A country is not said to have done what this bureau did, and everybody here who had to do with the exhibit is named.
func TestTrailTellsWhoDidWhat(t *testing.T) {
	at := time.Date(2026, 3, 9, 10, 0, 0, 0, time.UTC)
	entry := func(i int64, actor, with string, act protocol.AuditAction, ground, kind string) store.AuditRecord {
		r := store.AuditRecord{Index: i}
		r.AuditEntry = protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: act, Counterpart: with, Ground: ground},
			AuditBody: protocol.AuditBody{Actor: actor, Kind: kind, Time: at.Add(time.Duration(i) * time.Minute)}}
		return r
	}
	var trail Trail
	trail.sort([]store.AuditRecord{
		entry(0, "rita", "", protocol.ActCollect, "", "exhibit"),
		entry(1, "rita", "FR", protocol.ActDisclose, "policy", "signature"),
		entry(2, "node", "FR", protocol.ActDisclose, "receipt", "receipt"),
		entry(3, "nuno", "FR", protocol.ActConsult, "policy", "document"),
		entry(4, "elena", "FR", protocol.ActCombine, "policy", "lead"),
		entry(5, "node", "FR", protocol.ActReceive, "policy", "scan-request"),
		entry(6, "otto", "FR", protocol.ActAlter, "policy", "scan"),
		entry(7, "elena", "FR", protocol.ActDeny, "person", "scan"),
		entry(8, "nuno", "PT", protocol.ActConsult, "policy", "document"),
	}, "PT")
	want := []string{"received", "confirmed", "viewed here", "combined here", "asked", "handled here", "refused"}
	if len(trail.Countries) != 1 || len(trail.Countries[0].Events) != len(want) {
		t.Fatalf("%+v", trail.Countries)
	}
	for i, e := range trail.Countries[0].Events {
		if e.What != want[i] {
			t.Errorf("entry %d is %q, want %q", e.Index, e.What, want[i])
		}
	}
	people := map[string]int{}
	for _, p := range trail.People {
		people[p.Name] = p.Entries
	}
	for name, n := range map[string]int{"rita": 2, "node": 2, "nuno": 2, "elena": 2, "otto": 1} {
		if people[name] != n {
			t.Errorf("%s has %d entries, want %d", name, people[name], n)
		}
	}
}

// overseen is the service of PT over a log, and its auditor.
func overseen(s *store.Store) (*Service, desk.Actor) {
	engine := policy.Default()
	d := &desk.Desk{Store: s, Policy: func() *policy.Engine { return engine }, Country: "PT", Log: slog.New(slog.DiscardHandler)}
	return New(Options{Desk: d}), desk.Actor{Name: "xavier", Roles: []string{policy.Auditor}}
}

// Erased entries become more for ever, and the answer must not wait for all of them.
func TestTrailCountsTheNewestErasedEntries(t *testing.T) {
	s := openLog(t, t.TempDir())
	const entries, erased = 2_600, 2_200
	fill(t, s, entries, func(n int) protocol.AuditEntry {
		e := disclosure(n)
		if n == 0 || n == entries-1 {
			e.Object = "the exhibit"
		}
		return e
	})
	for from := int64(100); from < 100+erased; from += 100 {
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			for i := range int64(100) {
				if err := tx.EraseAudit(from + i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	service, who := overseen(s)
	for look, want := range map[int]int{0: erasedLook, 300: 300, 5_000: erased} {
		trail, err := service.Trail(t.Context(), who, "the exhibit", look)
		if err != nil {
			t.Fatal(err)
		}
		var counted int
		for _, e := range trail.Erased {
			counted += e.Entries
		}
		const unindexed = 256 // the newest entries are looked at, erased or not
		if counted > want || counted <= want-unindexed || trail.ErasedMore != (want < erased) || want == erased && counted != want {
			t.Errorf("look %d: %d erased entries counted, more: %v; want %d of %d", look, counted, trail.ErasedMore, want, erased)
		}
		if got := fmt.Sprint(len(trail.Countries), len(trail.Parts), trail.More); got != "2 1 false" {
			t.Errorf("look %d: countries, parts, more: %s", look, got)
		}
	}
}
