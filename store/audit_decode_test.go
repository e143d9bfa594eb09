package store

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"proofmark/protocol"
)

// Whatever the quick reader takes, encoding/json reads in the same way.
func FuzzEntryOf(f *testing.F) {
	whole, err := protocol.NewAuditLeaf(entryWithAll(), make([]byte, protocol.AuditSaltSize))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(whole.Header), []byte(whole.Body))
	for _, body := range []string{`{}`, `{"time":"2026-01-01T00:00:00Z"}`, `{"time":"x"`, `{"time":null,"actor":null}`, `{"actor":"a","actor":"b"}`, `{"actor":"\u003ca\"\\"}`,
		`{"actor":"a\"}`, "{\"actor\":\"\xff\"}", "{\"actor\":\"\n\"}", `{"policies":[]}`, `{"policies":["a",]}`, `{"policies":["a","b"],"details":{"a":"b","a":"c"}}`, `{"details":{}}`,
		`{"seq":00}`, `{"seq":-1}`, `{"seq":18446744073709551616}`, `{"seq":1.5}`, `{"seq":1}x`, `{,"actor":"a"}`, `{"actor":"a",}`, `{ "actor":"a"}`, `{"Actor":"a"}`, `{"time":"`} {
		f.Add([]byte(`{"action":"alter","decision":"permit","day":"2026-01-01"}`), []byte(body))
	}
	f.Fuzz(func(t *testing.T, header, body []byte) {
		l := protocol.AuditLeaf{Header: header, Body: body}
		want, wantErr := l.Entry()
		got, err := entryOf(l)
		if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s %s: %+v, %v, want %+v, %v", header, body, got, err, want, wantErr)
		}
	})
}

func entryWithAll() protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: "ES", Decision: "permit", Ground: "policy", Day: "2026-03-01", Type: "lead"},
		AuditBody: protocol.AuditBody{Time: testStart.Add(time.Nanosecond), Actor: "ana", Kind: "lead", Object: "o", Case: "PJ 17/26", Event: "João <said> & \"did\"", Purpose: "trace",
			Justification: "a\nb\\c", Policies: []string{"p (1.cedar:2)", "q"}, PolicyVer: "5b2f", Handling: []string{"H0"}, Withheld: []string{"place"},
			Details: map[string]string{"b": "2", "a": "\u2028"}, Documents: []string{"d1", "d2"}, MessageSeq: 1 << 60, Channel: "bulk"},
	}
}

// What NewAuditLeaf writes is read without encoding/json, with every field and with any of them left out.
func TestEntriesAreReadQuickly(t *testing.T) {
	quick := func(e protocol.AuditEntry) bool {
		l, err := protocol.NewAuditLeaf(e, make([]byte, protocol.AuditSaltSize))
		if err != nil {
			t.Fatal(err)
		}
		var got protocol.AuditEntry
		want, err := l.Entry()
		return err == nil && readHeader(string(l.Header), &got.AuditHeader) && readBody(string(l.Body), &got.AuditBody) && reflect.DeepEqual(got, want)
	}
	rapid.Check(t, func(r *rapid.T) {
		e := entryWithAll()
		for _, part := range []reflect.Value{reflect.ValueOf(&e.AuditHeader).Elem(), reflect.ValueOf(&e.AuditBody).Elem()} {
			for i := range part.NumField() {
				switch field := part.Field(i); {
				case field.Type() == reflect.TypeFor[time.Time]():
				case rapid.IntRange(0, 3).Draw(r, part.Type().Field(i).Name) == 0:
					field.SetZero()
				case field.Kind() == reflect.String && rapid.Bool().Draw(r, "other"):
					field.SetString(rapid.String().Draw(r, "value"))
				}
			}
		}
		if !quick(e) {
			b, _ := json.Marshal(e)
			r.Errorf("encoding/json was asked for %s", b)
		}
	})
}
