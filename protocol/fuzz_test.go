package protocol

import (
	"bytes"
	"encoding/json"
	"testing"
)

func FuzzOpen(f *testing.F) {
	for typ, body := range bodies() {
		signed, all := must2(Compose(headerOf(typ), body, noise(3)))
		disclosed := ""
		if len(all) > 0 {
			disclosed = string(all[0])
		}
		f.Add(signed, disclosed)
	}
	f.Add([]byte(`{"id":"`+idA+`","type":"weather","issuer":"PT","issued":"2026-01-01T00:00:00Z","schema":1,"_sd_alg":"sha-256","body":[]}`), "")
	f.Fuzz(func(t *testing.T, signed []byte, disclosed string) {
		var all []Disclosure
		if disclosed != "" {
			all = []Disclosure{Disclosure(disclosed)}
		}
		d, err := Open(signed, all)
		if err != nil {
			return
		}
		// What was opened can be opened again from its parts, and holds no digest list any more.
		b := specs[d.Type].body()
		if err := strict(d.Body, b); err != nil || b.Check() != nil {
			t.Fatalf("an opened body does not pass its own checks: %v, %v", err, b.Check())
		}
		if bytes.Contains(d.Body, []byte(`"_sd":`)) && !bytes.Contains(signed, []byte(`\"_sd`)) {
			t.Fatalf("digests are left in the body: %s", d.Body)
		}
	})
}

func FuzzDecodeMessage(f *testing.F) {
	m := wholeMessage()
	b, _, err := m.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeMessage(b)
		if err != nil {
			return
		}
		again, _, err := m.Encode()
		if err != nil {
			if len(b) < MaxMessage/8 { // a re-encoded text may be longer, never wrong
				t.Fatal(err)
			}
			return
		}
		if _, err := DecodeMessage(again); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add(must(json.Marshal(Manifest{From: "PT", To: "ES", Channel: Bulk, First: 1, Count: 2, Head: hashOf("a"), Size: 10, SHA256: hashOf("b"), Sent: testTime})))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest(b)
		if err == nil && (m.Count < 1 || m.Count > MaxBatchCount || m.Size < 1 || m.Size > MaxBatch || m.From == m.To || m.First+uint64(m.Count) < m.First) {
			t.Fatalf("%+v", m)
		}
	})
}

func FuzzDecodeReceipt(f *testing.F) {
	f.Add(must(json.Marshal(Receipt{From: "PT", To: "ES", Channel: Bulk, UpTo: 2, Head: hashOf("a"), At: testTime})))
	f.Add(must(json.Marshal(Receipt{From: "PT", To: "ES", Channel: Urgent, At: testTime})))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeReceipt(b); err == nil && ((r.UpTo == 0) != (r.Head == "") || r.From == r.To) {
			t.Fatalf("%+v", r)
		}
	})
}

func FuzzDecodeHello(f *testing.F) {
	f.Add(must(json.Marshal(Hello{Version: 1, Country: "PT", To: "ES", Roster: "abc", Now: testTime, Refusal: "no"})))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := DecodeHello(b); err == nil {
			_ = h.CheckSkew(testTime)
			if checkText("refusal", h.Refusal, 512) != nil {
				t.Fatalf("%q", h.Refusal)
			}
		}
	})
}

func FuzzSplitMessages(f *testing.F) {
	f.Add(JoinMessages([][]byte{[]byte("one"), []byte("two")}), 2)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 1)
	f.Fuzz(func(t *testing.T, b []byte, count int) {
		out, err := SplitMessages(b, count)
		if err != nil {
			return
		}
		if len(out) != count {
			t.Fatalf("%d of %d", len(out), count)
		}
		if again, err := SplitMessages(JoinMessages(out), count); err != nil || !bytes.Equal(bytes.Join(again, nil), bytes.Join(out, nil)) {
			t.Fatal(err)
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x03abc"), 3)
	f.Add([]byte("\x80"), 100)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		if limit < 0 || limit > 1<<20 {
			return
		}
		r := bytes.NewReader(b)
		got, err := ReadFrame(r, limit)
		if err == nil && (len(got) > limit || !bytes.HasSuffix(b[:len(b)-r.Len()], got)) {
			t.Fatalf("%d bytes of at most %d", len(got), limit)
		}
	})
}

func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}]}`, `{"a":1,"a":2}`, `[[[[[[[]]]]]]]`, `{"\u0061":1,"a":2}`, `"\ud800"`, `{} {}`, `[1,]`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := agrees(b); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkCompose(b *testing.B) {
	body, h, random := bodies()[TypeSignature].(*SignatureBody), headerOf(TypeSignature), noise(1)
	body.Signature = make([]byte, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Compose(h, body, random); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	body := bodies()[TypeSignature].(*SignatureBody)
	body.Signature = make([]byte, 4<<10)
	signed, all := must2(Compose(headerOf(TypeSignature), body, noise(1)))
	b.ReportAllocs()
	b.SetBytes(int64(len(signed)))
	for b.Loop() {
		if _, err := Open(signed, all); err != nil {
			b.Fatal(err)
		}
	}
}
