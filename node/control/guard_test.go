package control

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode, forbidden os.FileMode
		says            string // empty: it is fine
	}{
		{0o600, 0o077, ""}, {0o755, 0o022, ""}, {0o444, 0o022, ""}, {0o640, 0o022, ""},
		{0o640, 0o077, "its group can read"}, {0o604, 0o077, "others can read"}, {0o644, 0o077, "group or others can read"},
		{0o620, 0o022, "its group can write"}, {0o602, 0o022, "others can write"}, {0o666, 0o022, "chmod go-w " + path}, {0o666, 0o077, "chmod go-rwx " + path},
		{0o644, 0o077, "mode 0644"},
	} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		err := Guard(path, c.forbidden)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("mode %04o, forbidden %04o: %v; want %q", c.mode, c.forbidden, err, c.says)
		}
	}
	if err := Guard(path+"x", 0); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
	if os.Geteuid() == 0 { // nobody else can give a file away
		if err := os.Chown(path, 12345, -1); err != nil {
			t.Fatal(err)
		}
		if err := Guard(path, 0); err == nil || !strings.Contains(err.Error(), "another account (uid 12345") {
			t.Errorf("%v", err)
		}
	}
}

// A socket in a folder that others can write may be anybody's: it gets neither a connection nor a secret.
func TestNothingIsSentToAForeignSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "pm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "proofmark.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reached := make(chan struct{}, 8)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			conn.Close()
		}
	}()
	refused := func(name string) {
		t.Helper()
		c := Dial(dir)
		defer c.Close()
		_, err := Call[None](t.Context(), c, "login", "", LoginRequest{Name: "anna", Secret: "a cartridge in the sand of anna"})
		if err == nil || !strings.HasPrefix(err.Error(), "nothing was sent") {
			t.Errorf("%s: %v", name, err)
		}
		if len(reached) != 0 {
			t.Errorf("%s: the socket was reached", name)
		}
	}
	for _, mode := range []os.FileMode{0o770, 0o707, 0o777 | os.ModeSticky} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		refused(mode.String())
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 12345, -1); err != nil {
			t.Fatal(err)
		}
		refused("a socket of another account")
	}
}
