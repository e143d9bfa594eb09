package index

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"proofmark/crypto/stream"
)

const fileLabel = "index snapshot v1"

// SaveFile writes a snapshot into an encrypted file. The file is whole or not there: it is written beside its place, synced, and renamed. key has 32
// bytes and is of use for nothing else.
func (x *Index) SaveFile(path string, key []byte, random io.Reader) error {
	err := x.saveFile(path+".new", key, random)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, errors.Join(err, removed(path+".new")))
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	return nil
}

func (x *Index) saveFile(path string, key []byte, random io.Reader) error {
	// One that a killed process left is not written over: whoever held it open would still read it.
	if err := removed(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w, err := stream.NewWriter(f, key, fileLabel, random)
	if err == nil {
		err = x.Save(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// RestoreFile fills an empty index from the file. Errors: fs.ErrNotExist where there is none; everything else wraps ErrSnapshot and says what is wrong
// with the file.
func (x *Index) RestoreFile(path string, key []byte) error {
	if err := removed(path + ".new"); err != nil { // left by a process that was killed
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
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

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder makes a rename durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
