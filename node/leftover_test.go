package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"proofmark/crypto"
)

func TestInitRemovesWhatAKilledOneLeft(t *testing.T) {
	parent := shortTemp(t)
	hourAgo := time.Now().Add(-time.Hour)
	folder := func(name string, changed time.Time) string {
		t.Helper()
		path := filepath.Join(parent, name)
		if err := os.MkdirAll(filepath.Join(path, "store"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "master.key"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dead, other := folder(".proofmark-init-1", hourAgo), folder("proofmark-init-of-a-person", hourAgo)
	young := folder(".proofmark-init-2", time.Now())
	alive, release, err := beginFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := os.Chtimes(alive, hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	stays := []string{other, young, alive}
	if os.Geteuid() == 0 {
		foreign := folder(".proofmark-init-3", hourAgo)
		if err := os.Chown(foreign, 12345, -1); err != nil {
			t.Fatal(err)
		}
		stays = append(stays, foreign)
	}
	dir := filepath.Join(parent, "pt")
	err = Init(t.Context(), dir, InitOptions{Config: DefaultConfig("PT", "NCB Lisbon"), Passphrase: []byte(testPassphrase), Admin: "admin", Secret: []byte(testSecret), Cost: crypto.TestCost})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dead, err)
	}
	for _, path := range stays {
		if _, err := os.Stat(filepath.Join(path)); err != nil {
			t.Errorf("%s is gone: %v", path, err)
		}
	}
	release()
	if err := removeLeftovers(parent, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(alive); !os.IsNotExist(err) {
		t.Errorf("%s stays after its maker is gone: %v", alive, err)
	}
}
