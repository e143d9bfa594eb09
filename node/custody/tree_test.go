package custody

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func pathOf(p tlog.RecordProof) [][]byte {
	out := [][]byte{}
	for _, h := range p {
		out = append(out, bytes.Clone(h[:]))
	}
	return out
}

// The tree is the one of the transparency log's library, and every block of it can be proved; nothing else can.
func TestProofsOfBlocks(t *testing.T) {
	src := rand.NewChaCha8([32]byte{1})
	for _, size := range []int64{1, blockSize - 1, blockSize, blockSize + 1, 2 * blockSize, 3*blockSize + 7, 7 * blockSize, 13*blockSize + 1} {
		file := make([]byte, size)
		_, _ = src.Read(file)
		var hashes hashList
		for i := int64(0); i < blocks(size); i++ {
			stored, err := tlog.StoredHashes(i, file[i*blockSize:min((i+1)*blockSize, size)], hashes)
			if err != nil {
				t.Fatal(err)
			}
			hashes = append(hashes, stored...)
		}
		want, err := tlog.TreeHash(blocks(size), hashes)
		if err != nil {
			t.Fatal(err)
		}
		for b := range blocks(size) {
			root, path, content, err := tree(bytes.NewReader(file), size, b)
			if err != nil || root != want || !bytes.Equal(content, file[b*blockSize:min((b+1)*blockSize, size)]) {
				t.Fatalf("%d bytes, block %d: %v, %v", size, b, root, err)
			}
			if err := checkProof(root, size, b, pathOf(path), content); err != nil {
				t.Errorf("%d bytes, block %d: %v", size, b, err)
			}
			for name, f := range map[string]func() error{
				"another block":  func() error { return checkProof(root, size, b+1, pathOf(path), content) },
				"before the one": func() error { return checkProof(root, size, b-1, pathOf(path), content) },
				"a byte less":    func() error { return checkProof(root, size, b, pathOf(path), content[1:]) },
				"another byte": func() error {
					c := bytes.Clone(content)
					c[len(c)/2] ^= 1
					return checkProof(root, size, b, pathOf(path), c)
				},
				"a longer path":  func() error { return checkProof(root, size, b, append(pathOf(path), make([]byte, 32)), content) },
				"a short hash":   func() error { return checkProof(root, size, b, append(pathOf(path), make([]byte, 31)), content) },
				"another's root": func() error { return checkProof(tlog.Hash{1}, size, b, pathOf(path), content) },
			} {
				if f() == nil {
					t.Errorf("%d bytes, block %d: %s is taken", size, b, name)
				}
			}
			// One byte that changed anywhere else shows here too.
			rotten := bytes.Clone(file)
			rotten[size-1] ^= 1
			if root, path, content, err = tree(bytes.NewReader(rotten), size, b); err != nil || root == want || checkProof(want, size, b, pathOf(path), content) == nil {
				t.Errorf("%d bytes, block %d: a changed file is proved, %v", size, b, err)
			}
		}
		for name, f := range map[string]func() error{
			"a file that is shorter": func() error { _, _, _, err := tree(bytes.NewReader(file[:size-1]), size, 0); return err },
			"a file that is longer":  func() error { _, _, _, err := tree(bytes.NewReader(append(file, 0)), size, 0); return err },
			"a block behind it":      func() error { _, _, _, err := tree(bytes.NewReader(file), size, blocks(size)); return err },
			"no file":                func() error { _, _, _, err := tree(bytes.NewReader(nil), 0, 0); return err },
		} {
			if f() == nil {
				t.Errorf("%d bytes: %s", size, name)
			}
		}
	}
}

type hashList []tlog.Hash

func (h hashList) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = h[x]
	}
	return out, nil
}
