package bullet

import (
	"fmt"
	"io"
	"math"
	"math/bits"
	"unique"

	"proofmark/correlate/snapshot"
)

// A snapshot is what the first pass reads of a gallery's bullets in the frame of package
// snapshot, without their signatures. Of each bullet the id, calibre, twist and rifling,
// the width as IEEE double, the number of lands, a byte in which bit i is set where land
// i is usable, and of each usable land where it stands out and where it lies below, 320
// bits each.
var snapshotFormat = snapshot.Format{Magic: "PMBUL\r\n\x1a", Version: 2, Algorithm: Algorithm}

// ErrBadSnapshot: the bytes are no snapshot of this version, or are damaged. The
// way on is to build the gallery again from its signatures.
var ErrBadSnapshot = snapshot.ErrUnusable

// Save writes a snapshot. Searches and changes go on meanwhile; it holds the
// bullets there were when it began.
func (g *Gallery) Save(w io.Writer) error {
	items := g.all()
	out := snapshot.NewWriter(w, snapshotFormat, len(items))
	for _, it := range items {
		class := it.class.Value()
		for _, text := range []string{it.id, class.Calibre, class.Twist, class.Rifling} {
			out.Text(text)
		}
		out.Uint64(math.Float64bits(class.Width))
		out.Byte(byte(len(it.codes)))
		out.Byte(it.usable)
		for i := range it.codes {
			if it.usable>>i&1 == 0 {
				continue
			}
			for w := range words {
				out.Uint64(it.codes[i].out[w])
				out.Uint64(it.codes[i].low[w])
			}
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write snapshot of bullets: %w", err)
	}
	return nil
}

// LoadGallery reads a snapshot into a gallery that fetches its signatures. The bytes
// may be hostile: every length and field is checked before it is used, memory grows
// only with what was read, and the gallery is given out only when the checksum agreed.
// Errors wrap ErrBadSnapshot.
func LoadGallery(r io.Reader, fetch Fetch) (*Gallery, error) {
	in, n, err := snapshot.NewReader(r, snapshotFormat)
	if err != nil {
		return nil, err
	}
	g := NewFetchingGallery(fetch)
	for i := uint64(0); i < n && in.Err() == nil; i++ {
		if err := g.read(in); err != nil {
			return nil, fmt.Errorf("%w: bullet %d: %w", ErrBadSnapshot, i, err)
		}
	}
	if err := in.Close(); err != nil {
		return nil, err
	}
	return g, nil
}

// read takes in one bullet. Errors of reading stay in the reader.
func (g *Gallery) read(in *snapshot.Reader) error {
	it := &item{id: in.Text()}
	class := Class{Calibre: in.Text(), Twist: in.Text(), Rifling: in.Text(), Width: math.Float64frombits(in.Uint64())}
	lands := int(in.Byte())
	it.usable = in.Byte()
	switch _, twice := g.index[it.id]; {
	case in.Err() != nil:
		return nil
	case class != class.settled():
		return fmt.Errorf("lands %g µm wide", class.Width)
	case lands > MaxLands || bits.Len8(it.usable) > lands || bits.OnesCount8(it.usable) < MinLands:
		return fmt.Errorf("%d lands, usable %b", lands, it.usable)
	case twice:
		return fmt.Errorf("id %.40q stands there twice", it.id)
	}
	it.class, it.codes = unique.Make(class), make([]ternary, lands)
	for i := range it.codes {
		if it.usable>>i&1 == 0 {
			continue
		}
		for w := range words {
			c := &it.codes[i]
			if c.out[w], c.low[w] = in.Uint64(), in.Uint64(); c.low[w]&^c.out[w] != 0 {
				return fmt.Errorf("land %d lies below where it does not stand out", i+1)
			}
		}
	}
	g.put(it)
	return nil
}
