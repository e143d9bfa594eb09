package protocol

import (
	"bytes"
	"testing"
	"time"
)

func wholeEntry() AuditEntry {
	return AuditEntry{
		AuditHeader: AuditHeader{Action: ActDisclose, Counterpart: "ES", Decision: "permit", Ground: "policy"},
		AuditBody: AuditBody{Time: testTime.Add(-13 * time.Hour).In(time.FixedZone("", 3600*14)), Actor: "ana", Kind: "signature", Object: idA, Case: "C-1", Event: "sent",
			Details: map[string]string{"b": "2", "a": "1"}},
	}
}

func TestAuditLeaf(t *testing.T) {
	salt := bytes.Repeat([]byte{7}, AuditSaltSize)
	l, err := NewAuditLeaf(wholeEntry(), salt)
	if err != nil || l.Check() != nil {
		t.Fatal(err, l.Check())
	}
	e, err := l.Entry()
	if err != nil || e.Day != "2026-02-28" || e.Actor != "ana" || e.Details["a"] != "1" || e.Counterpart != "ES" {
		t.Fatalf("%+v, %v", e, err)
	}
	for _, secret := range []string{"ana", idA, "C-1", "sent"} {
		if bytes.Contains(l.Header, []byte(secret)) {
			t.Errorf("%q stands in the part that outlives erasure: %s", secret, l.Header)
		}
	}
	erased := l
	erased.Body, erased.Salt = nil, nil
	if !bytes.Equal(erased.Content(), l.Content()) || erased.Check() != nil {
		t.Error("an erased body changes what the tree holds")
	}
	if e, err := erased.Entry(); err != nil || e.Actor != "" || e.Action != ActDisclose || e.Day != "2026-02-28" {
		t.Errorf("%+v, %v", e, err)
	}
	for name, tamper := range map[string]func(l *AuditLeaf){
		"body": func(l *AuditLeaf) { l.Body = bytes.Replace(l.Body, []byte("ana"), []byte("eva"), 1) },
		"salt": func(l *AuditLeaf) { l.Salt = bytes.Repeat([]byte{8}, AuditSaltSize) },
		"hash": func(l *AuditLeaf) { l.BodyHash = bytes.Repeat([]byte{1}, 32) },
	} {
		bad := l
		tamper(&bad)
		if bad.Check() == nil {
			t.Errorf("a changed %s is not found", name)
		}
	}
	for name, tamper := range map[string]func(l *AuditLeaf){
		"header":    func(l *AuditLeaf) { l.Header = bytes.Replace(l.Header, []byte("permit"), []byte("denied"), 1) },
		"body hash": func(l *AuditLeaf) { l.BodyHash = bytes.Repeat([]byte{1}, 32) },
	} {
		bad := l
		tamper(&bad)
		if bytes.Equal(bad.Content(), l.Content()) {
			t.Errorf("a changed %s leaves the tree's record as it was", name)
		}
	}
	if other, _ := NewAuditLeaf(wholeEntry(), bytes.Repeat([]byte{9}, AuditSaltSize)); bytes.Equal(other.BodyHash, l.BodyHash) {
		t.Error("the salt hides nothing")
	}
	if _, err := NewAuditLeaf(wholeEntry(), salt[:15]); err == nil {
		t.Error("a short salt is taken")
	}
	for _, bad := range []AuditLeaf{{Header: []byte("x")}, {Header: l.Header, Body: []byte("x")}} {
		if _, err := bad.Entry(); err == nil {
			t.Error("an entry was read from garbage")
		}
	}
}
