package shear

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"proofmark/correlate"
)

// A snapshot is a gallery's marks. Little-endian: magic, version, algorithm, the
// number of marks; of each the id, calibre, firing pin and pattern (each text
// behind its length in 16 bits), length and bytes of the signature; at the end the
// SHA-256 of all before it. The checksum finds damage; it does not prove who wrote
// the file.
const (
	snapshotMagic   = "PMSHR\r\n\x1a"
	snapshotVersion = 1
	snapshotText    = 1 << 12
	snapshotMarks   = 1 << 28
)

// ErrBadSnapshot: the bytes are no snapshot of this version, or are damaged. The
// way on is to build the gallery again from its signatures.
var ErrBadSnapshot = errors.New("not a usable snapshot of a gallery of aperture shear")

// Save writes a snapshot. Searches and changes go on meanwhile; it holds the marks
// there were when it began.
func (g *Gallery) Save(w io.Writer) error {
	if err := g.save(w); err != nil {
		return fmt.Errorf("write snapshot of aperture shear: %w", err)
	}
	return nil
}

func (g *Gallery) save(w io.Writer) error {
	items := g.all()
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<16)
	b := append([]byte(snapshotMagic), snapshotVersion)
	b, err := appendText(b, Algorithm)
	if err != nil {
		return err
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(items)))
	for _, it := range items {
		for _, text := range []string{it.id, it.class.Calibre, it.class.FiringPin, it.class.Pattern} {
			if b, err = appendText(b, text); err != nil {
				return fmt.Errorf("mark %.40q: %w", it.id, err)
			}
		}
		packed, _ := it.mark.MarshalBinary() // never fails
		b = binary.LittleEndian.AppendUint16(b, uint16(len(packed)))
		b = append(b, packed...)
		if _, err := out.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	if _, err := out.Write(b); err != nil {
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

// LoadGallery reads a snapshot. The bytes may be hostile: every length and field is
// checked before it is used, memory grows only with what was read, and the gallery
// is given out only when the checksum agreed.
func LoadGallery(r io.Reader) (*Gallery, error) {
	in := &snapshotReader{r: bufio.NewReaderSize(r, 1<<16), sum: sha256.New()}
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
	n := binary.LittleEndian.Uint64(in.bytes(8))
	if in.err == nil && n > snapshotMarks {
		return nil, fmt.Errorf("%w: it announces %d marks, at most %d are read", ErrBadSnapshot, n, snapshotMarks)
	}
	g := NewGallery()
	for i := uint64(0); i < n && in.err == nil; i++ {
		if err := in.mark(g); err != nil {
			return nil, fmt.Errorf("%w: mark %d: %w", ErrBadSnapshot, i, err)
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

// mark reads one entry into a gallery. Errors of reading stay in r.err.
func (r *snapshotReader) mark(g *Gallery) error {
	id := r.text()
	class := correlate.Class{Calibre: r.text(), FiringPin: r.text(), Pattern: r.text()}
	n := int(binary.LittleEndian.Uint16(r.bytes(2)))
	if r.err == nil && n > MaxSignatureSize {
		return fmt.Errorf("%d bytes of a signature, at most %d are read", n, MaxSignatureSize)
	}
	packed := r.bytes(min(n, MaxSignatureSize))
	if r.err != nil {
		return nil
	}
	m, err := Decode(packed)
	if err != nil {
		return err
	}
	if _, ok := g.index[id]; ok {
		return fmt.Errorf("id %.40q stands there twice", id)
	}
	return g.Put(id, class, m)
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
		if _, r.err = io.ReadFull(r.r, b); r.err == nil {
			r.sum.Write(b)
			return b
		}
		if errors.Is(r.err, io.EOF) {
			r.err = io.ErrUnexpectedEOF
		}
	}
	clear(b)
	return b
}

func (r *snapshotReader) text() string {
	n := int(binary.LittleEndian.Uint16(r.bytes(2)))
	if n > snapshotText && r.err == nil {
		r.err = fmt.Errorf("a text of %d bytes, at most %d are read", n, snapshotText)
	}
	return string(r.bytes(min(n, snapshotText)))
}
