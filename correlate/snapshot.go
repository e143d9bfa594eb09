package correlate

import (
	"encoding/binary"
	"fmt"
	"io"

	"proofmark/correlate/snapshot"
)

// A snapshot is what a gallery computed of its entries, in the frame of package
// snapshot, without their signatures. Of each entry the id and the class, the code of
// its region, reach, 256 spots as samples in 16 bits, its packed polar code.
var snapshotFormat = snapshot.Format{Magic: "PMGAL\r\n\x1a", Version: 3, Algorithm: Algorithm + " " + FiringPinAlgorithm}

const spotCodeBytes = 2 * scanSpots

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
		class := block.classes[at]
		for _, text := range []string{block.ids[at], class.Calibre, class.FiringPin, class.Pattern} {
			out.Text(text)
		}
		out.Byte(class.region)
		out.Byte(block.reaches[at])
		for _, spot := range block.codes[at].spots {
			out.Uint16(spot / lanes)
		}
		out.Block(block.polarOf(at))
		if out.Err() != nil {
			break
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write gallery snapshot: %w", err)
	}
	return nil
}

// LoadGallery reads a snapshot into a gallery that fetches its signatures. The bytes
// may be hostile: every length and field is checked before it is used, memory grows
// only with what was read, and the gallery is given out only when the checksum agreed.
func LoadGallery(r io.Reader, fetch Fetch) (*Gallery, error) {
	in, n, err := snapshot.NewReader(r, snapshotFormat)
	if err != nil {
		return nil, err
	}
	g := NewFetchingGallery(fetch)
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
	e := entry{id: in.Text()}
	class := kindClass{Class{in.Text(), in.Text(), in.Text()}, in.Byte()}
	e.reach = reach(in.Byte())
	raw := in.Bytes(spotCodeBytes)
	for i := range e.spots.spots {
		half, sample := i/scanHalf, int(binary.LittleEndian.Uint16(raw[2*i:]))
		if sample < scanGrid.samples() {
			e.spots.held++
		} else if in.Err() == nil && sample != scanGrid.samples()+half {
			return fmt.Errorf("spot %d is sample %d of %d", i, sample, scanGrid.samples())
		}
		e.spots.spots[i] = uint16(sample) * lanes
	}
	e.polar = in.Block(maxPolar) // valid until the next field: put copies it
	switch {
	case in.Err() != nil:
		return nil
	case int(class.region) >= len(regions) || regions[class.region] == nil:
		return fmt.Errorf("region code %d", class.region)
	case e.reach >= reaches:
		return fmt.Errorf("reach %d", e.reach)
	case !e.polar.whole():
		return fmt.Errorf("a polar code of %d bytes", len(e.polar))
	case g.holds(e.id):
		return fmt.Errorf("id %.40q stands there twice", e.id)
	}
	g.put(class, e)
	return nil
}
