package main

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"proofmark/node/durable"
)

func TestErrorsDoNotSteerTheTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                               "plain",
		"two\nlines":                          "two\nlines",
		"\x1b[2Jgone\rproofmark: all is well": "·[2Jgone·proofmark: all is well",
		"bell\a, back\b, tab\t, \u202egnorw":  "bell·, back·, tab·, ·gnorw",
		"last\n":                              "last\n",
	} {
		if got := printableLines(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	for _, args := range [][]string{{"--data", t.TempDir() + "/\x1b[31mred", "status"}, {"\x1b[31mred"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, nil, &out, &errs); code == exitOK || bytes.ContainsRune(errs.Bytes(), '\x1b') || !bytes.Contains(errs.Bytes(), []byte("·[31mred")) {
			t.Errorf("%q: exit code %d, %q", args, code, errs.String())
		}
	}
}

func TestFilesHonourTheUmask(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := t.TempDir()
	for _, c := range []struct{ umask, mode, want os.FileMode }{
		{0o077, 0o644, 0o600}, {0o027, 0o644, 0o640}, {0o022, 0o644, 0o644}, {0, 0o600, 0o600},
	} {
		syscall.Umask(int(c.umask))
		path := filepath.Join(dir, "f")
		for range 2 { // new, and over another
			if err := durable.Replace(path, []byte("x"), c.mode); err != nil {
				t.Fatal(err)
			}
		}
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != c.want {
			t.Errorf("umask %03o, mode %04o: %v, %v; want %04o", c.umask, c.mode, st.Mode(), err, c.want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
