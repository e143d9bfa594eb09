package protocol

import (
	"errors"
	"strings"
	"testing"
)

const goodCustody = `{"holder":"ES","owner":"PT","name":"a-0000.backup","id":"0123456789abcdef0123456789abcdef","chain":"0123456789abcdef0123456789abcdef","number":0,"size":1,` +
	`"sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","at":"2026-03-01T12:00:00Z"}`

func FuzzCustodyReceipt(f *testing.F) {
	if _, err := DecodeCustodyReceipt([]byte(goodCustody)); err != nil {
		f.Fatal(err)
	}
	for _, change := range [][2]string{{`"ES"`, `"PT"`}, {"a-0000", "../a"}, {`"size":1`, `"size":0`}, {`"number":0`, `"number":-1`}, {"2026-03-01", "0001-99-01"}, {`"id"`, `"ID"`},
		{`"at"`, `"previous":"ffffffffffffffffffffffffffffffff","at"`}, {`"at"`, `"previous_until":"2026-04-01T12:00:00Z","at"`},
		{`"at"`, `"previous":"0123456789abcdef0123456789abcdef","previous_until":"2026-04-01T12:00:00Z","at"`}, {`"at"`, `"previous":"../x","previous_until":"2026-04-01T12:00:00Z","at"`}} {
		bad := strings.Replace(goodCustody, change[0], change[1], 1)
		if r, err := DecodeCustodyReceipt([]byte(bad)); err == nil {
			f.Errorf("%s is taken: %+v", bad, r)
		}
		f.Add([]byte(bad))
	}
	f.Add([]byte(goodCustody))
	f.Add([]byte(strings.Replace(goodCustody, `"at"`, `"previous":"ffffffffffffffffffffffffffffffff","previous_until":"2026-04-01T12:00:00Z","at"`, 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeCustodyReceipt(b)
		if err != nil && !errors.Is(err, ErrBadMessage) {
			t.Errorf("%q: %v", b, err)
		}
		if err == nil && (r.Holder == r.Owner || r.Previous == r.Chain || r.Size <= 0 || strings.ContainsAny(r.Name, "/\\\x00")) {
			t.Errorf("%+v", r)
		}
	})
}
