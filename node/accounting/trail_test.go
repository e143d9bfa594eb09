package accounting

import (
	"testing"
	"time"

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
