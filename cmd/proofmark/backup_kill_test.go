package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"proofmark/node/durable"
)

// TestKilledBackupsAndRestoresLeaveNothingHalf kills the client of a backup, the daemon under it, and a restore, each at several moments: what is left is
// whole or is nothing, and the same command typed again works.
func TestKilledBackupsAndRestoresLeaveNothingHalf(t *testing.T) {
	node, tech, _ := newDaemon(t, "PT")
	node.run("recovery", "init", "--out", "recovery.key", "--passphrase-file", "secret")
	tech.run("case", "add", "C-1", "--agency", "Judicial Police")
	folder := filepath.Join(node.dir, "week") + "/"
	began := time.Now()
	node.run("backup", folder)
	each := time.Since(began)
	wait, caught := each/2, [2]int{}
	const most = 60 // tries on a machine that stands still whenever something is to be killed
	for try := 0; try < 6 || (caught[0] == 0 || caught[1] == 0) && try < most; try++ {
		who := 0 // the client
		if caught[0] > caught[1] {
			who = 1 // the daemon
		}
		tech.run("case", "add", fmt.Sprintf("K-%d", try), "--agency", "Judicial Police")
		c := node.command("backup", folder)
		kill := func() { _ = c.Process.Kill() }
		if who == 1 {
			kill = node.kill
		}
		if unfinished(t, c, folder, wait, kill) {
			caught[who]++
		}
		wait = wait * 2 / 3 // the moments move towards the beginning: sooner or later none comes too late
		if who == 1 {
			node.start()
		}
		// Whatever has a backup's name is whole and in its place.
		var parts []map[string]any
		if err := json.Unmarshal(node.run("--json", "backup", "check", folder, "--key", "recovery.key", "--key-passphrase-file", "secret"), &parts); err != nil {
			t.Fatal(err)
		}
	}
	if caught[0] == 0 || caught[1] == 0 {
		t.Errorf("%d clients and %d daemons were killed while a backup was written: the test proved nothing", caught[0], caught[1])
	}
	tech.run("case", "add", "K-last", "--agency", "Judicial Police")
	node.run("backup", folder)
	if left, err := filepath.Glob(filepath.Join(folder, durable.Unfinished+"*")); err != nil || len(left) > 0 {
		t.Errorf("left by killed backups: %v, %v", left, err)
	}
	node.kill()

	restore := []string{"restore", "--from", folder, "--key", "recovery.key", "--key-passphrase-file", "secret", "--passphrase-file", "pass"}
	back := &terminal{t: t, dir: node.dir, data: filepath.Join(node.dir, "new"), session: filepath.Join(node.dir, "new.session")}
	killed := 0
	for i := 0; i < 5 || killed == 0 && i < most; i++ {
		c := back.command(restore...)
		if !unfinished(t, c, node.dir, each*time.Duration(i%5)/2, func() { _ = c.Process.Kill() }) {
			if killed > 0 {
				break // it was over first
			}
			if err := os.RemoveAll(back.data); err != nil {
				t.Fatal(err)
			}
			continue
		}
		killed++
		if _, err := os.Stat(back.data); err == nil { // renamed at the very end
			break
		}
		if _, err := back.try("run", "--passphrase-file", "pass"); err == nil || !strings.Contains(err.Error(), "is not a node's data folder") {
			t.Fatalf("half a restore was taken for a node: %v", err)
		}
	}
	if killed == 0 {
		t.Error("no restore was killed: the test proved nothing")
	}
	if _, err := os.Stat(back.data); err != nil {
		back.run(restore...)
	}
	again := &daemon{terminal: back}
	again.start()
	t.Cleanup(again.kill)
	aud := back.as("aud2.session")
	aud.run("login", "aud", "--secret-file", aud.secretOf("aud"))
	aud.run("audit", "verify")
	cases := back.as("tech2.session")
	cases.run("login", "tech", "--secret-file", cases.secretOf("tech"))
	if list := string(cases.run("case", "list")); !strings.Contains(list, "K-last") {
		t.Errorf("the restored node has the cases\n%s", list)
	}
}

// unfinished starts a command, and kills when what it writes has stood in a folder, unfinished, for a while. It tells whether the command was still under way.
func unfinished(t *testing.T, c *exec.Cmd, folder string, wait time.Duration, kill func()) (caught bool) {
	t.Helper()
	known := map[string]bool{} // what others that were killed left, until this one sweeps it
	look := func() (fresh bool) {
		left, err := filepath.Glob(filepath.Join(folder, durable.Unfinished+"*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range left {
			fresh = fresh || !known[path]
			known[path] = true
		}
		return fresh
	}
	look()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	over := func(err error) bool {
		if err != nil {
			t.Fatalf("%v, which nobody killed: %v", c.Args, err)
		}
		kill()
		return false
	}
	for !look() {
		select {
		case err := <-ended:
			return over(err)
		case <-time.After(time.Millisecond):
		}
	}
	select {
	case err := <-ended:
		return over(err)
	case <-time.After(wait):
	}
	kill()
	return <-ended != nil
}
