package store

import (
	"strings"
	"testing"
)

// What a purge erases of the log leaves the files, with its index and its block; header and proofs stay.
func TestErasedAuditBodiesLeaveTheFiles(t *testing.T) {
	opt := testOptions(t.TempDir())
	opt.plain = true
	s := open(t, opt)
	spoken := entry("canary-event", "canary-object")
	spoken.Case, spoken.Ground, spoken.Details = "canary-case", "canary-ground", map[string]string{"note": strings.Repeat("canary-note", 20)}
	update(t, s, func(tx *Tx) error {
		tx.Audit(spoken)
		return nil
	})
	gone := []string{"canary-event", "canary-object", "canary-case", "canary-note"}
	if err := s.Reclaim(background); err != nil {
		t.Fatal(err)
	}
	for _, text := range gone {
		if len(filesWith(t, opt.Dir, text)) == 0 {
			t.Fatalf("%s stands in no file: the test proves nothing", text)
		}
	}
	update(t, s, func(tx *Tx) error { return tx.EraseAudit(0) })
	if err := s.Reclaim(background); err != nil {
		t.Fatal(err)
	}
	for _, text := range gone {
		if in := filesWith(t, opt.Dir, text); len(in) > 0 {
			t.Errorf("%s is erased, and still stands in %v", text, in)
		}
	}
	if len(filesWith(t, opt.Dir, "canary-ground")) == 0 {
		t.Error("the header is gone")
	}
	if r := verify(t, s); r.Size != 1 || r.Erased != 1 {
		t.Errorf("%+v", r)
	}
}
