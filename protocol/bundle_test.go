package protocol

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func wholeBundle() *Bundle {
	return &Bundle{From: "PT", To: "KE", Made: testTime, Receipts: []string{"receipt one", "receipt two"},
		Batches: []SealedBatch{{"manifest one", []byte("payload one")}, {"manifest two", bytes.Repeat([]byte{7}, 70<<10)}}}
}

func TestBundleRoundTrip(t *testing.T) {
	for _, b := range []*Bundle{wholeBundle(), {From: "PT", To: "KE", Made: testTime}} {
		raw := must(b.Encode())
		got, err := DecodeBundle(raw)
		if err != nil || !reflect.DeepEqual(got, b) {
			t.Fatalf("%+v: %v", got, err)
		}
		for n := range min(len(raw), 300) { // every prefix is refused, and says where it ends
			if _, err := DecodeBundle(raw[:n]); !errors.Is(err, ErrBadBundle) {
				t.Fatalf("%d of %d bytes: %v", n, len(raw), err)
			}
		}
		if _, err := DecodeBundle(append(raw, 0)); err == nil || !strings.Contains(err.Error(), "behind its last part") {
			t.Errorf("one byte more: %v", err)
		}
	}
}

func TestBundleLimits(t *testing.T) {
	for what, change := range map[string]func(b *Bundle){
		"too many receipts": func(b *Bundle) { b.Receipts = make([]string, 3) },
		"too many batches":  func(b *Bundle) { b.Batches = make([]SealedBatch, MaxBundleBatches+1) },
		"to itself":         func(b *Bundle) { b.To = "PT" },
		"no country":        func(b *Bundle) { b.From = "XX" },
		"no time":           func(b *Bundle) { b.Made = time.Time{} },
		"too large": func(b *Bundle) {
			for range 20 {
				b.Batches = append(b.Batches, SealedBatch{"m", make([]byte, MaxBatch)})
			}
		},
	} {
		b := wholeBundle()
		change(b)
		if _, err := b.Encode(); !errors.Is(err, ErrBadBundle) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := DecodeBundle(make([]byte, MaxBundle+1)); !errors.Is(err, ErrBadBundle) {
		t.Errorf("an enormous bundle: %v", err)
	}
	for what, head := range map[string]string{
		"another version": `{"version":2,"from":"PT","to":"KE","made":"2026-03-01T12:00:00Z","receipts":0,"batches":0}`,
		"a lying count":   `{"version":1,"from":"PT","to":"KE","made":"2026-03-01T12:00:00Z","receipts":0,"batches":9}`,
		"a negative one":  `{"version":1,"from":"PT","to":"KE","made":"2026-03-01T12:00:00Z","receipts":-1,"batches":0}`,
		"a field twice":   `{"version":1,"version":1,"from":"PT","to":"KE","made":"2026-03-01T12:00:00Z","receipts":0,"batches":0}`,
		"another field":   `{"version":1,"from":"PT","to":"KE","made":"2026-03-01T12:00:00Z","receipts":0,"batches":0,"x":1}`,
	} {
		var raw bytes.Buffer
		if err := WriteFrame(&raw, []byte(head)); err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeBundle(raw.Bytes()); !errors.Is(err, ErrBadBundle) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzDecodeBundle(f *testing.F) {
	f.Add(must(wholeBundle().Encode()))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := DecodeBundle(raw)
		if err != nil {
			if !errors.Is(err, ErrBadBundle) {
				t.Fatal(err)
			}
			return
		}
		if again, err := b.Encode(); err != nil {
			t.Fatalf("decoded and not encoded again: %v", err)
		} else if b2, err := DecodeBundle(again); err != nil || len(b2.Batches) != len(b.Batches) {
			t.Fatalf("the second time: %v", err)
		}
	})
}
