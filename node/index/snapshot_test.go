package index

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"

	"proofmark/node/durable"
	"proofmark/protocol"
)

var sealing = bytes.Repeat([]byte{3}, 32)

// mixed is an index with something of everything, and a query of each region.
func mixed(tb testing.TB) (x *Index, queries []Entry) {
	tb.Helper()
	x = empty()
	strange := caseOf("ES", "7", []byte("what another algorithm makes"))
	strange.Algorithm = "other/9"
	calibre := caseOf("ES", "8", face(tb, 6, 1))
	calibre.Class.Calibre = "9 mm Luger"
	queries = []Entry{caseOf("PT", "1", face(tb, 5, 1)), bulletOf("PT", "2", slug(tb, 1, 1, 0)), shearOf("PT", "11", edge(tb, 1, 1))}
	hold(tb, x, shearOf("ES", "12", edge(tb, 1, 2)), shearOf("ES", "13", edge(tb, 2, 1)))
	hold(tb, x, queries...)
	hold(tb, x, caseOf("ES", "3", face(tb, 5, 2)), calibre, bulletOf("ES", "5", slug(tb, 1, 2, 2)), bulletOf("ES", "6", slug(tb, 2, 1, 0)),
		bulletOf("FR", "9", firstLands(tb, slug(tb, 1, 2, 0), 2)), strange)
	x.Filled()
	return x, queries
}

func snapshot(tb testing.TB, x *Index) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := x.Save(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// alike compares two indexes by all that can be seen of them.
func alike(tb testing.TB, name string, got, want *Index, queries []Entry) {
	tb.Helper()
	a, b := got.IDs(), want.IDs()
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) || !reflect.DeepEqual(got.Counts(), want.Counts()) {
		tb.Fatalf("%s: holds %v as %+v, want %v as %+v", name, a, got.Counts(), b, want.Counts())
	}
	for _, q := range queries {
		if a, b := search(tb, got, q), search(tb, want, q); !reflect.DeepEqual(a, b) || len(a) == 0 {
			tb.Errorf("%s: %s finds %+v, want %+v", name, q.ID, a, b)
		}
		if !got.HoldsAs(q.ID, q.Digest()) || got.HoldsAs(q.ID, "another") {
			tb.Errorf("%s: %s is held with another digest", name, q.ID)
		}
	}
}

func TestASnapshotBringsTheIndexBack(t *testing.T) {
	x, queries := mixed(t)
	again := empty()
	if err := again.Restore(bytes.NewReader(snapshot(t, x))); err != nil {
		t.Fatal(err)
	}
	if again.Holds("9") {
		t.Error("a bullet with too little left is believed to be so: a newer program may think otherwise")
	}
	hold(t, again, bulletOf("FR", "9", firstLands(t, slug(t, 1, 2, 0), 2)))
	alike(t, "restored", again, x, queries)
	if again.Changes() != 1 || x.Changes() != 0 {
		t.Errorf("%d and %d changes since the snapshot", again.Changes(), x.Changes())
	}
	again.Release("3")
	hold(t, again, caseOf("ES", "4", face(t, 6, 1)))
	x.Release("3")
	hold(t, x, caseOf("ES", "4", face(t, 6, 1)))
	alike(t, "restored and changed", again, x, queries)
	if again.Changes() != 3 {
		t.Errorf("%d changes, want 3", again.Changes())
	}
	if err := again.Restore(bytes.NewReader(snapshot(t, x))); !errors.Is(err, ErrSnapshot) {
		t.Errorf("over an index that is not empty: %v", err)
	}
	none := empty()
	if err := none.Restore(bytes.NewReader(snapshot(t, empty()))); err != nil || len(none.IDs()) != 0 {
		t.Errorf("of an empty index: %v", err)
	}
}

func TestTheDigestKnowsEveryFact(t *testing.T) {
	base := caseOf("PT", "1", face(t, 5, 1))
	seen := map[string]string{base.Digest(): "as it was"}
	for name, change := range map[string]func(e *Entry){
		"id": func(e *Entry) { e.ID = "2" }, "exhibit": func(e *Entry) { e.Exhibit = "x" }, "country": func(e *Entry) { e.Country = "ES" },
		"own": func(e *Entry) { e.Own = false }, "region": func(e *Entry) { e.ROI = "lea" }, "kind": func(e *Entry) { e.Kind = protocol.Bullet },
		"origin": func(e *Entry) { e.Origin = protocol.TestFire }, "algorithm": func(e *Entry) { e.Algorithm = "x" }, "calibre": func(e *Entry) { e.Class.Calibre = "x" },
		"pin": func(e *Entry) { e.Class.FiringPin = "x" }, "pattern": func(e *Entry) { e.Class.Pattern = "x" }, "bytes": func(e *Entry) { e.Bytes = e.Bytes[1:] },
	} {
		e := base
		change(&e)
		if other, twice := seen[e.Digest()]; twice {
			t.Errorf("another %s has the digest of the entry %s", name, other)
		}
		seen[e.Digest()] = name
	}
	if n := len(base.Digest()); n != 22 {
		t.Errorf("a digest of %d characters", n)
	}
}

// Whatever is held and released while a snapshot is being written: what is restored from it is right, or is not there.
func TestASnapshotWhileTheIndexChanges(t *testing.T) {
	x, queries := mixed(t)
	marks := [][]byte{face(t, 5, 2), face(t, 6, 1)}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("w%d-%d", w, i%7)
				if i%2 == 0 {
					x.Drop(id)
				}
				if err := x.Hold(caseOf("ES", id, marks[(i/7)%2])); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 8 {
		raw := snapshot(t, x)
		again := empty()
		if err := again.Restore(bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			if !again.HoldsAs(q.ID, q.Digest()) {
				t.Errorf("%s is not in the snapshot", q.ID)
			}
		}
		for _, id := range again.IDs() {
			if id[0] != 'w' {
				continue
			}
			a, b := caseOf("ES", id, marks[0]), caseOf("ES", id, marks[1])
			if !again.HoldsAs(id, a.Digest()) && !again.HoldsAs(id, b.Digest()) {
				t.Errorf("%s is held as neither of its forms", id)
			}
		}
		search(t, again, queries[0])
	}
	close(stop)
	wg.Wait()
}

