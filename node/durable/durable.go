// Package durable owns how files and folders come into being: whole under their name, and durable, or not there at all, whoever kills the process or takes
// the power between two steps, and however many do the same at once. It refuses to know what is in them.
//
// What is being written lies beside its place under a name that begins with Unfinished, locked (flock) by whoever writes it. The kernel lets the lock go
// when that process ends, however it ends: what is not locked is nobody's, and goes when something is written into the same folder the next time.
package durable

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Unfinished begins the name of what is being written.
const Unfinished = ".proofmark-unfinished-"

// ErrChanged: what was to be replaced is not what it was when it was read.
var ErrChanged = errors.New("it was changed meanwhile")

// File is a file that has no name of its own yet. Create or Replace gives it one; Discard after either does nothing, and can be deferred.
type File struct {
	*os.File
	dir   string
	ended bool
}

// Begin begins a file for a folder, and removes what others that were killed left in it. mode is what the umask may still take from.
func Begin(dir string, mode fs.FileMode) (*File, error) {
	if err := sweep(dir); err != nil {
		return nil, err
	}
	for {
		f, err := os.OpenFile(filepath.Join(dir, Unfinished+rand.Text()), os.O_CREATE|os.O_EXCL|os.O_RDWR, mode)
		if err != nil {
			return nil, err
		}
		held, err := hold(f)
		if err != nil {
			return nil, errors.Join(err, f.Close(), gone(os.Remove(f.Name())))
		}
		if held {
			return &File{File: f, dir: dir}, nil
		}
		if err := f.Close(); err != nil { // somebody swept it before it was locked
			return nil, err
		}
	}
}

// Create makes what was written durable and names it, in the folder it was begun for. A name that is taken stays with who has it: fs.ErrExist.
func (f *File) Create(name string) error {
	to := filepath.Join(f.dir, name)
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Discard())
	}
	err := os.Link(f.Name(), to) // unlike a rename it never replaces what is there
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = f.reserve(to)
	}
	return errors.Join(err, f.Discard(), SyncFolder(f.dir))
}

// reserve names the file where the file system has no links, as that of most sticks: an empty file keeps the name from others until this one takes it.
func (f *File) reserve(to string) error {
	r, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := r.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), to); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// Replace makes what was written durable and gives it a name, in the folder it was begun for, whoever had the name before.
func (f *File) Replace(name string) error {
	err := f.Sync()
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(f.dir, name))
	}
	err = errors.Join(err, f.Discard())
	if err != nil {
		return err
	}
	return SyncFolder(f.dir)
}

// Discard forgets what has no name yet.
func (f *File) Discard() error {
	if f.ended {
		return nil
	}
	f.ended = true
	return errors.Join(gone(os.Remove(f.Name())), f.Close())
}

// Create writes a file that must not be there yet: fs.ErrExist where it is.
func Create(path string, b []byte, mode fs.FileMode) error {
	f, err := with(path, b, mode)
	if err != nil {
		return err
	}
	return f.Create(filepath.Base(path))
}

// Replace writes a file, in place of the one that has its name.
func Replace(path string, b []byte, mode fs.FileMode) error {
	f, err := with(path, b, mode)
	if err != nil {
		return err
	}
	return f.Replace(filepath.Base(path))
}

// Swap writes a file in place of one that still holds what it held when it was read: ErrChanged where somebody changed it since. Of several at once the
// first succeeds.
func Swap(path string, was, b []byte, mode fs.FileMode) (err error) {
	f, err := with(path, b, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Discard()) }()
	for {
		old, err := os.Open(path)
		if err != nil {
			return err
		}
		held, err := hold(old) // with this file locked, nobody else of this kind replaces it
		if err == nil && held {
			err = same(old, was)
			if err == nil {
				err = f.Replace(filepath.Base(path))
			}
		}
		if err = errors.Join(err, old.Close()); err != nil || held {
			return err
		}
	}
}

func same(f *os.File, was []byte) error {
	now, err := io.ReadAll(io.LimitReader(f, int64(len(was))+1))
	if err == nil && !bytes.Equal(now, was) {
		err = ErrChanged
	}
	return err
}

// with begins a file for a path, with its content in it.
func with(path string, b []byte, mode fs.FileMode) (*File, error) {
	f, err := Begin(filepath.Dir(path), mode)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(b); err != nil {
		return nil, errors.Join(err, f.Discard())
	}
	return f, nil
}

// hold waits for a file's or folder's lock and tells whether its name still stands for it: somebody else may have removed or replaced it meanwhile. On
// file systems without locks it is held, and swept by nobody.
func hold(f *os.File) (held bool, err error) {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil && !lockless(err) {
		return false, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	here, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if there.Mode()&fs.ModeSymlink != 0 { // of a link, what it leads to
		if there, err = os.Stat(f.Name()); err != nil {
			return false, err
		}
	}
	return os.SameFile(here, there), nil
}

// lockless tells an error of file systems that have no locks, or none for a file that is open for reading.
func lockless(err error) bool {
	for _, no := range []error{syscall.ENOLCK, syscall.ENOSYS, syscall.ENOTSUP, syscall.EBADF, syscall.EINVAL} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// gone takes it for done that what is to be removed is not there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// SyncFolder makes the names in a folder durable: those that came, changed and went.
func SyncFolder(dir string) error {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil // a folder that may be written but not read: there is no way to ask for it
	}
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) { // file systems that cannot: theirs are durable at once, or never
		err = nil
	}
	return errors.Join(err, f.Close())
}
