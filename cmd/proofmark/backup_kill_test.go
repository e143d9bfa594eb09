package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	const most = 60 // tries on a machine that stands still whenever something is to be killed
	killed := 0
	for i := 0; i < 6 || killed == 0 && i < most; i++ {
		tech.run("case", "add", fmt.Sprintf("K-%d", i), "--agency", "Judicial Police")
		c := node.command("backup", folder)
		began, done := time.Now(), make(chan error, 1)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { done <- c.Wait() }()
		select {
		case err := <-done: // the machine stood still when a backup was last timed
			if err != nil {
				t.Fatalf("a backup that nobody killed: %v", err)
			}
			each = time.Since(began)
		case <-time.After(each * time.Duration(i%6+1) / 7):
			if i%2 == 0 {
				_ = c.Process.Kill()
			} else {
				node.kill()
				node.start()
			}
			if err := <-done; err != nil {
				killed++
			}
		}
		// Whatever has a backup's name is whole and in its place.
		var parts []map[string]any
		if err := json.Unmarshal(node.run("--json", "backup", "check", folder, "--key", "recovery.key", "--key-passphrase-file", "secret"), &parts); err != nil {
			t.Fatal(err)
		}
	}
	if killed == 0 {
		t.Error("nothing was killed: the test proved nothing")
	}
	node.run("backup", folder)
	if left, err := filepath.Glob(filepath.Join(folder, unfinishedBackup+"*")); err != nil || len(left) > 0 {
		t.Errorf("left by killed backups: %v, %v", left, err)
	}
	node.kill()

	restore := []string{"restore", "--from", folder, "--key", "recovery.key", "--key-passphrase-file", "secret", "--passphrase-file", "pass"}
	back := &terminal{t: t, dir: node.dir, data: filepath.Join(node.dir, "new"), session: filepath.Join(node.dir, "new.session")}
	killed = 0
	for i := 0; i < 5 || killed == 0 && i < most; i++ {
		c := back.command(restore...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(each * time.Duration(i%5) / 2)
		_ = c.Process.Kill()
		if c.Wait() == nil {
			if killed > 0 {
				break
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
	if list := string(cases.run("case", "list")); !strings.Contains(list, "K-5") {
		t.Errorf("the restored node has the cases\n%s", list)
	}
}
