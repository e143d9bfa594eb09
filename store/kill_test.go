package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

const crashDir = "PROOFMARK_STORE_TEST_DIR"

// TestMain turns the test binary into a node at work when TestKill starts it again.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := workUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func crashOptions(dir string) Options {
	opt := testOptions(dir)
	opt.MemTable = 1 << 20 // tables are flushed and compacted while the killing goes on
	return opt
}

// workUntilKilled does everything that an act can do, from several goroutines, and prints each id once it is acknowledged.
func workUntilKilled(dir string) error {
	s, err := Open(crashOptions(dir))
	if err != nil {
		return err
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				if err := s.Update(context.Background(), func(tx *Tx) error { return crashAct(tx, id) }); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				out.Lock()
				fmt.Println(id)
				out.Unlock()
			}
		})
	}
	wg.Go(func() { // and erased bytes leave the files meanwhile
		for {
			if err := s.Reclaim(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			time.Sleep(20 * time.Millisecond) // the others shall get on
		}
	})
	wg.Wait()
	return errors.New("stopped by itself")
}

func crashAct(tx *Tx, id string) error {
	tx.Audit(entry("crash test", id))
	head, err := tx.OutHead("ES", "bulk")
	if err != nil {
		return err
	}
	if _, err := tx.FixMessage("ES", "bulk", id, []byte(id), "h"+id); err != nil {
		return err
	}
	if head.Seq > head.Acked+20 {
		if err := tx.Acknowledge("ES", "bulk", head.Seq, head.Head, []byte("receipt")); err != nil {
			return err
		}
	}
	_, err = tx.PutBlob([]byte(strings.Repeat(id, 5000))) // into the value log
	return errors.Join(err, things.Put(tx, id, &thing{Name: id, Tags: []string{"crash", id}}), tx.Enqueue("FR", "bulk", id))
}

// TestKill kills a working store with SIGKILL at random moments: whatever it had acknowledged is there, whole, the log verifies and no
// index points to nothing.
func TestKill(t *testing.T) {
	testKeys() // made before the child inherits them
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range 6 {
		killed := runAndKill(t, dir, time.Duration(20+rand.IntN(400))*time.Millisecond)
		for _, id := range killed {
			acked[id] = true
		}
		s, err := Open(crashOptions(dir))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		checkAfterCrash(t, s, acked)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
	t.Logf("%d acts acknowledged over all rounds", len(acked))
	if len(acked) == 0 {
		t.Error("nothing was ever acknowledged: the test proves nothing")
	}
}

func runAndKill(t *testing.T, dir string, after time.Duration) (ids []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	var killer *time.Timer
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // an id without its newline was cut by the kill
		}
		if killer == nil { // at work: the clock runs from here
			killer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		ids = append(ids, strings.TrimSpace(line))
	}
	_ = cmd.Wait()
	if stderr.Len() > 0 {
		t.Fatalf("the child says: %s", stderr.String())
	}
	return ids
}

func checkAfterCrash(t *testing.T, s *Store, acked map[string]bool) {
	t.Helper()
	report := verify(t, s)
	if err := s.CheckIndexes(background); err != nil {
		t.Error(err)
	}
	view(t, s, func(tx *Tx) error {
		stored := 0
		for id, v := range things.By(tx, "tag", "crash") {
			stored++
			if v.Name != id {
				t.Errorf("record %s holds %+v", id, v)
			}
		}
		queued, err := tx.Intents("FR", "bulk", 0)
		if err != nil {
			return err
		}
		head, err := tx.OutHead("ES", "bulk")
		if err != nil {
			return err
		}
		// Every part of an act is there as often as every other.
		if int64(stored) != report.Size || len(queued) != stored || head.Seq != uint64(stored) {
			t.Errorf("%d records, %d audit entries, %d intents, %d messages", stored, report.Size, len(queued), head.Seq)
		}
		if _, err := tx.Messages("ES", "bulk", 0, 0); err != nil {
			t.Error(err)
		}
		for id := range acked {
			v, err := things.Get(tx, id)
			if err != nil || v.Name != id {
				t.Errorf("acknowledged, but: %v", err)
			}
		}
		return nil
	})
	for id := range acked {
		got, err := s.QueryAudit(background, AuditQuery{Object: id})
		if err != nil || len(got) != 1 {
			t.Errorf("audit entries of %s: %d, %v", id, len(got), err)
		}
		break
	}
}
