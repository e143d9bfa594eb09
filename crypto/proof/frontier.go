package proof

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// frontier is what appending to a Merkle tree needs of it: for every bit set in size, the hash of the complete subtree that the bit stands for.
type frontier struct {
	size   int64
	levels [63]tlog.Hash
}

// ReadHashes implements tlog.HashReader for the hashes at the edge.
func (f *frontier) ReadHashes(list []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(list))
	for i, at := range list {
		level, n := tlog.SplitStoredHashIndex(at)
		if part := f.size >> level; part&1 == 0 || n != part-1 {
			return nil, fmt.Errorf("hash %d is not at the edge of a tree of %d", at, f.size)
		}
		out[i] = f.levels[level]
	}
	return out, nil
}

func (f *frontier) append(content []byte) error {
	hashes, err := tlog.StoredHashes(f.size, content, f)
	if err != nil {
		return err
	}
	top := len(hashes) - 1
	f.levels[top] = hashes[top]
	f.size++
	return nil
}

func (f *frontier) root() (tlog.Hash, error) { return tlog.TreeHash(f.size, f) }

// edge lists the hashes of a frontier, those of large subtrees first.
func (f *frontier) edge() []tlog.Hash {
	out := []tlog.Hash{}
	for level := len(f.levels) - 1; level >= 0; level-- {
		if f.size>>level&1 == 1 {
			out = append(out, f.levels[level])
		}
	}
	return out
}

// readFrontier reads the edge of a tree of the given size.
func readFrontier(size int64, r tlog.HashReader) (*frontier, error) {
	f := &frontier{size: size}
	for level := range f.levels {
		part := size >> level
		if part&1 == 0 {
			continue
		}
		h, err := r.ReadHashes([]int64{tlog.StoredHashIndex(level, part-1)})
		if err != nil {
			return nil, err
		}
		f.levels[level] = h[0]
	}
	return f, nil
}

// givenFrontier is the inverse of edge.
func givenFrontier(size int64, edge []tlog.Hash) (*frontier, error) {
	f := &frontier{size: size}
	for level := len(f.levels) - 1; level >= 0; level-- {
		if size>>level&1 == 0 {
			continue
		}
		if len(edge) == 0 {
			return nil, fmt.Errorf("too few hashes for a tree of %d entries", size)
		}
		f.levels[level], edge = edge[0], edge[1:]
	}
	if len(edge) > 0 {
		return nil, fmt.Errorf("%d hashes too many for a tree of %d entries", len(edge), size)
	}
	return f, nil
}
