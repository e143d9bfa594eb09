package bullet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"

	"proofmark/correlate/snapshot"
)

// A snapshot is a gallery's bullets in the frame of package snapshot; what a search reads
// of them is computed again, which takes less time than reading it. Of each bullet the
// id, calibre, twist and rifling, the width as IEEE double, the signature's bytes.
var snapshotFormat = snapshot.Format{Magic: "PMBUL\r\n\x1a", Version: 1, Algorithm: Algorithm}

// snapshotBatch is how many bullets are read before their signatures are looked at.
const snapshotBatch = 4096

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
		out.Block(it.packed)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write snapshot of bullets: %w", err)
	}
	return nil
}

// LoadGallery reads a snapshot. The bytes may be hostile: every length and field
// is checked before it is used, memory grows only with what was read, and the
// gallery is given out only when the checksum agreed. Errors wrap ErrBadSnapshot.
func LoadGallery(r io.Reader) (*Gallery, error) {
	in, n, err := snapshot.NewReader(r, snapshotFormat)
	if err != nil {
		return nil, err
	}
	g := NewGallery()
	for i := uint64(0); i < n && in.Err() == nil; {
		var read []unread
		for ; i < n && len(read) < snapshotBatch && in.Err() == nil; i++ {
			read = append(read, readBullet(in, i))
		}
		if in.Err() != nil {
			break
		}
		if err := g.putAll(read); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadSnapshot, err)
		}
	}
	if err := in.Close(); err != nil {
		return nil, err
	}
	return g, nil
}

// unread is a bullet of a snapshot whose signature was not yet looked at.
type unread struct {
	number uint64
	id     string
	class  Class
	raw    []byte
}

func readBullet(in *snapshot.Reader, number uint64) unread {
	u := unread{number: number, id: in.Text()}
	u.class = Class{Calibre: in.Text(), Twist: in.Text(), Rifling: in.Text(), Width: math.Float64frombits(in.Uint64())}
	u.raw = bytes.Clone(in.Block(MaxSignatureSize))
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
