package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FreeBytes is the space that an ordinary user may still fill on the file system of dir, in bytes.
func FreeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// smallAct bounds what an act of UpdateSmall may change, in bytes.
const smallAct = 64 << 10

// floor is the free space that an act must leave. Small ones may go into the upper half of the reserve.
func (s *Store) floor(small bool) uint64 {
	if small {
		return s.opt.Reserve / 2
	}
	return s.opt.Reserve
}

// checkDisk refuses a write of need bytes that would leave less than the reserve. Badger writes through memory maps: on a full disk
// the kernel kills the process, so the only safe place to stop is before.
func (s *Store) checkDisk(need int64) error {
	if s.opt.Reserve == 0 {
		return nil
	}
	free, err := s.free(s.opt.Dir)
	if err != nil {
		return err
	}
	return s.leaves(free, need, s.opt.Reserve)
}

// leaves refuses to use need of the free bytes where less than floor would be left.
func (s *Store) leaves(free uint64, need int64, floor uint64) error {
	if free < floor || free-floor < uint64(need) {
		return fmt.Errorf("%w (%d MiB free in %s, reserve %d MiB, needed %d KiB)", ErrDiskReserve, free>>20, s.opt.Dir, s.opt.Reserve>>20, (need+1023)>>10)
	}
	return nil
}

// lockedByOther tells why Badger could not be opened: it holds a lock (flock) on its folder, and says so only in prose.
func lockedByOther(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close() // gives up the lock, if this got it
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// clearEmptyLogs removes log files without a byte. Badger empties a log before it deletes it, and gives a new one its size before it writes to it: a
// process that is killed between leaves an empty file, which holds nothing and which Badger refuses to open.
func clearEmptyLogs(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close() // gives up the lock
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil // in use: opening says so
	}
	entries, err := f.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".mem" && ext != ".vlog" {
			continue
		}
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && info.Size() == 0 {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clear an empty log: %w", err)
		}
	}
	return nil
}
