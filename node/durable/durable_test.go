package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreWholeOrNotThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	check(t, Create(path, []byte("one"), 0o600))
	if err := Create(path, []byte("two"), 0o644); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 || read(t, path) != "one" {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	check(t, Replace(path, []byte("three"), 0o640))
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 || read(t, path) != "three" {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if err := Swap(path, []byte("one"), []byte("four"), 0o600); !errors.Is(err, ErrChanged) {
		t.Errorf("in place of what is not there any more: %v", err)
	}
	for _, beginning := range []string{"", "thre"} {
		if err := Swap(path, []byte(beginning), []byte("four"), 0o600); !errors.Is(err, ErrChanged) {
			t.Errorf("in place of its beginning %q: %v", beginning, err)
		}
	}
	check(t, Swap(path, []byte("three"), []byte("four"), 0o600))
	if got := read(t, path); got != "four" {
		t.Errorf("%q", got)
	}
	if err := Swap(filepath.Join(dir, "none"), nil, []byte("x"), 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in place of nothing: %v", err)
	}
	if err := Create(filepath.Join(dir, "none", "b"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no folder: %v", err)
	}
	link := filepath.Join(dir, "nowhere")
	check(t, os.Symlink(filepath.Join(dir, "elsewhere"), link))
	if err := Create(link, []byte("x"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a link to nothing: %v", err)
	}

	f, err := Begin(dir, 0o600)
	check(t, err)
	if _, err := f.WriteString("half"); err != nil {
		t.Fatal(err)
	}
	check(t, f.Discard())
	check(t, f.Discard())
	if got := names(t, dir); !slices.Equal(got, []string{"a", "nowhere"}) {
		t.Errorf("left: %v", got)
	}
}

// A file system without links: the name is kept with an empty file, and never taken from anybody.
func TestFilesWithoutLinks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for i, want := range []error{nil, fs.ErrExist} {
		f, err := Begin(dir, 0o600)
		check(t, err)
		_, err = fmt.Fprintf(f, "%d", i)
		check(t, err)
		if err := f.reserve(path); !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", i, err, want)
		}
		check(t, f.Discard())
	}
	if got := read(t, path); got != "0" || len(names(t, dir)) != 1 {
		t.Errorf("%q, %v", got, names(t, dir))
	}
}

// What others write at the same time is let alone, and one of them gets the name.
func TestFilesOfManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	shared := filepath.Join(dir, "shared")
	check(t, Create(shared, []byte("0"), 0o600))
	const all = 12
	var created, swapped atomic.Int64
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			for round := range 5 {
				own := filepath.Join(dir, fmt.Sprintf("own-%d-%d", i, round))
				if err := Create(own, []byte("mine"), 0o600); err != nil {
					t.Errorf("own file: %v", err)
				}
				switch err := Create(filepath.Join(dir, fmt.Sprintf("one-%d", round)), []byte("somebody's"), 0o600); {
				case err == nil:
					created.Add(1)
				case !errors.Is(err, fs.ErrExist):
					t.Errorf("a name that all want: %v", err)
				}
			}
			switch err := Swap(shared, []byte("0"), []byte("1"), 0o600); {
			case err == nil:
				swapped.Add(1)
			case !errors.Is(err, ErrChanged):
				t.Errorf("a file that all change: %v", err)
			}
		})
	}
	wg.Wait()
	if created.Load() != 5 || swapped.Load() != 1 || read(t, shared) != "1" {
		t.Errorf("%d of 5 names were given, %d changed the shared file to %q", created.Load(), swapped.Load(), read(t, shared))
	}
	if got := names(t, dir); len(got) != 1+5+5*all {
		t.Errorf("%d files: %v", len(got), got)
	}
}

func TestWhatAKilledOneLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	folder := func(name string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Join(path, "store"), 0o700))
		check(t, os.WriteFile(filepath.Join(path, "master.key"), []byte("x"), 0o600))
		return path
	}
	file := func(name string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, []byte("x"), 0o600))
		return path
	}
	dead := []string{folder(Unfinished + "1"), file(Unfinished + "2")}
	live, err := BeginFolder(filepath.Join(dir, "node"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(live.Path, "a"), []byte("x"), 0o600))
	writing, err := Begin(dir, 0o600)
	check(t, err)
	stay := []string{folder("proofmark-unfinished-of-a-person"), file("unfinished"), live.Path, writing.Name()}
	link := filepath.Join(dir, Unfinished+"link")
	check(t, os.Symlink(stay[0], link))
	stay = append(stay, link)
	if os.Geteuid() == 0 {
		foreign := folder(Unfinished + "3")
		check(t, os.Chown(foreign, 12345, -1))
		stay = append(stay, foreign)
	}
	check(t, Create(filepath.Join(dir, "b"), nil, 0o600))
	for _, path := range dead {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	for _, path := range stay {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("gone: %v", err)
		}
	}
	// The kernel lets the locks of a process go that is killed; the names stay.
	check(t, errors.Join(live.lock.Close(), writing.Close()))
	check(t, Replace(filepath.Join(dir, "b"), nil, 0o600))
	for _, path := range []string{live.Path, writing.Name()} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s stays after its maker is gone: %v", path, err)
		}
	}
}

func TestFoldersAreWholeOrNotThere(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "deep", "er", "new")
	fill := func() *Folder {
		t.Helper()
		f, err := BeginFolder(to)
		check(t, err)
		check(t, os.MkdirAll(filepath.Join(f.Path, "store"), 0o700))
		check(t, os.WriteFile(filepath.Join(f.Path, "store", "a"), []byte("x"), 0o600))
		return f
	}
	check(t, fill().Discard())
	if got := names(t, filepath.Dir(to)); len(got) != 0 {
		t.Errorf("left of a folder that was given up: %v", got)
	}
	check(t, os.Mkdir(to, 0o700)) // an empty one is in nobody's way
	first, second := fill(), fill()
	check(t, first.Commit())
	if err := second.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the second of two at once: %v", err)
	}
	check(t, first.Discard())
	if got := read(t, filepath.Join(to, "store", "a")); got != "x" {
		t.Errorf("%q", got)
	}
	if got := names(t, filepath.Dir(to)); !slices.Equal(got, []string{"new"}) {
		t.Errorf("left: %v", got)
	}
	if _, err := BeginFolder(to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a folder that is full: %v", err)
	}
	if _, err := BeginFolder(filepath.Join(to, "store", "a")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file: %v", err)
	}
	if err := MakeFolder(filepath.Join(to, "store", "a", "b")); err == nil {
		t.Error("a folder in a file was made")
	}
}
