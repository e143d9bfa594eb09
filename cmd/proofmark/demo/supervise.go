package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"proofmark/node/durable"
)

// supervisor keeps one node's daemon running as a service manager would: whenever it dies it is started again at once.
type supervisor struct {
	program string
	args    []string
	logPath string
	pidPath string
	fail    func(error) // told when the daemon cannot be kept running

	mu       sync.Mutex
	cmd      *exec.Cmd
	stopping bool
	starts   int
	ended    chan struct{}
	begun    time.Time // of the last process
	last     error     // its end, nil if it was clean
}

const (
	tooSoon     = 5 * time.Second // a daemon that ends by itself before this failed to start
	maxFailures = 6               // in a row
	stopTime    = 30 * time.Second
)

// supervise starts the daemon and watches it until stop.
func supervise(program string, args []string, logPath, pidPath string, fail func(error)) (*supervisor, error) {
	s := &supervisor{program: program, args: args, logPath: logPath, pidPath: pidPath, fail: fail, ended: make(chan struct{})}
	started := make(chan error, 1)
	go s.watch(started)
	return s, <-started
}

// watch starts the daemon, waits for its end and starts it again.
func (s *supervisor) watch(started chan<- error) {
	defer close(s.ended)
	runtime.LockOSThread() // where the kernel ties a child's life to its parent's, it means the thread that started it
	defer runtime.UnlockOSThread()
	failures := 0
	for first := true; ; first = false {
		cmd, err := s.start()
		if first {
			started <- err
		}
		if err != nil {
			s.fail(err)
			return
		}
		if cmd == nil {
			return
		}
		err = cmd.Wait()
		killed := diedOf(err)
		s.mu.Lock()
		stopping, young := s.stopping, time.Since(s.begun) < tooSoon
		s.last = err
		if killed == syscall.SIGKILL || killed == syscall.SIGTERM && young { // somebody else was faster, or it could not listen yet
			s.last = nil
		}
		s.mu.Unlock()
		if stopping {
			return
		}
		if killed != 0 || !young {
			failures = 0
			continue
		}
		if failures++; failures == maxFailures {
			s.fail(fmt.Errorf("the daemon ended %d times right after its start (%w); the end of %s says: %s", failures, err, s.logPath, lastLine(s.logPath)))
			return
		}
		time.Sleep(time.Duration(failures) * 100 * time.Millisecond)
	}
}

// diedOf is the signal that ended a process, 0 if it ended by itself.
func diedOf(err error) syscall.Signal {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return status.Signal()
		}
	}
	return 0
}

// start starts one process, nil while stopping.
func (s *supervisor) start() (*exec.Cmd, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		s.last = nil // what ended was another process than the one that was asked to
		return nil, nil
	}
	log, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of the daemon: %w", err)
	}
	defer log.Close() // the child has its own copy
	cmd := exec.Command(s.program, s.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownLife()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	s.cmd, s.begun = cmd, time.Now()
	s.starts++
	if err := durable.Replace(s.pidPath, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("process id of the daemon: %w", err), cmd.Process.Kill(), cmd.Wait())
	}
	return cmd, nil
}

// restarts is how often the daemon had to be started again.
func (s *supervisor) restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.starts-1, 0)
}

// stop ends the daemon with SIGTERM and reports whether it ended cleanly.
func (s *supervisor) stop() error {
	s.mu.Lock()
	s.stopping = true
	if s.cmd != nil {
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			s.mu.Unlock()
			return fmt.Errorf("stop the daemon: %w", err)
		}
	}
	s.mu.Unlock()
	select {
	case <-s.ended:
	case <-time.After(stopTime):
		err := fmt.Errorf("the daemon did not stop within %s of SIGTERM and was killed; its log is %s", stopTime, s.logPath)
		err = errors.Join(err, s.cmd.Process.Kill())
		<-s.ended
		return err
	}
	if err := os.Remove(s.pidPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil {
		return fmt.Errorf("the daemon did not stop cleanly (%w); the end of %s says: %s", s.last, s.logPath, lastLine(s.logPath))
	}
	return nil
}

// lastLine is the end of a log file, for an error message.
func lastLine(path string) string {
	const tail = 2000
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > tail {
		if _, err := f.Seek(-tail, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, tail))
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(lines[len(lines)-1])
}
