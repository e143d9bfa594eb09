package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// keepMemory keeps the process's memory, which holds the master key while the node runs, out of core files and from debuggers of the same account.
func keepMemory() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid looking into the process: %w", err)
	}
	return nil
}
