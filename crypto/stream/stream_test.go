package stream

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

var key = bytes.Repeat([]byte{7}, 32)

// random is not random: tests are to find the same each time.
func random(seed uint64) io.Reader { return rand.NewChaCha8([32]byte{byte(seed)}) }

func content(n int) []byte {
	b := make([]byte, n)
	random(9).Read(b)
	return b
}

func seal(tb testing.TB, plain []byte, label string) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, key, label, random(1))
	if err != nil {
		tb.Fatal(err)
	}
	for rest := plain; len(rest) > 0; { // in uneven pieces
		n := min(len(rest), 10_007)
		if _, err := w.Write(rest[:n]); err != nil {
			tb.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	if got := Overhead(int64(len(plain))); int64(out.Len()) != int64(len(plain))+got {
		tb.Errorf("%d bytes became %d, Overhead says %d", len(plain), out.Len(), got)
	}
	return out.Bytes()
}

func open(sealed, key []byte, label string) ([]byte, error) {
	r, err := NewReader(bytes.NewReader(sealed), key, label)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestThereAndBack(t *testing.T) {
	for _, n := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 3 * chunkSize, 3*chunkSize + 5} {
		plain := content(n)
		sealed := seal(t, plain, "test")
		got, err := open(sealed, key, "test")
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes came back as %d, %v", n, len(got), err)
		}
		r, err := NewReader(iotest.OneByteReader(bytes.NewReader(sealed)), key, "test")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes read byte by byte: %d, %v", n, len(got), err)
		}
	}
}

func TestAlteredFilesAreRefused(t *testing.T) {
	const whole = chunkSize + tagSize
	sealed := seal(t, content(2*chunkSize+100), "test")
	other := bytes.Clone(key)
	other[0]++
	for name, c := range map[string]struct {
		sealed, key []byte
		label       string
	}{
		"another key":          {sealed, other, "test"},
		"another label":        {sealed, key, "other"},
		"cut within a chunk":   {sealed[:headerSize+whole+50], key, "test"},
		"cut after a chunk":    {sealed[:headerSize+whole], key, "test"},
		"cut after two chunks": {sealed[:headerSize+2*whole], key, "test"},
		"without chunks":       {sealed[:headerSize], key, "test"},
		"a chunk dropped":      {append(bytes.Clone(sealed[:headerSize]), sealed[headerSize+whole:]...), key, "test"},
		"a chunk repeated":     {append(bytes.Clone(sealed[:headerSize+whole]), sealed[headerSize:]...), key, "test"},
		"a byte more":          {append(bytes.Clone(sealed), 0), key, "test"},
		"chunks exchanged": {append(append(append(bytes.Clone(sealed[:headerSize]), sealed[headerSize+whole:headerSize+2*whole]...), sealed[headerSize:headerSize+whole]...),
			sealed[headerSize+2*whole:]...), key, "test"},
	} {
		if _, err := open(c.sealed, c.key, c.label); !errors.Is(err, ErrAltered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{"nothing": nil, "half a header": sealed[:20], "another file": content(200)} {
		if _, err := open(b, key, "test"); !errors.Is(err, ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whichever byte is changed, nothing of its chunk is given out.
func TestEveryByteCounts(t *testing.T) {
	plain := content(chunkSize + 40)
	sealed := seal(t, plain, "test")
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		b := bytes.Clone(sealed)
		at := len(magic) + r.IntN(len(b)-len(magic))
		b[at] ^= 1 << r.IntN(8)
		got, err := open(b, key, "test")
		if !errors.Is(err, ErrAltered) || !bytes.HasPrefix(plain, got) || len(got) > chunkSize {
			t.Fatalf("byte %d changed: %d bytes, %v", at, len(got), err)
		}
	}
}

func TestTwoFilesOfOneContentDiffer(t *testing.T) {
	var files [2][]byte
	for i := range files {
		var out bytes.Buffer
		w, err := NewWriter(&out, key, "test", random(uint64(i)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content(100)); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		files[i] = out.Bytes()
	}
	if bytes.Equal(files[0][headerSize:], files[1][headerSize:]) {
		t.Error("the same key was used twice")
	}
}

// broken fails after some bytes.
type broken struct{ left int }

var errBroken = errors.New("no space left")

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestAFailedWriteIsNotForgotten(t *testing.T) {
	w, err := NewWriter(&broken{headerSize + chunkSize}, key, "test", random(1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(content(2 * chunkSize))
	if !errors.Is(err, errBroken) || !errors.Is(w.Close(), errBroken) {
		t.Errorf("write: %v, then Close without it", err)
	}
	if _, err := NewWriter(&broken{3}, key, "test", random(1)); !errors.Is(err, errBroken) {
		t.Errorf("header: %v", err)
	}
	good, err := NewWriter(io.Discard, key, "test", random(1))
	if err != nil || good.Close() != nil {
		t.Fatal(err)
	}
	if _, err := good.Write([]byte{1}); err == nil {
		t.Error("written after the end")
	}
}

func FuzzReader(f *testing.F) {
	sealed := seal(f, content(300), "test")
	f.Add(sealed)
	f.Add(sealed[:headerSize])
	f.Add([]byte(magic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := open(b, key, "test")
		if err == nil && !bytes.Equal(b, sealed) {
			t.Errorf("%d foreign bytes opened as %d", len(b), len(got))
		}
	})
}

func BenchmarkReader(b *testing.B) {
	sealed := seal(b, content(16<<20), "test")
	b.SetBytes(16 << 20)
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(sealed), key, "test")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}
