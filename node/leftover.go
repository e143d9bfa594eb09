package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// unfinished begins the name of a data folder that is being made.
const unfinished = ".proofmark-init-"

// leftoverAge keeps Init off a folder whose maker has not locked it yet.
const leftoverAge = time.Minute

// beginFolder makes the folder in which Init works and locks it; the kernel lets the lock go when this process ends, however it ends. release does so
// earlier.
func beginFolder(parent string) (dir string, release func(), err error) {
	if dir, err = os.MkdirTemp(parent, unfinished+"*"); err != nil {
		return "", nil, err
	}
	f, err := lockFolder(dir)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), os.RemoveAll(dir))
	}
	return dir, func() { f.Close() }, nil
}

// lockFolder takes a folder's lock or fails at once. The error is syscall.EWOULDBLOCK (wrapped) where another process has it.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// removeLeftovers removes what an Init that was killed left in parent: keys that nobody will use. Folders of other accounts, young ones and those
// whose maker is alive stay. now is the wall clock, as the file system's times are.
func removeLeftovers(parent string, now time.Time) error {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, os.ErrPermission) {
		return nil // a folder that may be written but not listed
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), unfinished) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		st, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // its maker has finished
		}
		if err != nil {
			return err
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if !ok || int(sys.Uid) != os.Geteuid() || now.Sub(st.ModTime()) < leftoverAge {
			continue
		}
		f, err := lockFolder(path)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = errors.Join(os.RemoveAll(path), f.Close())
		}
		if err != nil {
			return fmt.Errorf("%s was left by an init that was killed, and could not be removed; remove it by hand: %w", path, err)
		}
	}
	return nil
}
