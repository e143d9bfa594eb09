package correlate

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

// A snapshot is a gallery's entries with all that was computed from them, so that
// reading one takes no decoding of pictures. Little-endian: magic, version,
// algorithm, the number of entries; of each the id and the class (each text behind
// its length in 16 bits), reach, 256 spots as samples in 16 bits, length and
// bytes of its packed form; at the end the SHA-256 of all before it. The checksum
// finds damage; it does not prove who wrote the file.
const (
	snapshotMagic   = "PMGAL\r\n\x1a"
	snapshotVersion = 2 // of the layout and of all codes in it
	snapshotText    = 1 << 12
	snapshotEntries = 1 << 28
	maxPacked       = 2 + rings*ringBytes + MaxSignatureSize
	spotCodeBytes   = 2 * scanSpots
	// snapshotAlgorithms are those whose codes it holds.
	snapshotAlgorithms = Algorithm + " " + FiringPinAlgorithm
)

// ErrBadSnapshot: the bytes are no snapshot of this version, or are damaged. The
// way on is to build the gallery again from its signatures.
var ErrBadSnapshot = errors.New("not a usable gallery snapshot")

// Save writes a snapshot. Searches and changes go on meanwhile; it holds the
// entries there were when it began.
func (g *Gallery) Save(w io.Writer) error {
	v := g.now.Load()
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<18)
	b := append([]byte(snapshotMagic), snapshotVersion)
	b, err := appendText(b, snapshotAlgorithms)
	if err != nil {
		return err
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(v.len()))
	if _, err := out.Write(b); err != nil {
		return fmt.Errorf("write gallery snapshot: %w", err)
	}
	for i := range v.len() {
		block, at := v.at(i)
		rec, code := &block.records[at], &block.codes[at]
		b = b[:0]
		for _, text := range []string{rec.id, rec.class.Calibre, rec.class.FiringPin, rec.class.Pattern} {
			if b, err = appendText(b, text); err != nil {
				return fmt.Errorf("write gallery snapshot: entry %.40q: %w", rec.id, err)
			}
		}
		b = append(b, block.reaches[at])
		for _, spot := range code.spots {
			b = binary.LittleEndian.AppendUint16(b, spot/lanes)
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(len(rec.data)))
		b = append(b, rec.data...)
		if _, err := out.Write(b); err != nil {
			return fmt.Errorf("write gallery snapshot: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write gallery snapshot: %w", err)
	}
	if _, err := w.Write(sum.Sum(nil)); err != nil {
		return fmt.Errorf("write gallery snapshot: %w", err)
	}
	return nil
}

func appendText(b []byte, s string) ([]byte, error) {
	if len(s) > snapshotText {
		return nil, fmt.Errorf("a text of %d bytes, at most %d are kept", len(s), snapshotText)
	}
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...), nil
}

// LoadGallery reads a snapshot. The bytes may be hostile: every length and field
// is checked before it is used, memory grows only with what was read, and the
// gallery is given out only when the checksum agreed.
func LoadGallery(r io.Reader) (*Gallery, error) {
	in := &snapshotReader{r: bufio.NewReaderSize(r, 1<<18), sum: sha256.New()}
	head := in.bytes(len(snapshotMagic) + 1)
	if in.err == nil && string(head[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrBadSnapshot)
	}
	if in.err == nil && head[len(snapshotMagic)] != snapshotVersion {
		return nil, fmt.Errorf("%w: version %d, this program reads version %d", ErrBadSnapshot, head[len(snapshotMagic)], snapshotVersion)
	}
	if algorithm := in.text(); in.err == nil && algorithm != snapshotAlgorithms {
		return nil, fmt.Errorf("%w: made by algorithm %.40q, this program has %s", ErrBadSnapshot, algorithm, snapshotAlgorithms)
	}
	n := in.uint64()
	if in.err == nil && n > snapshotEntries {
		return nil, fmt.Errorf("%w: it announces %d entries, at most %d are read", ErrBadSnapshot, n, snapshotEntries)
	}
	g := NewGallery()
	for i := uint64(0); i < n && in.err == nil; i++ {
		if err := in.entry(g); err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", ErrBadSnapshot, i, err)
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
	buf [max(maxPacked, snapshotText)]byte
	err error
}

// bytes are the next n, valid until the next call; zeros after an error.
func (r *snapshotReader) bytes(n int) []byte {
	b := r.buf[:n]
	if r.err != nil {
		clear(b)
		return b
	}
	if _, err := io.ReadFull(r.r, b); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		r.err = err
		clear(b)
		return b
	}
	r.sum.Write(b)
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

// entry reads one entry into a gallery. Errors of reading stay in r.err.
func (r *snapshotReader) entry(g *Gallery) error {
	id := r.text()
	class := Class{r.text(), r.text(), r.text()}
	own := r.bytes(1)[0]
	var code spotCode
	raw := r.bytes(spotCodeBytes)
	for i := range code.spots {
		half, sample := i/scanHalf, int(binary.LittleEndian.Uint16(raw[2*i:]))
		if sample < scanGrid.samples() {
			code.held++
		} else if r.err == nil && sample != scanGrid.samples()+half {
			return fmt.Errorf("spot %d is sample %d of %d", i, sample, scanGrid.samples())
		}
		code.spots[i] = uint16(sample) * lanes
	}
	n := r.uint16()
	if r.err == nil && n > maxPacked {
		return fmt.Errorf("%d bytes of an entry, at most %d are read", n, maxPacked)
	}
	data := packedEntry(bytes.Clone(r.bytes(min(n, maxPacked))))
	if r.err != nil {
		return nil
	}
	if len(data) < 2 {
		return errors.New("it holds nothing")
	}
	if from, to := data.span(); from > to || to > rings || len(data) < 2+(to-from)*ringBytes {
		return fmt.Errorf("rings %d to %d in %d bytes", from, to, len(data))
	}
	s, err := parseHeader(data.signature())
	if err != nil {
		return err
	}
	if own != uint8(s.reach()) {
		return fmt.Errorf("reach %d where the signature says %d", own, s.reach())
	}
	if g.holds(id) {
		return fmt.Errorf("id %.40q stands there twice", id)
	}
	g.put(id, class, data, code, reach(own))
	return nil
}
