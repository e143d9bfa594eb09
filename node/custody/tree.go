package custody

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// A file's hash tree is that of RFC 6962 over its blocks: whoever knows the root can hold any block against it, with the hashes that lead upwards from
// there. The owner keeps the root alone. A holder has to read the whole file to answer; a byte that its disk changed anywhere shows in every answer.

// blockSize is the size of a block in bytes; the last one of a file may be shorter.
const blockSize = 64 << 10

// blocks is the number of blocks of a file.
func blocks(size int64) int64 { return (size + blockSize - 1) / blockSize }

// tree reads a file of size bytes to its end and returns its root; with block ≥ 0 also this block and the hashes upwards from it. Memory stays at one
// block and a hash for each level.
func tree(r io.Reader, size, block int64) (root tlog.Hash, path tlog.RecordProof, content []byte, err error) {
	w := walk{r: r, left: size, want: block, buf: make([]byte, blockSize)}
	if size <= 0 || block >= blocks(size) {
		return root, nil, nil, fmt.Errorf("block %d of a file of %d bytes", block, size)
	}
	if root, path, err = w.over(0, blocks(size)); err != nil {
		return tlog.Hash{}, nil, nil, err
	}
	if n, err := io.ReadFull(r, w.buf[:1]); n > 0 || !errors.Is(err, io.EOF) {
		return tlog.Hash{}, nil, nil, errors.Join(errors.New("the file is longer than it was"), err)
	}
	return root, path, w.content, nil
}

type walk struct {
	r       io.Reader
	left    int64
	want    int64
	buf     []byte
	content []byte
}

// over reads n blocks from the one with number lo on.
func (w *walk) over(lo, n int64) (tlog.Hash, tlog.RecordProof, error) {
	if n == 1 {
		b := w.buf[:min(blockSize, w.left)]
		if _, err := io.ReadFull(w.r, b); err != nil {
			return tlog.Hash{}, nil, fmt.Errorf("block %d: %w", lo, err)
		}
		w.left -= int64(len(b))
		if lo == w.want {
			w.content = bytes.Clone(b)
		}
		return tlog.RecordHash(b), tlog.RecordProof{}, nil
	}
	k := int64(1)
	for 2*k < n {
		k *= 2
	}
	left, below, err := w.over(lo, k)
	if err != nil {
		return left, nil, err
	}
	right, above, err := w.over(lo+k, n-k)
	if err != nil {
		return right, nil, err
	}
	path := append(below, right)
	if w.want >= lo+k {
		path = append(above, left)
	}
	return tlog.NodeHash(left, right), path, nil
}

// checkProof holds an answer against the root that is known of a file.
func checkProof(root tlog.Hash, size, block int64, path [][]byte, content []byte) error {
	n := blocks(size)
	if want := min(blockSize, size-block*blockSize); block < 0 || block >= n || int64(len(content)) != want {
		return fmt.Errorf("block %d has %d bytes, not %d", block, want, len(content))
	}
	proof := make(tlog.RecordProof, len(path))
	for i, p := range path {
		if len(p) != tlog.HashSize {
			return fmt.Errorf("a hash of %d bytes", len(p))
		}
		proof[i] = tlog.Hash(p)
	}
	if err := tlog.CheckRecord(proof, n, root, block, tlog.RecordHash(content)); err != nil {
		return fmt.Errorf("block %d is not that of the file which was sent: %w", block, err)
	}
	return nil
}
