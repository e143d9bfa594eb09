package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node"
	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/node/durable"
	"proofmark/store"
)

// What is between a command and the record that it was done: the same command, at two terminals at once or again after a kill, carries the same key.
func TestTheSameCommandHasOneKeyUntilItsOutcomeWasSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending", "command")
	var mu sync.Mutex
	var wg sync.WaitGroup
	keys := map[string]int{}
	for range 16 {
		wg.Go(func() {
			key, err := pendingKey(path)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			keys[key]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(keys) != 1 {
		t.Fatalf("16 terminals have %d keys", len(keys))
	}
	first, err := pendingKey(path)
	if err != nil || keys[first] != 16 {
		t.Fatalf("typed again: %s of %v, %v", first, keys, err)
	}

	a := &app{done: []kept{{path, first}}}
	if err := a.settle(); err != nil {
		t.Fatal(err)
	}
	second, err := pendingKey(path)
	if err != nil || second == first {
		t.Fatalf("after its outcome was seen the command is a new one: %v", err)
	}
	late := &app{done: []kept{{path, first}}} // of the other terminal, which was slow to show the same outcome
	if err := late.settle(); err != nil {
		t.Fatal(err)
	}
	if key, err := pendingKey(path); err != nil || key != second {
		t.Errorf("the key of a command under way was forgotten: %v", err)
	}

	if err := os.WriteFile(path, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	third, err := pendingKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := pendingKey(path); err != nil || key != third {
		t.Errorf("after a damaged file the key is not kept: %v", err)
	}
}

// A command whose answer was lost may be typed again when its session has ended, or the disk is full: these refusals come before the node looks whether it
// was done, and do not part the command from its key.
func TestWhatIsRefusedUnseenKeepsItsKey(t *testing.T) {
	dir := t.TempDir()
	open := func() *app {
		return &app{Globals: Globals{Data: dir, Session: filepath.Join(dir, "session")}, ctx: t.Context()}
	}
	if err := open().saveSession(savedSession{Data: dir, Name: "ana", Token: "token"}); err != nil {
		t.Fatal(err)
	}
	send := func(refused error) (with string) { // as typed at a terminal of its own
		a := open()
		defer a.close()
		_, err := once(a, "case.add", "C-1", nil, func(_ *control.Client, key string) (string, error) {
			with = key
			return "", refused
		})
		if !errors.Is(err, refused) {
			t.Errorf("%v, want %v", err, refused)
		}
		return with
	}
	key := send(control.ErrNoDaemon) // it broke off: nobody knows whether it was done
	for _, refused := range []error{control.ErrNoSession, store.ErrDiskReserve, desk.ErrConflict} {
		if again := send(fmt.Errorf("refused: %w", refused)); again != key {
			t.Errorf("before %q it was sent with another key", refused)
		}
	}
	if next := send(nil); next == key {
		t.Error("after the node's answer that it was not done the command is not a new one")
	}
}

// full is a terminal's end that takes nothing any more, as a file on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestAnOutcomeThatNobodySawIsShownAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		json bool
	}{{"text", false}, {"JSON", true}} {
		t.Run(c.name, func(t *testing.T) {
			a := &app{out: full{}, err: &bytes.Buffer{}}
			a.JSON = c.json
			show := func() error {
				return a.show(map[string]string{"code": "x"}, func(w io.Writer) { fmt.Fprintln(w, "the code is x") })
			}
			if err := show(); err == nil || a.shown {
				t.Errorf("%v, seen %v", err, a.shown)
			}
			a.out = &bytes.Buffer{}
			if err := show(); err != nil || !a.shown {
				t.Errorf("%v, seen %v", err, a.shown)
			}
		})
	}
}

// Files that belong together: killed between two names, the first is not there, and the same command finishes them.
func TestFilesThatBelongTogetherAreFinished(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	files := []newFile{{at("scan"), []byte("scan"), 0o600}, {at("scan.key"), []byte("key"), 0o644}, {at("scan.handling"), []byte("H1"), 0o600}}
	for _, f := range files[1:] { // those of a command that was killed
		if err := os.WriteFile(f.path, f.content, f.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := createFiles(files...); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f.path); err != nil || !bytes.Equal(b, f.content) {
			t.Errorf("%s holds %q, %v", f.path, b, err)
		}
	}
	if err := createFiles(files...); err == nil || !strings.Contains(err.Error(), "scan exists and is never overwritten") {
		t.Errorf("once it is there: %v", err)
	}

	// What holds something else, or is open to others, is somebody's.
	for _, other := range []newFile{{at("x.key"), []byte("another"), 0o644}, {at("x.key"), []byte("key"), 0o666}} {
		if err := os.WriteFile(other.path, other.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(other.path, other.mode); err != nil {
			t.Fatal(err)
		}
		if err := createFiles(newFile{at("x"), []byte("x"), 0o600}, newFile{at("x.key"), []byte("key"), 0o644}); err == nil || !strings.Contains(err.Error(), "x.key exists") {
			t.Errorf("%v: %v", other, err)
		}
		if _, err := os.Stat(at("x")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("half of two is there: %v", err)
		}
		if err := os.Remove(other.path); err != nil {
			t.Fatal(err)
		}
	}
}

// Two key holders who share a folder sign one file at once: no signature is lost.
func TestARosterThatAnotherChangedMeanwhileIsNotOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roster.json")
	var holders []roster.Holder
	var keys []*roster.HolderKey
	for _, name := range []string{"Ana", "Rui"} {
		private, _, err := roster.NewHolder(name, []byte("a passphrase"), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, err := roster.OpenHolder(private, []byte("a passphrase"))
		if err != nil {
			t.Fatal(err)
		}
		keys, holders = append(keys, key), append(holders, key.Holder())
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d, err := roster.Create("test", holders, 2, now, now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	country, err := crypto.GenerateKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := node.MemberEntry(node.DefaultConfig("PT", "NCB Lisbon"), country, now)
	if err == nil {
		err = d.Add(entry, now)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Marshal()
	if err == nil {
		err = os.WriteFile(path, append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	read := func(k *roster.HolderKey) (*roster.Document, []byte) {
		t.Helper()
		d, was, err := readRoster(path)
		if err == nil {
			err = d.Sign(k)
		}
		if err != nil {
			t.Fatal(err)
		}
		return d, was
	}
	first, was := read(keys[0])
	second, wasToo := read(keys[1])
	if err := writeRoster(path, was, first); err != nil {
		t.Fatal(err)
	}
	if err := writeRoster(path, wasToo, second); !errors.Is(err, durable.ErrChanged) || !strings.Contains(err.Error(), "type the command again") {
		t.Errorf("the second of two at once: %v", err)
	}
	second, wasToo = read(keys[1])
	if err := writeRoster(path, wasToo, second); err != nil {
		t.Fatal(err)
	}
	if d, _, err := readRoster(path); err != nil || signedBy(d) != 2 {
		t.Errorf("%d signatures, %v", signedBy(d), err)
	}
}
