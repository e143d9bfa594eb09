package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"proofmark/node/durable"
)

// readFile reads a file that a person named, up to limit bytes; its size is checked before it is read. Errors say which file and what it is for.
func readFile(what, path string, limit int64) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: check the path", what, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if st.IsDir() {
		return nil, fmt.Errorf("%s: %s is a folder: name the file in it", what, path)
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s: %s has %d bytes, the limit is %d: it is not what is wanted here, or has to be split", what, path, st.Size(), limit)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if int64(len(b)) > limit { // a device or pipe tells no size
		return nil, fmt.Errorf("%s: %s has more than %d bytes", what, path, limit)
	}
	return b, nil
}

// openFile opens a file for reading without waiting for anybody: a named pipe that nobody writes to is empty.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// checkPicture refuses names under which programs would take a drawing for something else; no name is none to draw into.
func checkPicture(path string) error {
	if ext := filepath.Ext(path); path != "" && !strings.EqualFold(ext, ".svg") {
		return fmt.Errorf("%s: pictures are drawn as SVG: choose a name that ends in .svg", printable(path))
	}
	return nil
}

// newFile is one file that must not exist yet.
type newFile struct {
	path    string
	content []byte
	mode    os.FileMode
}

// taken says that a name is somebody's, where that is why a file or folder could not be made.
func taken(path string, err error) error {
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists and is never overwritten: choose another name", filepath.Clean(path))
	}
	return err
}

// createFiles writes files that must not exist yet: all of them, each whole, or none. The first is what the others belong to. It is named last: a command that
// is killed between two names leaves no file without what belongs to it, and typed again it takes those for its own that hold exactly what it would write.
func createFiles(files ...newFile) (err error) {
	if _, err := os.Lstat(files[0].path); err == nil { // a reader of errors wants to know of the one that was named
		return taken(files[0].path, os.ErrExist)
	}
	begun := make([]*durable.File, len(files))
	var made []string
	defer func() {
		for _, f := range begun {
			if f != nil {
				err = errors.Join(err, f.Discard())
			}
		}
		if err != nil {
			for _, path := range made {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	for i, f := range files { // a disk that is full is full before anything has a name
		if i > 0 && holds(f) {
			continue
		}
		if begun[i], err = durable.Begin(filepath.Dir(f.path), f.mode); err != nil {
			return fmt.Errorf("%w: the folder must be there, and this account must be able to write in it", err)
		}
		if _, err = begun[i].Write(f.content); err == nil {
			err = begun[i].Sync()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	for i := len(files) - 1; i >= 0; i-- {
		if begun[i] == nil {
			continue
		}
		if err := begun[i].Create(filepath.Base(files[i].path)); err != nil {
			return taken(files[i].path, err)
		}
		made = append(made, files[i].path)
	}
	return nil
}

// holds tells whether a file is there with exactly this content, and open to no more people than it is meant for.
func holds(f newFile) bool {
	st, err := os.Lstat(f.path)
	if err != nil || !st.Mode().IsRegular() || st.Size() != int64(len(f.content)) || st.Mode().Perm()&^f.mode != 0 {
		return false
	}
	b, err := readFile("file", f.path, st.Size())
	return err == nil && bytes.Equal(b, f.content)
}
