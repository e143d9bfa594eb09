package witness

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

func TestAlarmsAreAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFederation(t, dir, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	auditor := desk.Actor{Name: "xavier", Roles: []string{policy.Auditor}, Justification: "  Lisbon runs a copy until its disk is replaced, ticket 77 "}
	if _, err := es.Acknowledge(t.Context(), auditor, "k0", "PT"); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("nothing to acknowledge: %v", err)
	}
	pt.grow(10)
	f.turn()
	older, old := filepath.Join(dir, "older"), filepath.Join(dir, "old")
	pt.copyTo(older)
	pt.copyTo(old)
	pt.grow(5)
	f.turn()
	f.leave("FR", true) // which has seen less of what is lost
	pt.grow(5)
	f.turn()
	pt.putBack(old)
	pt.grow(2)
	f.turn()
	if fig := must(es.Figures()); fig.Alarms != 1 || fig.Acknowledged != 0 {
		t.Fatalf("%+v", fig)
	}
	for name, who := range map[string]desk.Actor{"without words": {Name: "x", Roles: []string{policy.Auditor}}, "an administrator": {Name: "x", Roles: []string{policy.Administrator}, Justification: "because"},
		"a technician": {Name: "x", Roles: []string{policy.Technician}, Justification: "because"}} {
		if _, err := es.Acknowledge(t.Context(), who, "k1", "PT"); !errors.Is(err, desk.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n, err := es.Acknowledge(t.Context(), auditor, "k2", "PT")
	if err != nil || len(n.Alarms) != 1 {
		t.Fatalf("%+v, %v", n, err)
	}
	if again, err := es.Acknowledge(t.Context(), auditor, "k2", "PT"); err != nil || again.Alarms[0].ID != n.Alarms[0].ID {
		t.Errorf("the same command again: %+v, %v", again, err)
	}
	quiet := func(what string) {
		t.Helper()
		if fig := must(es.Figures()); fig.Alarms != 0 || fig.Acknowledged == 0 {
			t.Errorf("%s: %+v", what, fig)
		}
		if list := must(es.Alarms()); len(list) > 0 {
			t.Errorf("%s: %+v", what, list)
		}
	}
	quiet("acknowledged")
	v, s := es.view("PT"), es.state()
	if a := v.Evidence[0].Acknowledged; a == nil || a.By != "xavier" || a.Why != "Lisbon runs a copy until its disk is replaced, ticket 77" || v.Noted != 1 || v.Alarms != 0 || len(s.Alarms) != 1 || s.Alarms[0].Acknowledged == nil {
		t.Errorf("%+v, %+v", v, s.Alarms)
	}
	if found, err := es.store.QueryAudit(t.Context(), store.AuditQuery{Actor: "xavier", Action: string(protocol.ActAdminister)}); err != nil || len(found) != 1 || found[0].Justification == "" || found[0].Details["evidence"] != v.Evidence[0].ID {
		t.Errorf("audit: %+v, %v", found, err)
	}
	// FR, which has not acknowledged anything, finds the same checkpoint to contradict what it holds, and tells ES: that is no news there.
	f.leave("FR", false)
	f.turn()
	f.turn()
	if v := fr.view("PT"); v.Alarms == 0 {
		t.Errorf("FR: %+v", v.LogState)
	}
	quiet("found by FR")
	// The log goes on as it did.
	pt.grow(2)
	f.turn()
	quiet("it goes on")
	pt.grow(10) // beyond all that is lost: a fork now
	f.turn()
	quiet("it grows beyond what is lost")
	// An older copy yet is a new contradiction.
	pt.putBack(older)
	pt.grow(1)
	f.add(time.Minute)
	f.turn()
	if fig := must(es.Figures()); fig.Alarms == 0 {
		t.Errorf("put back again: %+v", fig)
	}
	// Where there is no room for more evidence, that which somebody knows of makes room.
	for i := range 2 {
		if _, err := es.Acknowledge(t.Context(), auditor, string(rune('a'+i)), "PT"); err != nil {
			t.Fatal(err)
		}
		again := filepath.Join(dir, string(rune('a'+i)))
		pt.copyTo(again)
		pt.grow(3)
		f.turn()
		pt.putBack(again)
		f.turn()
		if fig := must(es.Figures()); fig.Alarms == 0 {
			t.Fatalf("put back for the %dth time: %+v", i+3, fig)
		}
	}
	if v := es.view("PT"); len(v.Evidence) > maxEvidence {
		t.Errorf("%d pieces are kept", len(v.Evidence))
	}
}

// A node whose old copy went on beyond what was witnessed has no backup that it could bring back without having written another history. Once people at its
// witnesses have acknowledged that, a restore that it declares begins a new epoch.
func TestARestoreExplainsWhatPeopleAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFederation(t, dir, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	auditor := desk.Actor{Name: "xavier", Roles: []string{policy.Auditor}, Justification: "Lisbon put a wrong disk back; told by telephone, ticket 78"}
	pt.grow(10)
	f.turn()
	old := filepath.Join(dir, "old")
	pt.copyTo(old)
	pt.grow(10)
	f.turn()
	lost := pt.size()
	pt.putBack(old)
	pt.grow(30) // beyond all that is lost
	f.turn()
	if v := es.view("PT"); v.Alarms != 1 || v.Size != lost {
		t.Fatalf("forked: %+v", v)
	}
	declare := func(id string) {
		c, err := pt.store.Checkpoint()
		check(t, err)
		pt.restored = &protocol.Restored{ID: id, At: f.now(), Made: f.now(), Checkpoint: string(c)}
		check(t, pt.settleOwn(t.Context()))
		pt.grow(3)
		f.turn()
		f.turn()
	}
	declare("00000000000000000000000000000001")
	if v := es.view("PT"); v.Alarms == 0 || v.Size != lost || len(v.Restores) != 0 {
		t.Fatalf("its backup has another history than what was witnessed, and nobody has agreed: %+v", v)
	}
	if _, err := es.Acknowledge(t.Context(), auditor, "k", "PT"); err != nil {
		t.Fatal(err)
	}
	pt.grow(1)
	f.turn()
	f.turn()
	v := es.view("PT")
	if v.Alarms != 0 || v.Size != pt.size() || len(v.Restores) != 1 || len(v.Evidence) == 0 || v.Evidence[0].Explained != pt.restored.ID {
		t.Fatalf("acknowledged: %+v", v)
	}
	if s := pt.state(); !s.Cosigned.Enough {
		t.Errorf("PT: %+v", s)
	}
	// What was agreed to is explained now: another copy is another alarm.
	again := filepath.Join(dir, "again")
	pt.copyTo(again)
	pt.grow(5)
	f.turn()
	pt.putBack(again)
	pt.grow(9)
	f.turn()
	if v := es.view("PT"); v.Alarms == 0 {
		t.Errorf("put back again: %+v", v)
	}
}
