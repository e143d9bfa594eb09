package demo

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func readPID(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestSupervisorStartsAgainAtOnce(t *testing.T) {
	dir := t.TempDir()
	log, pidFile := filepath.Join(dir, "log"), filepath.Join(dir, "pid")
	script := `echo begun $$; trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done`
	s, err := supervise("/bin/sh", []string{"-c", script}, log, pidFile, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	begun := func(n int) {
		t.Helper()
		err := await(t.Context(), "the process runs", 20*time.Second, func() (bool, error) {
			b, err := os.ReadFile(log)
			if errors.Is(err, os.ErrNotExist) {
				return false, nil
			}
			return strings.Count(string(b), "begun") == n, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	begun(1)
	first := readPID(t, pidFile)
	for i := range 3 {
		if err := syscall.Kill(readPID(t, pidFile), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		begun(2 + i)
	}
	if now := readPID(t, pidFile); now == first || now == 0 || s.restarts() != 3 {
		t.Errorf("process %d after %d, %d restarts", now, first, s.restarts())
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(log); err != nil || strings.Count(string(b), "bye") != 1 {
		t.Errorf("log %q, %v", b, err)
	}
	if _, err := os.Stat(pidFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the process id stays after the end: %v", err)
	}
}

// TestSupervisorStopsWhatWasKilled: a daemon that somebody kills at the very end is no fault of its own.
func TestSupervisorStopsWhatWasKilled(t *testing.T) {
	dir := t.TempDir()
	for range 10 {
		s, err := supervise("/bin/sh", []string{"-c", "trap 'exit 0' TERM; while :; do sleep 0.02; done"}, filepath.Join(dir, "log"), filepath.Join(dir, "pid"), func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(readPID(t, filepath.Join(dir, "pid")), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSupervisorGivesUp(t *testing.T) {
	dir := t.TempDir()
	told := make(chan error, 1)
	s, err := supervise("/bin/sh", []string{"-c", "echo the address is taken; exit 1"}, filepath.Join(dir, "log"), filepath.Join(dir, "pid"), func(err error) { told <- err })
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-told:
		if !strings.Contains(err.Error(), "ended 6 times") || !strings.HasSuffix(err.Error(), "the address is taken") {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it never gave up")
	}
	if err := s.stop(); err == nil || !strings.Contains(err.Error(), "did not stop cleanly") {
		t.Errorf("stop: %v", err)
	}
	if _, err := supervise("/nonexistent", nil, filepath.Join(dir, "log"), filepath.Join(dir, "pid"), func(error) {}); err == nil {
		t.Error("a program that is not there was started")
	}
}
