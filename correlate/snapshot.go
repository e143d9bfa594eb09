package correlate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"proofmark/correlate/snapshot"
)

// A snapshot is a gallery's entries with all that was computed from them, in the frame
// of package snapshot, so that reading one takes no decoding of pictures. Of each entry
// the id and the class, reach, 256 spots as samples in 16 bits, its packed form.
var snapshotFormat = snapshot.Format{Magic: "PMGAL\r\n\x1a", Version: 2, Algorithm: Algorithm + " " + FiringPinAlgorithm}

const (
	maxPacked     = 2 + rings*ringBytes + MaxSignatureSize
	spotCodeBytes = 2 * scanSpots
)

// ErrBadSnapshot: the bytes are no snapshot of this version, or are damaged. The
// way on is to build the gallery again from its signatures.
var ErrBadSnapshot = snapshot.ErrUnusable

// Save writes a snapshot. Searches and changes go on meanwhile; it holds the
// entries there were when it began.
func (g *Gallery) Save(w io.Writer) error {
	v := g.now.Load()
	out := snapshot.NewWriter(w, snapshotFormat, v.len())
	for i := range v.len() {
		block, at := v.at(i)
		rec, code := &block.records[at], &block.codes[at]
		for _, text := range []string{rec.id, rec.class.Calibre, rec.class.FiringPin, rec.class.Pattern} {
			out.Text(text)
		}
		out.Byte(block.reaches[at])
		for _, spot := range code.spots {
			out.Uint16(spot / lanes)
		}
		out.Block(rec.data)
		if out.Err() != nil {
			break
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write gallery snapshot: %w", err)
	}
	return nil
}

// LoadGallery reads a snapshot. The bytes may be hostile: every length and field
// is checked before it is used, memory grows only with what was read, and the
// gallery is given out only when the checksum agreed.
func LoadGallery(r io.Reader) (*Gallery, error) {
	in, n, err := snapshot.NewReader(r, snapshotFormat)
	if err != nil {
		return nil, err
	}
	g := NewGallery()
	for i := uint64(0); i < n && in.Err() == nil; i++ {
		if err := g.read(in); err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", ErrBadSnapshot, i, err)
		}
	}
	if err := in.Close(); err != nil {
		return nil, err
	}
	return g, nil
}

// read takes in one entry. Errors of reading stay in the reader.
func (g *Gallery) read(in *snapshot.Reader) error {
	id := in.Text()
	class := Class{in.Text(), in.Text(), in.Text()}
	own := in.Byte()
	var code spotCode
	raw := in.Bytes(spotCodeBytes)
	for i := range code.spots {
		half, sample := i/scanHalf, int(binary.LittleEndian.Uint16(raw[2*i:]))
		if sample < scanGrid.samples() {
			code.held++
		} else if in.Err() == nil && sample != scanGrid.samples()+half {
			return fmt.Errorf("spot %d is sample %d of %d", i, sample, scanGrid.samples())
		}
		code.spots[i] = uint16(sample) * lanes
	}
	data := packedEntry(bytes.Clone(in.Block(maxPacked)))
	if in.Err() != nil {
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
