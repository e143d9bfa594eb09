package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A process of its own, because what keepMemory does lasts for the life of one.
func TestMemoryIsKept(t *testing.T) {
	const child = "PROOFMARK_TEST_KEEP_MEMORY"
	if os.Getenv(child) == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestMemoryIsKept$", "-test.count=1")
		c.Env = append(os.Environ(), child+"=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	before, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil || before == 0 {
		t.Fatalf("dumpable before: %d, %v", before, err)
	}
	if err := keepMemory(); err != nil {
		t.Fatal(err)
	}
	var core unix.Rlimit
	after, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if lerr := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || lerr != nil || after != 0 || core.Cur != 0 || core.Max != 0 {
		t.Errorf("dumpable %d, %v; core files %+v, %v", after, err, core, lerr)
	}
}

func TestRunKeepsItsMemory(t *testing.T) {
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		t.Fatal(err)
	}
	if core.Max > 0 { // otherwise the limit is 0 already, and the test above says the rest
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: core.Max, Max: core.Max}); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := unix.Setrlimit(unix.RLIMIT_CORE, &core); err != nil {
				t.Error(err)
			}
		}()
	}
	dir := folderWithSecrets(t)
	d := &daemon{terminal: &terminal{t: t, dir: dir, data: filepath.Join(dir, "PT"), session: filepath.Join(dir, "session")}}
	d.run("init", "--country", "PT", "--name", "NCB Lisbon", "--listen", loopback(t), "--passphrase-file", "pass", "--secret-file", "secret")
	d.start()
	t.Cleanup(d.kill)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if after, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if f := strings.Fields(after); len(f) < 2 || f[0] != "0" || f[1] != "0" {
				t.Errorf("the daemon may write core files: %s", line)
			}
			return
		}
	}
	t.Errorf("no limit of core files in %s", limits)
}
