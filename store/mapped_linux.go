package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MappedBytes is how much of files the process has in memory as its own; 0 where the system does not tell.
func MappedBytes() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "RssFile:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// LetGoOfTables gives back the memory of the database's tables, which are read again from the disk when they are needed. The advice changes no content,
// whatever lies at an address when it is given: a table that is closed meanwhile, and other memory in its place, do no harm.
func LetGoOfTables(folder string) error {
	folder, err := filepath.EvalSymlinks(folder)
	if err == nil {
		folder, err = filepath.Abs(folder)
	}
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	var errs []error
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		from, length, ok := tableAt(lines.Text(), folder)
		if !ok {
			continue
		}
		if _, _, no := unix.Syscall(unix.SYS_MADVISE, from, length, unix.MADV_PAGEOUT); no != 0 && no != unix.EINVAL && no != unix.ENOMEM { // not there any more
			errs = append(errs, fmt.Errorf("let go of a table: %w", no))
		}
	}
	return errors.Join(errs...)
}

// tableAt reads a line of /proc/PID/maps: where a table of the folder's database lies. Of other lines ok is false.
func tableAt(line, folder string) (from, length uintptr, ok bool) {
	at := strings.Index(line, " "+folder+string(filepath.Separator))
	if at < 0 || !strings.HasSuffix(line, ".sst") {
		return 0, 0, false
	}
	span, _, _ := strings.Cut(line, " ")
	first, last, _ := strings.Cut(span, "-")
	a, err := strconv.ParseUint(first, 16, 64)
	b, err2 := strconv.ParseUint(last, 16, 64)
	if err != nil || err2 != nil || b <= a {
		return 0, 0, false
	}
	return uintptr(a), uintptr(b - a), true
}
