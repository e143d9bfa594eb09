package bureau

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// daemon keeps one process running: whenever it dies it is started again.
type daemon struct {
	mu       sync.Mutex
	cmd      *exec.Cmd
	starts   int
	stopping bool
	ended    chan struct{}
	last     error
}

const (
	restartAfter = 300 * time.Millisecond
	stopWithin   = time.Minute
	// A daemon whose disk is full cannot start; one that ends by itself this often in a row without such a reason is broken.
	maxFailures = 240
)

func (d *daemon) start(b *Bureau, fail func(error)) error {
	d.ended = make(chan struct{})
	started := make(chan error, 1)
	go d.watch(b, started, fail)
	return <-started
}

func (d *daemon) watch(b *Bureau, started chan<- error, fail func(error)) {
	defer close(d.ended)
	runtime.LockOSThread() // the kernel ties a child's life to the thread that started it
	defer runtime.UnlockOSThread()
	failures := 0
	for first := true; ; first = false {
		begun := time.Now()
		cmd, err := d.spawn(b)
		if first {
			started <- err
		}
		if err != nil {
			fail(fmt.Errorf("%s: %w", b.Country, err))
			return
		}
		if cmd == nil {
			return
		}
		err = cmd.Wait()
		d.mu.Lock()
		d.last = err
		stopping := d.stopping
		d.mu.Unlock()
		if stopping {
			return
		}
		if failures++; time.Since(begun) > 5*time.Second {
			failures = 0
		}
		if failures == maxFailures {
			fail(fmt.Errorf("%s: the daemon ended %d times right after its start (%v): see %s", b.Country, failures, err, b.LogFile()))
			return
		}
		time.Sleep(restartAfter)
	}
}

// spawn starts the process, nil while stopping.
func (d *daemon) spawn(b *Bureau) (*exec.Cmd, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping {
		d.last = nil
		return nil, nil
	}
	log, err := os.OpenFile(b.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := b.ground.Command(b.Number, b.program, "run", "--data", b.Dir, "--passphrase-file", b.passphraseFile())
	cmd.Env = append(os.Environ(), "PROOFMARK_SOAK_CLOCK="+b.ClockFile(), "GOMAXPROCS=2")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	d.cmd = cmd
	d.starts++
	return cmd, nil
}

func (d *daemon) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.starts
}

func (d *daemon) kill() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cmd == nil || d.stopping {
		return nil
	}
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// stop ends the daemon with SIGTERM and reports whether it ended cleanly.
func (d *daemon) stop() error {
	d.mu.Lock()
	if d.ended == nil {
		d.mu.Unlock()
		return nil
	}
	d.stopping = true
	cmd := d.cmd
	d.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.ended:
	case <-time.After(stopWithin):
		err := errors.Join(fmt.Errorf("the daemon did not stop within %v of SIGTERM", stopWithin), cmd.Process.Kill())
		<-d.ended
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil {
		return fmt.Errorf("the daemon did not stop cleanly: %w", d.last)
	}
	return nil
}
