package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTableAt(t *testing.T) {
	const line = "7f0000001000-7f0000003000 rw-s 00000000 08:01 123 "
	for text, want := range map[string]bool{
		line + "/data/pt/store/000177.sst":  true,
		line + "/data/pt2/store/000177.sst": false,
		line + "/data/pt/store/00007.mem":   false,
		line + "[heap]":                     false,
		"":                                  false,
		"x-y rw-s 0 08:01 1 /data/pt/1.sst": false,
		"7f0000003000-7f0000001000 rw-s 0 08:01 1 /data/pt/1.sst": false,
	} {
		from, length, ok := tableAt(text, "/data/pt")
		if ok != want || ok && (from != 0x7f0000001000 || length != 0x2000) {
			t.Errorf("%q: %x, %x, %v", text, from, length, ok)
		}
	}
}

// A table's pages leave the process, and its content is the same when it is read again; the file beside it stays.
func TestTablesAreLetGo(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("striae"), 1<<20)
	var maps [][]byte
	unread := MappedBytes()
	for _, name := range []string{"1.sst", "1.mem"} {
		path := filepath.Join(folder, "store", name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Sync(); err != nil { // unwritten pages cannot go
			t.Fatal(err)
		}
		m, err := unix.Mmap(int(f.Fd()), 0, len(content), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := unix.Munmap(m); err != nil {
				t.Error(err)
			}
		}()
		maps = append(maps, m)
	}
	for _, m := range maps {
		if !bytes.Equal(m, content) {
			t.Fatal("not what was written")
		}
	}
	whole := MappedBytes()
	if err := LetGoOfTables(folder); err != nil {
		t.Fatal(err)
	}
	// A file system in memory has nowhere to let its pages go to, and counts them elsewhere.
	if left := MappedBytes(); whole > unread+uint64(len(content)) && left+uint64(len(content))/2 > whole {
		t.Errorf("of %d bytes mapped, %d before they were read, %d are left", whole, unread, left)
	}
	for _, m := range maps {
		if !bytes.Equal(m, content) {
			t.Error("the content has changed")
		}
	}
	// A private copy is not the file's: advice that reaches it must leave it whole.
	private := make([]byte, len(content))
	copy(private, content)
	if err := LetGoOfTables(folder); err != nil || !bytes.Equal(private, content) {
		t.Errorf("other memory was changed, %v", err)
	}
}
