package store

import (
	"errors"
	"slices"
	"testing"

	"proofmark/protocol"
)

func TestNestedActFailsAlone(t *testing.T) {
	s := openTest(t)
	boom := errors.New("boom")
	hooked := 0
	err := s.Update(t.Context(), func(tx *Tx) error {
		if err := tx.Put("a", []byte("outer")); err != nil {
			return err
		}
		err := tx.Nested(func(tx *Tx) error {
			tx.Audit(protocol.AuditEntry{AuditBody: protocol.AuditBody{Event: "undone"}})
			tx.OnCommit(func() { hooked += 100 })
			if err := errors.Join(tx.Put("a", []byte("inner")), tx.Put("b", nil), tx.Delete("z")); err != nil {
				return err
			}
			if v, err := tx.Get("a"); err != nil || string(v) != "inner" {
				t.Errorf("inside the nested act a = %q, %v", v, err)
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Errorf("Nested returned %v", err)
		}
		return tx.Nested(func(tx *Tx) error {
			tx.Audit(protocol.AuditEntry{AuditBody: protocol.AuditBody{Event: "done"}})
			tx.OnCommit(func() { hooked++ })
			return tx.Nested(func(tx *Tx) error { return tx.Put("c", []byte("deep")) })
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	err = s.View(func(tx *Tx) error {
		for k, v := range tx.Scan("", "") {
			keys = append(keys, k+"="+string(v))
		}
		return tx.Err()
	})
	if err != nil || !slices.Equal(keys, []string{"a=outer", "c=deep"}) {
		t.Errorf("after the act the store holds %q, %v", keys, err)
	}
	if hooked != 1 {
		t.Errorf("hooks ran for %d, want 1", hooked)
	}
	found, err := s.QueryAudit(t.Context(), AuditQuery{})
	if err != nil || len(found) != 1 || found[0].Event != "done" {
		t.Errorf("audit log holds %v, %v", found, err)
	}
}
