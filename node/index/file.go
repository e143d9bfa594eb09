package index

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"proofmark/crypto/stream"
	"proofmark/node/durable"
)

const fileLabel = "index snapshot v1"

// SaveFile writes a snapshot into an encrypted file, in place of the one before. The file is whole or not there. key has 32 bytes and is of use for nothing
// else.
func (x *Index) SaveFile(path string, key []byte, random io.Reader) error {
	f, err := durable.Begin(filepath.Dir(path), 0o600)
	if err == nil {
		if err = x.saveFile(f, key, random); err == nil {
			err = f.Replace(filepath.Base(path))
		}
		err = errors.Join(err, f.Discard())
	}
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	return nil
}

func (x *Index) saveFile(f io.Writer, key []byte, random io.Reader) error {
	w, err := stream.NewWriter(f, key, fileLabel, random)
	if err == nil {
		err = x.Save(w)
	}
	if err != nil {
		return err
	}
	return w.Close()
}

// RestoreFile fills an empty index from the file. Errors: fs.ErrNotExist where there is none; everything else wraps ErrSnapshot and says what is wrong
// with the file.
func (x *Index) RestoreFile(path string, key []byte) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	defer f.Close()
	r, err := stream.NewReader(f, key, fileLabel)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return x.Restore(r)
}