// A signature that was withdrawn while the index was being filled does not come back from what was read before.
func TestReleasedWhileFilling(t *testing.T) {
	x, queries := mixed(t)
	raw := snapshot(t, x)
	again := empty()
	again.Release("3")
	again.Release("4")
	if err := again.Restore(bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	hold(t, again, caseOf("ES", "4", face(t, 6, 1)))
	if again.Holds("3") || again.Holds("4") {
		t.Error("a released signature came back")
	}
	again.Filled()
	x.Release("3")
	hold(t, again, bulletOf("FR", "9", firstLands(t, slug(t, 1, 2, 0), 2)))
	alike(t, "without what was released", again, x, queries)
	hold(t, again, caseOf("ES", "4", face(t, 6, 1)))
	if !again.Holds("4") {
		t.Error("after the filling nothing is remembered")
	}
}

func TestSnapshotFile(t *testing.T) {
	x, queries := mixed(t)
	path := filepath.Join(t.TempDir(), "index.sealed")
	if err := empty().RestoreFile(path, sealing); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrSnapshot) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), durable.Unfinished+"1"), []byte("left by a killed process"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one in place of the first
		if err := x.SaveFile(path, sealing, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("what is unfinished is still there: %v, %v", left, err)
	}
	again := empty()
	if err := again.RestoreFile(path, sealing); err != nil {
		t.Fatal(err)
	}
	hold(t, again, bulletOf("FR", "9", firstLands(t, slug(t, 1, 2, 0), 2)))
	alike(t, "from the file", again, x, queries)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queries {
		if bytes.Contains(good, []byte(q.Exhibit)) || bytes.Contains(good, q.Bytes[20:60]) {
			t.Error("the file can be read without its key")
		}
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, b := range map[string][]byte{"empty": nil, "cut": good[:len(good)-1], "half": good[:len(good)/2], "tampered": flipped, "longer": append(bytes.Clone(good), 1),
		"something else": bytes.Repeat([]byte("text"), 1000)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		again := empty()
		if err := again.RestoreFile(path, sealing); !errors.Is(err, ErrSnapshot) || len(again.IDs()) != 0 {
			t.Errorf("%s: %v, and %d signatures held", name, err, len(again.IDs()))
		}
		if err := again.Hold(queries[0]); err != nil {
			t.Errorf("%s: the index is of no use after it: %v", name, err)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := empty().RestoreFile(path, bytes.Repeat([]byte{4}, 32)); !errors.Is(err, ErrSnapshot) {
		t.Errorf("another node's: %v", err)
	}
	if err := x.SaveFile(filepath.Join(path, "x"), sealing, rand.Reader); err == nil {
		t.Error("written below a file")
	}
}

func TestForeignSnapshotsAreRefused(t *testing.T) {
	x, _ := mixed(t)
	good := snapshot(t, x)
	older := bytes.Clone(good)
	older[len(magic)] = snapshotVersion - 1
	many := append(bytes.Clone(good[:len(magic)+1]), 0, 0, 0, 0)
	for name, b := range map[string][]byte{"nothing": nil, "another file": []byte("PMSTRM1\nand so on"), "another version": older, "cut": good[:len(good)-9],
		"longer": append(bytes.Clone(good), 0), "many facts": append(bytes.Clone(good[:len(magic)+1]), 0xff, 0xff, 0xff, 0xff),
		"many signatures": binary.LittleEndian.AppendUint64(many, 1<<60)} {
		again := empty()
		if err := again.Restore(bytes.NewReader(b)); !errors.Is(err, ErrSnapshot) || len(again.IDs()) != 0 {
			t.Errorf("%s: %v, and %d signatures held", name, err, len(again.IDs()))
		}
	}
}

type broken struct{ left int }

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestAFailedSnapshotIsSaid(t *testing.T) {
	x, queries := mixed(t)
	whole, before := len(snapshot(t, x)), x.Changes()
	hold(t, x, caseOf("ES", "10", face(t, 6, 1)))
	for _, n := range []int{0, 100, whole / 2, whole - 1} {
		if err := x.Save(&broken{n}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	if x.Changes() != before+1 {
		t.Errorf("%d changes are counted, want %d: nothing was saved", x.Changes(), before+1)
	}
	search(t, x, queries[0])
}

func FuzzRestore(f *testing.F) {
	x := empty()
	f.Add(snapshot(f, x))
	hold(f, x, caseOf("PT", "1", face(f, 5, 1)), caseOf("ES", "2", face(f, 5, 2)), bulletOf("ES", "3", slug(f, 1, 1, 0)))
	good := snapshot(f, x)
	f.Add(good)
	f.Add(good[:200])
	f.Fuzz(func(t *testing.T, b []byte) {
		y := empty()
		if err := y.Restore(bytes.NewReader(b)); err != nil {
			if !errors.Is(err, ErrSnapshot) || len(y.IDs()) != 0 {
				t.Errorf("%v, and %d signatures are held", err, len(y.IDs()))
			}
			return
		}
		for _, id := range y.IDs() {
			y.Release(id)
		}
		if len(y.Counts()) != 0 {
			t.Errorf("something is left: %+v", y.Counts())
		}
	})
}
