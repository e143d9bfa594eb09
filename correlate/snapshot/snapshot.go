// Package snapshot owns the frame in which a gallery is written to a stream and read
// back: head, fields, checksum. It refuses to know what an entry is.
//
// Little-endian: magic, version, algorithm, the number of entries, the entries'
// fields, the SHA-256 of all before it. Texts and blocks stand behind their length in
// 16 bits. The checksum finds damage; it does not prove who wrote the stream.
package snapshot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

const (
	// MaxText bounds one text in bytes.
	MaxText    = 1 << 12
	maxEntries = 1 << 28
	maxField   = 1<<16 - 1
	buffer     = 1 << 18
)

// ErrUnusable: the bytes are no snapshot of this format, or are damaged. The way on is
// to build the gallery again from its signatures.
var ErrUnusable = errors.New("not a usable snapshot of a gallery")

// Format tells one kind of snapshot from every other.
type Format struct {
	Magic     string
	Version   byte   // of the layout and of all that is computed in it
	Algorithm string // of the signatures
}

// Writer writes fields until the first error, which Close returns.
type Writer struct {
	w   io.Writer
	out *bufio.Writer
	sum hash.Hash
	few [8]byte // a number on its way
	err error
}

// NewWriter begins a snapshot of so many entries.
func NewWriter(w io.Writer, f Format, entries int) *Writer {
	sum := sha256.New()
	s := &Writer{w: w, out: bufio.NewWriterSize(io.MultiWriter(w, sum), buffer), sum: sum}
	s.Bytes([]byte(f.Magic))
	s.Bytes([]byte{f.Version})
	s.Text(f.Algorithm)
	s.Uint64(uint64(entries))
	return s
}

// Err is the first error so far.
func (s *Writer) Err() error { return s.err }

// Bytes writes bytes as they are: the reader must know their number.
func (s *Writer) Bytes(b []byte) {
	if s.err == nil {
		_, s.err = s.out.Write(b)
	}
}

// Byte writes one byte.
func (s *Writer) Byte(b byte) { s.Bytes(append(s.few[:0], b)) }

// Uint16 writes a number of 16 bits.
func (s *Writer) Uint16(n uint16) { s.Bytes(binary.LittleEndian.AppendUint16(s.few[:0], n)) }

// Uint64 writes a number of 64 bits.
func (s *Writer) Uint64(n uint64) { s.Bytes(binary.LittleEndian.AppendUint64(s.few[:0], n)) }

// Text writes a text of at most MaxText bytes.
func (s *Writer) Text(t string) {
	if len(t) > MaxText && s.err == nil {
		s.err = fmt.Errorf("%.40q: a text of %d bytes, at most %d are kept", t, len(t), MaxText)
	}
	s.Block([]byte(t))
}

// Block writes bytes behind their number, at most 65,535.
func (s *Writer) Block(b []byte) {
	if len(b) > maxField && s.err == nil {
		s.err = fmt.Errorf("a block of %d bytes, at most %d are kept", len(b), maxField)
	}
	s.Uint16(uint16(len(b)))
	s.Bytes(b)
}

// Close writes the checksum. The stream itself is the caller's to close.
func (s *Writer) Close() error {
	if s.err == nil {
		s.err = s.out.Flush()
	}
	if s.err == nil {
		_, s.err = s.w.Write(s.sum.Sum(nil))
	}
	return s.err
}

// Reader reads fields until the first error, which it keeps; after it every field is
// zero. Nothing that was read may be believed before Close agrees.
type Reader struct {
	r   *bufio.Reader
	sum hash.Hash
	buf [maxField]byte
	err error
}

// NewReader reads the head and tells the number of entries. The bytes may be hostile:
// memory grows only with what was read. Errors wrap ErrUnusable.
func NewReader(r io.Reader, f Format) (s *Reader, entries uint64, err error) {
	s = &Reader{r: bufio.NewReaderSize(r, buffer), sum: sha256.New()}
	magic := string(s.Bytes(len(f.Magic)))
	if s.err == nil && magic != f.Magic {
		return nil, 0, fmt.Errorf("%w: it does not begin as one", ErrUnusable)
	}
	version := s.Byte()
	if s.err == nil && version != f.Version {
		return nil, 0, fmt.Errorf("%w: version %d, this program reads version %d", ErrUnusable, version, f.Version)
	}
	if algorithm := s.Text(); s.err == nil && algorithm != f.Algorithm {
		return nil, 0, fmt.Errorf("%w: made by algorithm %.40q, this program has %s", ErrUnusable, algorithm, f.Algorithm)
	}
	entries = s.Uint64()
	if s.err == nil && entries > maxEntries {
		return nil, 0, fmt.Errorf("%w: it announces %d entries, at most %d are read", ErrUnusable, entries, maxEntries)
	}
	if s.err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrUnusable, s.err)
	}
	return s, entries, nil
}

// Err is the first error so far.
func (s *Reader) Err() error { return s.err }

// Bytes are the next n, at most 65,535, valid until the next field is read.
func (s *Reader) Bytes(n int) []byte {
	b := s.buf[:n]
	if s.err == nil {
		if _, s.err = io.ReadFull(s.r, b); s.err == nil {
			s.sum.Write(b)
			return b
		}
		if errors.Is(s.err, io.EOF) {
			s.err = io.ErrUnexpectedEOF
		}
	}
	clear(b)
	return b
}

// Byte is the next byte.
func (s *Reader) Byte() byte { return s.Bytes(1)[0] }

// Uint16 is the next number of 16 bits.
func (s *Reader) Uint16() uint16 { return binary.LittleEndian.Uint16(s.Bytes(2)) }

// Uint64 is the next number of 64 bits.
func (s *Reader) Uint64() uint64 { return binary.LittleEndian.Uint64(s.Bytes(8)) }

// Text is the next text.
func (s *Reader) Text() string { return string(s.Block(MaxText)) }

// Block are the bytes of the next block, at most so many, valid until the next field is
// read.
func (s *Reader) Block(most int) []byte {
	n := int(s.Uint16())
	if n > most && s.err == nil {
		s.err = fmt.Errorf("a field of %d bytes, at most %d are read", n, most)
	}
	return s.Bytes(min(n, most))
}

// Close reads the checksum and compares it. Errors wrap ErrUnusable.
func (s *Reader) Close() error {
	want := s.sum.Sum(nil)
	if got := s.Bytes(sha256.Size); s.err == nil && !bytes.Equal(got, want) {
		return fmt.Errorf("%w: the checksum does not agree", ErrUnusable)
	}
	if s.err != nil {
		return fmt.Errorf("%w: %w", ErrUnusable, s.err)
	}
	return nil
}
