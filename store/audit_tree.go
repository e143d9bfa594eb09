package store

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// auditTree is all of a Merkle tree (RFC 6962) that appending needs: for every bit set in size, the hash of the complete subtree that
// this bit stands for. A copy is a snapshot.
type auditTree struct {
	size   int64
	levels [63]tlog.Hash
}

// append adds a record and returns the hashes it completed, one after the other: its own, then those of the subtrees it is the last
// record of, from small to large.
func (t *auditTree) append(record []byte) []byte {
	var hashes [64]tlog.Hash
	n := t.join(0, tlog.RecordHash(record), &hashes)
	out := make([]byte, 0, n*tlog.HashSize)
	for _, h := range hashes[:n] {
		out = append(out, h[:]...)
	}
	return out
}

// join adds a complete subtree of 2^level records to a tree that ends on a multiple of them, and writes the hashes that this completes to out, its own
// first; it returns their number.
func (t *auditTree) join(level int, h tlog.Hash, out *[64]tlog.Hash) (n int) {
	at := level
	for ; ; at++ {
		out[n] = h
		n++
		if t.size>>at&1 == 0 {
			break
		}
		h = tlog.NodeHash(t.levels[at], h)
	}
	t.levels[at] = h
	t.size += 1 << level
	return n
}

func (t *auditTree) root() (tlog.Hash, error) { return tlog.TreeHash(t.size, t) }

// ReadHashes implements tlog.HashReader for the subtrees at hand.
func (t *auditTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if part := t.size >> level; part&1 == 0 || n != part-1 {
			return nil, fmt.Errorf("hash %d is not at the edge of a tree of %d", index, t.size)
		}
		out[i] = t.levels[level]
	}
	return out, nil
}

// loadTree reads the edge of a tree of the given size.
func loadTree(size int64, r tlog.HashReader) (auditTree, error) {
	t := auditTree{size: size}
	for level := range t.levels {
		part := size >> level
		if part&1 == 0 {
			continue
		}
		h, err := r.ReadHashes([]int64{tlog.StoredHashIndex(level, part-1)})
		if err != nil {
			return auditTree{}, err
		}
		t.levels[level] = h[0]
	}
	return t, nil
}

// checkpoint is the content of a c2sp.org/tlog-checkpoint: origin, size in decimal and root in base64, a line each.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

func signCheckpoint(signer note.Signer, t *auditTree) ([]byte, error) {
	root, err := t.root()
	if err != nil {
		return nil, fmt.Errorf("audit checkpoint: %w", err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), t.size, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign audit checkpoint: %w", err)
	}
	return signed, nil
}

var errCheckpoint = errors.New("not a checkpoint: want three lines, origin, size and root")

// parseCheckpoint reads a checkpoint's text, or a whole note without looking at its signatures.
func parseCheckpoint(b []byte) (checkpoint, error) {
	if len(b) > 64<<10 {
		return checkpoint{}, errCheckpoint
	}
	text, _, _ := strings.Cut(string(b), "\n\n")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 3 || lines[0] == "" {
		return checkpoint{}, errCheckpoint
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || lines[1] != strconv.FormatInt(size, 10) {
		return checkpoint{}, fmt.Errorf("%w: the size is %.40q", errCheckpoint, lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return checkpoint{}, fmt.Errorf("%w: the root is %.60q", errCheckpoint, lines[2])
	}
	return checkpoint{origin: lines[0], size: size, root: root}, nil
}
