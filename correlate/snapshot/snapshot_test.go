package snapshot

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

var format = Format{"PMTST\r\n\x1a", 3, "proofmark-test/1"}

func written(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, format, 2)
	for _, s := range []string{"first", ""} {
		w.Text(s)
		w.Byte(7)
		w.Uint16(65535)
		w.Uint64(1 << 60)
		w.Block([]byte(s + s))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(raw []byte) (texts []string, err error) {
	r, n, err := NewReader(bytes.NewReader(raw), format)
	if err != nil {
		return nil, err
	}
	for i := uint64(0); i < n && r.Err() == nil; i++ {
		texts = append(texts, r.Text())
		b, small, large := r.Byte(), r.Uint16(), r.Uint64()
		block := string(r.Block(100))
		if r.Err() == nil && (b != 7 || small != 65535 || large != 1<<60 || block != texts[i]+texts[i]) {
			return texts, errors.New("a field is another")
		}
	}
	return texts, r.Close()
}

func TestRoundTrip(t *testing.T) {
	raw := written(t)
	texts, err := read(raw)
	if err != nil || len(texts) != 2 || texts[0] != "first" || texts[1] != "" {
		t.Fatalf("%q, %v", texts, err)
	}
	for i := range raw { // every byte counts
		if _, err := read(raw[:i]); !errors.Is(err, ErrUnusable) {
			t.Fatalf("%d of %d bytes: %v", i, len(raw), err)
		}
		bad := bytes.Clone(raw)
		bad[i] ^= 0x40
		if _, err := read(bad); err == nil {
			t.Fatalf("byte %d altered, and nobody saw it", i)
		}
	}
}

func TestOtherFormatsAreRefused(t *testing.T) {
	raw := written(t)
	for says, f := range map[string]Format{
		"does not begin as one": {"PMXXX\r\n\x1a", 3, format.Algorithm},
		"version 3":             {format.Magic, 4, format.Algorithm},
		"made by algorithm":     {format.Magic, 3, "proofmark-test/2"},
	} {
		if _, _, err := NewReader(bytes.NewReader(raw), f); !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	many := bytes.Clone(raw)
	at := len(format.Magic) + 1 + 2 + len(format.Algorithm)
	copy(many[at:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	if _, _, err := NewReader(bytes.NewReader(many), format); err == nil || !strings.Contains(err.Error(), "announces") {
		t.Errorf("an enormous number of entries: %v", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	for what, write := range map[string]func(w *Writer){
		"a long text":  func(w *Writer) { w.Text(strings.Repeat("x", MaxText+1)) },
		"a long block": func(w *Writer) { w.Block(make([]byte, 1<<16)) },
	} {
		w := NewWriter(&bytes.Buffer{}, format, 1)
		write(w)
		w.Uint16(1)
		if err := w.Close(); err == nil || w.Err() == nil {
			t.Errorf("%s is written", what)
		}
	}
	w := NewWriter(full{}, format, 1)
	if err := w.Close(); err == nil {
		t.Error("a full disk goes unseen")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

func FuzzRead(f *testing.F) {
	f.Add(written(f))
	f.Add([]byte(format.Magic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		texts, err := read(raw)
		if err == nil && len(texts) > len(raw) {
			t.Fatalf("%d entries of %d bytes", len(texts), len(raw))
		}
	})
}
