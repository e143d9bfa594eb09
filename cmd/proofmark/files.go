package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

// createFiles writes files that must not exist yet: all of them, each whole, or none. A name is reserved with an empty file before it is filled, so that
// two commands at once cannot overwrite each other's file on any file system.
func createFiles(files ...newFile) (err error) {
	var made []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range made {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	for _, f := range files {
		r, err := os.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, f.mode)
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%s exists and is never overwritten: choose another name", filepath.Clean(f.path))
		}
		if err != nil {
			return fmt.Errorf("%w: the folder must be there, and this account must be able to write in it", err)
		}
		made = append(made, f.path)
		if err := r.Close(); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := writeFile(f.path, f.content, f.mode); err != nil {
			return err
		}
	}
	return nil
}
