package bullet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
)

// A snapshot is a gallery's bullets; what a search reads of them is computed again,
// which takes less time than reading it. Little-endian: magic, version, algorithm,
// the number of bullets; of each the id, calibre, twist and rifling (each text behind
// its length in 16 bits), the width as IEEE double, length and bytes of the
// signature; at the end the SHA-256 of all before it. The checksum finds damage; it
// does not prove who wrote the file.
const (
	snapshotMagic   = "PMBUL\r\n\x1a"
	snapshotVersion = 1
	snapshotText    = 1 << 12
	snapshotBullets = 1 << 28
	snapshotBatch   = 4096
)

// ErrBadSnapshot: the bytes are no snapshot of this version, or are damaged. The
// way on is to build the gallery again from its signatures.
var ErrBadSnapshot = errors.New("not a usable snapshot of a gallery of bullets")

// Save writes a snapshot. Searches and changes go on meanwhile; it holds the
// bullets there were when it began.
func (g *Gallery) Save(w io.Writer) error {
	if err := g.save(w); err != nil {
		return fmt.Errorf("write snapshot of bullets: %w", err)
	}
	return nil
}

func (g *Gallery) save(w io.Writer) error {
	items := g.all()
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<18)
	b := append([]byte(snapshotMagic), snapshotVersion)
	b, err := appendText(b, Algorithm)
	if err != nil {
		return err
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(items)))
	for _, it := range items {
		class := it.class.Value()
		for _, text := range []string{it.id, class.Calibre, class.Twist, class.Rifling} {
			if b, err = appendText(b, text); err != nil {
				return fmt.Errorf("bullet %.40q: %w", it.id, err)
			}
		}
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(class.Width))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(it.packed)))
		b = append(b, it.packed...)
		if _, err := out.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	if _, err := out.Write(b); err != nil { // of an empty gallery
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err = w.Write(sum.Sum(nil))
	return err
}

func appendText(b []byte, s string) ([]byte, error) {
	if len(s) > snapshotText {
		return nil, fmt.Errorf("a text of %d bytes, at most %d are kept", len(s), snapshotText)
	}
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...), nil
}

// LoadGallery reads a snapshot. The bytes may be hostile: every length and field
// is checked before it is used, memory grows only with what was read, and the
// gallery is given out only when the checksum agreed. Errors wrap ErrBadSnapshot.
func LoadGallery(r io.Reader) (*Gallery, error) {
	in := &snapshotReader{r: bufio.NewReaderSize(r, 1<<18), sum: sha256.New()}
	head := in.bytes(len(snapshotMagic) + 1)
	if in.err == nil && string(head[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrBadSnapshot)
	}
	if in.err == nil && head[len(snapshotMagic)] != snapshotVersion {
		return nil, fmt.Errorf("%w: version %d, this program reads version %d", ErrBadSnapshot, head[len(snapshotMagic)], snapshotVersion)
	}
	if algorithm := in.text(); in.err == nil && algorithm != Algorithm {
		return nil, fmt.Errorf("%w: made by algorithm %.40q, this program has %s", ErrBadSnapshot, algorithm, Algorithm)
	}
	n := in.uint64()
	if in.err == nil && n > snapshotBullets {
		return nil, fmt.Errorf("%w: it announces %d bullets, at most %d are read", ErrBadSnapshot, n, snapshotBullets)
	}
	g := NewGallery()
	for i := uint64(0); i < n && in.err == nil; {
		var read []unread
		for ; i < n && len(read) < snapshotBatch && in.err == nil; i++ {
			read = append(read, in.bullet(i))
		}
		if in.err == nil {
			in.err = g.putAll(read)
		}
	}
	want := in.sum.Sum(nil)
	if got := in.bytes(sha256.Size); in.err == nil && !bytes.Equal(got, want) {
		return nil, fmt.Errorf("%w: the checksum does not agree", ErrBadSnapshot)
	}
	if in.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadSnapshot, in.err)
	}
	return g, nil
}

// snapshotReader reads fields until the first error, which it keeps.
type snapshotReader struct {
	r   *bufio.Reader
	sum hash.Hash
	buf [max(MaxSignatureSize, snapshotText)]byte
	err error
}

// bytes are the next n, valid until the next call; zeros after an error.
func (r *snapshotReader) bytes(n int) []byte {
	b := r.buf[:n]
	if r.err == nil {
		_, err := io.ReadFull(r.r, b)
		if err == nil {
			r.sum.Write(b)
			return b
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		r.err = err
	}
	clear(b)
	return b
}

func (r *snapshotReader) uint16() int    { return int(binary.LittleEndian.Uint16(r.bytes(2))) }
func (r *snapshotReader) uint64() uint64 { return binary.LittleEndian.Uint64(r.bytes(8)) }

func (r *snapshotReader) text() string {
	n := r.uint16()
	if n > snapshotText && r.err == nil {
		r.err = fmt.Errorf("a text of %d bytes, at most %d are read", n, snapshotText)
	}
	return string(r.bytes(min(n, snapshotText)))
}

// unread is a bullet of a snapshot whose signature was not yet looked at.
type unread struct {
	number uint64
	id     string
	class  Class
	raw    []byte
}

func (r *snapshotReader) bullet(number uint64) unread {
	u := unread{number: number, id: r.text()}
	u.class = Class{Calibre: r.text(), Twist: r.text(), Rifling: r.text(), Width: math.Float64frombits(r.uint64())}
	n := r.uint16()
	if r.err == nil && n > MaxSignatureSize {
		r.err = fmt.Errorf("bullet %d: a signature of %d bytes, at most %d are read", number, n, MaxSignatureSize)
	}
	u.raw = bytes.Clone(r.bytes(min(n, MaxSignatureSize)))
	return u
}

// putAll reads signatures on all cores and puts them in.
func (g *Gallery) putAll(read []unread) error {
	items, errs := make([]*item, len(read)), make([]error, len(read))
	err := g.parallel(context.Background(), len(read), 64, func(i int) {
		if c := read[i].class; c != c.settled() {
			errs[i] = fmt.Errorf("lands %g µm wide", c.Width)
			return
		}
		b, err := Decode(read[i].raw)
		if err == nil {
			items[i], err = newItem(read[i].id, read[i].class, b, read[i].raw)
		}
		errs[i] = err
	})
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, it := range items {
		if errs[i] == nil {
			if _, twice := g.index[it.id]; twice {
				errs[i] = fmt.Errorf("id %.40q stands there twice", it.id)
			}
		}
		if errs[i] != nil {
			return fmt.Errorf("bullet %d: %w", read[i].number, errs[i])
		}
		g.put(it)
	}
	return nil
}
