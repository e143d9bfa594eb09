package exchange

import (
	"errors"
	"testing"
)

func FuzzPageAnswer(f *testing.F) {
	f.Add([]byte(`{"page":"a.b.c"}`))
	f.Add([]byte(`{"refusal":"ask again later"}`))
	f.Add([]byte(`{"page":"a","refusal":"b"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodePageAnswer(b)
		if err == nil && (a.Page == "") == (a.Refusal == "") || err != nil && !errors.Is(err, errBadAnswer) {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

func TestOnePageOfAMemberAtATime(t *testing.T) {
	var d statementDesk
	if !d.begin("ES") || d.begin("ES") || !d.begin("FR") {
		t.Fatal("each member has one page made at a time")
	}
	d.end("ES")
	if !d.begin("ES") {
		t.Error("the next page is refused")
	}
}
