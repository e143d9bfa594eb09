package roster

import (
	"slices"
	"testing"
	"time"
)

// A clock that was set back before the roster was issued ends nobody's membership, and revives no key that had ended by then.
func TestAClockBeforeTheRoster(t *testing.T) {
	issued := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m := Member{Country: "PT", PeerIDs: []string{"new", "old"}, Ends: []KeyEnd{{Key: "old", Until: issued.Add(-time.Hour)}}, ValidFrom: issued.Add(-time.Hour), ValidUntil: issued.Add(24 * time.Hour)}
	s := Standing{Member: m, Status: Active, issued: issued}
	for _, now := range []time.Time{{}, issued.AddDate(-20, 0, 0), issued.Add(-2 * time.Hour), issued, issued.Add(time.Hour), issued.Add(24*time.Hour + Grace - time.Second)} {
		if !s.Active(now) {
			t.Errorf("at %s it is not active", now)
		}
		if got := s.PeerIDsAt(now); !slices.Equal(got, []string{"new"}) {
			t.Errorf("at %s it has the peer IDs %v", now, got)
		}
	}
	if s.Active(issued.Add(24*time.Hour + Grace)) {
		t.Error("active after its grace")
	}
	s.Status = Suspended
	if s.Active(issued.Add(-2 * time.Hour)) {
		t.Error("a suspended member is active while the clock is wrong")
	}
	s.Status, s.ValidFrom = Active, issued.Add(time.Hour) // an entry for later
	if s.Active(issued) || s.Active(issued.Add(-time.Hour)) || !s.Active(issued.Add(time.Hour)) {
		t.Error("an entry counts before its time")
	}
	r := &Roster{Issued: issued}
	if got := r.Plausible(issued.Add(-time.Minute)); !got.Equal(issued) || !r.Plausible(issued.Add(time.Minute)).Equal(issued.Add(time.Minute)) {
		t.Errorf("plausible: %s", got)
	}
}
