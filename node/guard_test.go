package node

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFilesThatOthersCanGetAtAreRefused(t *testing.T) {
	b := newBureau(t, "PT")
	for _, c := range []struct {
		file string
		mode os.FileMode
		says string // empty: the node opens
	}{
		{".", 0o755, ""}, {".", 0o770, "chmod go-w"}, {".", 0o777, "group or others can write"},
		{"proofmark.toml", 0o644, ""}, {"proofmark.toml", 0o664, "chmod go-w"},
		{"master.key", 0o640, "its group can read"}, {"master.key", 0o604, "others can read"}, {"master.key", 0o620, "its group can write"},
		{"keys.sealed", 0o644, "chmod go-rwx"}, {"keys.sealed", 0o602, "others can write"},
		{"policy", 0o755, ""}, {"policy", 0o775, "its group can write"},
		{"policy/20-signatures.cedar", 0o644, ""}, {"policy/20-signatures.cedar", 0o666, "group or others can write"},
	} {
		path := filepath.Join(b.dir, c.file)
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		err = b.reopen()
		if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "chmod go-") || !strings.HasSuffix(err.Error(), path)) {
			t.Errorf("%s with mode %04o: %v; want %q", c.file, c.mode, err, c.says)
		}
		if err := os.Chmod(path, before.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

// A node that was made under a loose umask starts.
func TestInitDoesNotTrustTheUmask(t *testing.T) {
	old := syscall.Umask(0)
	b := newBureau(t, "PT")
	syscall.Umask(old)
	if err := b.reopen(); err != nil {
		t.Error(err)
	}
	err := filepath.WalkDir(b.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err == nil && st.Mode().Perm()&0o022 != 0 && !strings.HasPrefix(path, filepath.Join(b.dir, storeDir)) {
			t.Errorf("%s has mode %04o", path, st.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
