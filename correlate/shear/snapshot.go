package shear

import (
	"fmt"
	"io"

	"proofmark/correlate"
	"proofmark/correlate/snapshot"
)

// A snapshot is a gallery's marks in the frame of package snapshot: of each the id,
// calibre, firing pin and pattern, and the signature's bytes.
var snapshotFormat = snapshot.Format{Magic: "PMSHR\r\n\x1a", Version: 1, Algorithm: Algorithm}

// ErrBadSnapshot: the bytes are no snapshot of this version, or are damaged. The
// way on is to build the gallery again from its signatures.
var ErrBadSnapshot = snapshot.ErrUnusable

// Save writes a snapshot. Searches and changes go on meanwhile; it holds the marks
// there were when it began.
func (g *Gallery) Save(w io.Writer) error {
	items := g.all()
	out := snapshot.NewWriter(w, snapshotFormat, len(items))
	for _, it := range items {
		class := it.class.Value()
		for _, text := range []string{it.id, class.Calibre, class.FiringPin, class.Pattern} {
			out.Text(text)
		}
		packed, _ := it.mark.MarshalBinary() // never fails
		out.Block(packed)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write snapshot of aperture shear: %w", err)
	}
	return nil
}

// LoadGallery reads a snapshot. The bytes may be hostile: every length and field is
// checked before it is used, memory grows only with what was read, and the gallery
// is given out only when the checksum agreed.
func LoadGallery(r io.Reader) (*Gallery, error) {
	in, n, err := snapshot.NewReader(r, snapshotFormat)
	if err != nil {
		return nil, err
	}
	g := NewGallery()
	for i := uint64(0); i < n && in.Err() == nil; i++ {
		if err := g.read(in); err != nil {
			return nil, fmt.Errorf("%w: mark %d: %w", ErrBadSnapshot, i, err)
		}
	}
	if err := in.Close(); err != nil {
		return nil, err
	}
	return g, nil
}

// read takes in one mark. Errors of reading stay in the reader.
func (g *Gallery) read(in *snapshot.Reader) error {
	id := in.Text()
	class := correlate.Class{Calibre: in.Text(), FiringPin: in.Text(), Pattern: in.Text()}
	packed := in.Block(MaxSignatureSize)
	if in.Err() != nil {
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
