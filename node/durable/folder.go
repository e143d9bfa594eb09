package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Folder is a folder that has no name of its own yet: what it is to hold is written into Path. Commit names it; Discard after that does nothing, and can be
// deferred.
type Folder struct {
	Path string

	to    string
	lock  *os.File
	ended bool
}

// BeginFolder begins a folder beside its place, and removes what others that were killed left there. The place may be an empty folder; fs.ErrExist where it
// is anything else. The folders above it are made where they are missing.
func BeginFolder(to string) (*Folder, error) {
	to = filepath.Clean(to)
	if err := vacant(to); err != nil {
		return nil, err
	}
	parent := filepath.Dir(to)
	if err := MakeFolder(parent); err != nil {
		return nil, err
	}
	if err := sweep(parent); err != nil {
		return nil, err
	}
	for {
		path, err := os.MkdirTemp(parent, Unfinished+"*")
		if err != nil {
			return nil, err
		}
		lock, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody swept it before it was locked
		}
		if err != nil {
			return nil, errors.Join(err, os.Remove(path))
		}
		held, err := hold(lock)
		if err != nil {
			return nil, errors.Join(err, lock.Close(), gone(os.Remove(path)))
		}
		if held {
			return &Folder{Path: path, to: to, lock: lock}, nil
		}
		if err := lock.Close(); err != nil {
			return nil, err
		}
	}
}

// vacant holds that nothing has a name, or an empty folder.
func vacant(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	taken := &fs.PathError{Op: "make", Path: path, Err: fs.ErrExist}
	if !st.IsDir() {
		return taken
	}
	entries, err := os.ReadDir(path)
	if err == nil && len(entries) > 0 {
		err = taken
	}
	return err
}

// Commit makes everything in the folder durable and gives it its name; fs.ErrExist where another one has it by now.
func (f *Folder) Commit() (err error) {
	defer func() { err = errors.Join(err, f.Discard()) }()
	if err := syncTree(f.Path); err != nil {
		return fmt.Errorf("make %s durable: %w", f.Path, err)
	}
	if err := vacant(f.to); err != nil {
		return err
	}
	if err := gone(os.Remove(f.to)); err != nil { // an empty folder, or by now a full one: that is refused
		return err
	}
	if err := os.Rename(f.Path, f.to); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(f.to))
}

// Discard removes what has no name yet.
func (f *Folder) Discard() error {
	if f.ended {
		return nil
	}
	f.ended = true
	return errors.Join(os.RemoveAll(f.Path), f.lock.Close())
}

// MakeFolder makes a folder, and those above it where they are missing, for this account alone and durably: what is put into it later is not lost with it.
func MakeFolder(path string) error {
	path = filepath.Clean(path)
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MakeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		if st, serr := os.Stat(path); serr == nil && st.IsDir() {
			return nil // somebody else was faster
		}
		return err
	}
	return SyncFolder(parent)
}

// syncTree makes files and folders durable, what is in a folder before the folder itself.
func syncTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir():
			err = syncTree(path)
		case e.Type().IsRegular():
			err = syncFile(path)
		}
		if err != nil {
			return err
		}
	}
	return SyncFolder(dir)
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sweep removes what is unfinished in a folder and nobody's: what is locked stays, and what other accounts made.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil // a folder that may be written but not listed
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), Unfinished) || !e.IsDir() && !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // its maker has finished
		}
		if err != nil {
			return err
		}
		if sys, ok := st.Sys().(*syscall.Stat_t); !ok || int(sys.Uid) != os.Geteuid() {
			continue
		}
		if err := sweepOne(path, e.IsDir()); err != nil {
			return fmt.Errorf("%s was left by a command that was killed, and could not be removed; remove it by hand: %w", path, err)
		}
	}
	return nil
}

func sweepOne(path string, folder bool) error {
	how := os.O_RDWR // what some file systems want for a lock
	if folder {
		how = os.O_RDONLY
	}
	f, err := os.OpenFile(path, how, 0)
	if errors.Is(err, fs.ErrPermission) && !folder {
		f, err = os.Open(path)
	}
	if err != nil {
		return gone(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return f.Close() // somebody writes it, or nobody can tell
	}
	return errors.Join(os.RemoveAll(path), f.Close())
}
