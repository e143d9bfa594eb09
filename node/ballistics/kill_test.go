package ballistics

import (
	"bufio"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"proofmark/node/durable"
)

const childVariable = "PROOFMARK_BALLISTICS_CHILD"

// TestSnapshotChild is the body of the process that TestKillWhileASnapshotIsWritten starts and kills: it writes one snapshot after the other while
// signatures come and go.
func TestSnapshotChild(t *testing.T) {
	dir := os.Getenv(childVariable)
	if dir == "" {
		return
	}
	b := openBench(t, dir)
	b.load(t)
	fmt.Println("up", b.said())
	go func() {
		for {
			b.saveIndex()
		}
	}()
	first := len(b.index.IDs()) + 10_000*int(time.Now().UnixMilli()%100_000)
	for i := first; ; i++ {
		b.put(t, i, i+1)
		if err := b.index.Hold(entryOf(foreign(i))); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			b.withdraw(t, i)
		}
	}
}

// Killed at any moment, a node finds a good snapshot or none, and holds what its database does.
func TestKillWhileASnapshotIsWritten(t *testing.T) {
	dir := t.TempDir()
	b := openBench(t, dir)
	b.put(t, 0, 600)
	b.close(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := mathrand.New(mathrand.NewPCG(seed, 1))
	restored, unfinished := 0, 0
	for round := range 4 {
		c := exec.Command(os.Args[0], "-test.run=^TestSnapshotChild$")
		c.Env = append(os.Environ(), childVariable+"="+dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "up") {
			t.Fatalf("the child says %q, %v", line, err)
		}
		if round == 0 { // on a slow machine too, one kill meets a snapshot that was finished
			for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
				if _, err := os.Stat(filepath.Join(dir, "index.sealed")); err == nil {
					break
				}
				if time.Now().After(end) {
					t.Fatal("the child has written no snapshot within a minute")
				}
			}
		}
		time.Sleep(time.Duration(random.Float64() * float64(300*time.Millisecond)))
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); c.ProcessState.ExitCode() != -1 {
			t.Fatalf("round %d: the child was not killed, it ended: %v", round, err)
		}
		if left, err := filepath.Glob(filepath.Join(dir, durable.Unfinished+"*")); err == nil && len(left) > 0 {
			unfinished++
		}
		b := openBench(t, dir)
		b.load(t)
		b.asStored(t, -1)
		said := b.said()
		if strings.Contains(said, "not used") {
			t.Errorf("a kill left a snapshot that is no good: %s", said)
		}
		if strings.Contains(said, `from="its snapshot"`) {
			restored++
		}
		b.close(t)
	}
	t.Logf("%d of 4 starts after a kill began with a snapshot, %d kills left an unfinished one", restored, unfinished)
	if restored == 0 {
		t.Error("no start began with a snapshot: the test proved nothing")
	}
}
