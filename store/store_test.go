package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/protocol"
)

const (
	testOrigin  = "PT.proofmark.example/audit"
	testKeyPair = "PROOFMARK_STORE_TEST_KEYS"
)

var testKey = bytes.Repeat([]byte{7}, 32)

// testKeys is one key pair for all tests, and for the processes that they start and hand it to.
var testKeys = sync.OnceValues(func() (note.Signer, note.Verifier) {
	skey, vkey, ok := strings.Cut(os.Getenv(testKeyPair), " ")
	if !ok {
		var err error
		if skey, vkey, err = note.GenerateKey(rand.Reader, testOrigin); err != nil {
			panic(err)
		}
		os.Setenv(testKeyPair, skey+" "+vkey)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		panic(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		panic(err)
	}
	return signer, verifier
})

var testStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testOptions(dir string) Options {
	signer, _ := testKeys()
	return Options{
		Dir: dir, Key: testKey, Now: func() time.Time { return testStart }, Random: rand.Reader, Signer: signer,
		MemTable: 8 << 20, Cache: 4 << 20,
	}
}

func open(t testing.TB, opt Options) *Store {
	t.Helper()
	s, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openTest(t testing.TB) *Store {
	t.Helper()
	return open(t, testOptions(t.TempDir()))
}

func update(t testing.TB, s *Store, act func(*Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), act); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s *Store, act func(*Tx) error) {
	t.Helper()
	if err := s.View(act); err != nil {
		t.Fatal(err)
	}
}

// wantErr checks an error's kind and that its sentence holds what a person needs.
func wantErr(t testing.TB, err, kind error, says ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want %v", err, kind)
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func entry(event, object string) protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActAlter, Counterpart: "ES", Decision: "permit"},
		AuditBody:   protocol.AuditBody{Actor: "ana", Kind: "exhibit", Object: object, Event: event},
	}
}

func scanKeys(tx *Tx, prefix, after string) (keys []string) {
	for key := range tx.Scan(prefix, after) {
		keys = append(keys, key)
	}
	return keys
}

func TestRawRecords(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testOptions(dir))
	update(t, s, func(tx *Tx) error {
		buffer := []byte("one")
		err := errors.Join(tx.Put("a/1", buffer), tx.Put("a/2", []byte("two")), tx.Put("a/3", []byte("three")), tx.Put("b", nil))
		copy(buffer, "XXX")
		return err
	})
	check := func(tx *Tx) error {
		for key, want := range map[string]string{"a/1": "one", "a/2": "two", "b": ""} {
			if got, err := tx.Get(key); err != nil || string(got) != want {
				t.Errorf("Get %s = %q, %v, want %q", key, got, err, want)
			}
		}
		if _, err := tx.Get("a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get a: %v", err)
		}
		if got := scanKeys(tx, "a/", ""); !slices.Equal(got, []string{"a/1", "a/2", "a/3"}) {
			t.Errorf("scan a/: %v", got)
		}
		if got := scanKeys(tx, "a/", "a/1"); !slices.Equal(got, []string{"a/2", "a/3"}) {
			t.Errorf("scan a/ after a/1: %v", got)
		}
		if got := scanKeys(tx, "", ""); len(got) != 4 {
			t.Errorf("scan all: %v", got)
		}
		return nil
	}
	view(t, s, check)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, testOptions(dir))
	view(t, s, check)
}

func TestScanSeesOwnWrites(t *testing.T) {
	s := openTest(t)
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.Put("k1", []byte("old")), tx.Put("k3", []byte("old")), tx.Put("k5", []byte("old")))
	})
	update(t, s, func(tx *Tx) error {
		if err := errors.Join(tx.Put("k2", []byte("new")), tx.Delete("k3"), tx.Put("k5", []byte("new")), tx.Put("l", nil)); err != nil {
			return err
		}
		var got []string
		for key, value := range tx.Scan("k", "") {
			got = append(got, key+"="+string(value))
			if key == "k2" { // changes made while the iteration is under way
				if err := errors.Join(tx.Put("k4", []byte("late")), tx.Put("k0", []byte("behind"))); err != nil {
					return err
				}
			}
		}
		if want := []string{"k1=old", "k2=new", "k4=late", "k5=new"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		for key := range tx.Scan("k", "") {
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		if left := scanKeys(tx, "k", ""); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
		return nil
	})
}

func TestViewIsReadOnlySnapshot(t *testing.T) {
	s := openTest(t)
	for name, act := range map[string]func(*Tx) error{
		"Put":     func(tx *Tx) error { return tx.Put("k", nil) },
		"Delete":  func(tx *Tx) error { return tx.Delete("k") },
		"Audit":   func(tx *Tx) error { tx.Audit(entry("e", "o")); return nil },
		"PutBlob": func(tx *Tx) error { _, err := tx.PutBlob([]byte("b")); return err },
		"Enqueue": func(tx *Tx) error { return tx.Enqueue("ES", "bulk", "d") },
		"Once": func(tx *Tx) error {
			_, _, err := tx.Once("ana", "k", nil, func() ([]byte, error) { t.Error("run in a view"); return nil, nil })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { wantErr(t, s.View(act), ErrReadOnly) })
	}
	view(t, s, func(tx *Tx) error {
		update(t, s, func(tx *Tx) error { return tx.Put("later", nil) })
		if _, err := tx.Get("later"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a view sees what was committed after it began: %v", err)
		}
		return nil
	})
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testOptions(dir))
	_, err := Open(testOptions(dir))
	wantErr(t, err, ErrLocked, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	opt := testOptions(dir)
	opt.Key = bytes.Repeat([]byte{8}, 32)
	_, err = Open(opt)
	wantErr(t, err, ErrWrongKey, dir)

	skey, _, _ := note.GenerateKey(rand.Reader, "ES.proofmark.example/audit")
	opt = testOptions(dir)
	opt.Signer, _ = note.NewSigner(skey)
	_, err = Open(opt)
	wantErr(t, err, ErrOrigin, testOrigin, "ES.proofmark.example")

	for name, spoil := range map[string]func(*Options){
		"no key": func(o *Options) { o.Key = nil }, "short key": func(o *Options) { o.Key = o.Key[:16] },
		"no dir": func(o *Options) { o.Dir = "" }, "no clock": func(o *Options) { o.Now = nil },
		"no signer": func(o *Options) { o.Signer = nil }, "no randomness": func(o *Options) { o.Random = nil },
		"tiny memtable": func(o *Options) { o.MemTable = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			opt := testOptions(t.TempDir())
			spoil(&opt)
			if s, err := Open(opt); err == nil {
				s.Close()
				t.Error("opened")
			}
		})
	}
	s = open(t, testOptions(dir)) // and after all that, the right options still work
	if n, err := s.AuditSize(); n != 0 || err != nil {
		t.Errorf("audit size %d, %v", n, err)
	}
}

func TestNothingReadableOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testOptions(dir))
	canary := []byte("CANARY-serial-AB12345")
	large := bytes.Repeat(canary, 4000) // goes to the value log
	update(t, s, func(tx *Tx) error {
		_, err := tx.PutBlob(large)
		tx.Audit(entry(string(canary), string(canary)))
		return errors.Join(err, tx.Put(string(canary), canary), things.Put(tx, string(canary), &thing{Name: string(canary)}))
	})
	search := func() {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) < 4 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, canary) {
				t.Errorf("%s holds plain text", filepath.Base(file))
			}
		}
	}
	search()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	search()
}

func TestDiskReserve(t *testing.T) {
	opt := testOptions(t.TempDir())
	opt.Reserve = 100 << 20
	s := open(t, opt)
	free := uint64(math.MaxUint64)
	s.free = func(string) (uint64, error) { return free, nil }
	update(t, s, func(tx *Tx) error { return tx.Put("k", []byte("v")) })

	free = 100<<20 - 1
	err := s.Update(context.Background(), func(tx *Tx) error { t.Error("run"); return nil })
	wantErr(t, err, ErrDiskReserve, opt.Dir, "99 MiB")
	view(t, s, func(tx *Tx) error { _, err := tx.Get("k"); return err })

	// Small acts go on until half of the reserve is used up.
	small := func(n int) error {
		return s.UpdateSmall(context.Background(), func(tx *Tx) error { return tx.Put("small", make([]byte, n)) })
	}
	for q, want := range map[struct {
		free uint64
		n    int
	}]error{{100<<20 - 1, 100}: nil, {51 << 20, 100}: nil, {50<<20 - 1, 100}: ErrDiskReserve, {50<<20 + 99, 100}: ErrDiskReserve, {51 << 20, smallAct + 1}: ErrDiskReserve, {102 << 20, smallAct + 1}: nil} {
		free = q.free
		if err := small(q.n); !errors.Is(err, want) {
			t.Errorf("%d bytes with %d free: %v, want %v", q.n, q.free, err, want)
		}
	}

	free = 101 << 20 // enough for a small act, not for a large one
	update(t, s, func(tx *Tx) error { return tx.Put("k", []byte("v2")) })
	err = s.Update(context.Background(), func(tx *Tx) error { _, err := tx.PutBlob(make([]byte, 2<<20)); return err })
	wantErr(t, err, ErrDiskReserve)

	free = 1 << 40
	update(t, s, func(tx *Tx) error { _, err := tx.PutBlob(make([]byte, 2<<20)); return err })
	real, err := FreeBytes(opt.Dir)
	if err != nil || real == 0 {
		t.Errorf("free space of a real folder: %d, %v", real, err)
	}
}

func TestBlobs(t *testing.T) {
	s := openTest(t)
	small, large := []byte("small"), bytes.Repeat([]byte("large"), 100_000)
	var hashes []string
	update(t, s, func(tx *Tx) error {
		for _, b := range [][]byte{small, large, large, {}} {
			h, err := tx.PutBlob(b)
			if err != nil {
				return err
			}
			hashes = append(hashes, h)
		}
		return nil
	})
	if hashes[1] != hashes[2] || hashes[0] == hashes[1] {
		t.Fatal(hashes)
	}
	view(t, s, func(tx *Tx) error {
		for i, want := range [][]byte{small, large, large, {}} {
			if got, err := tx.Blob(hashes[i]); err != nil || !bytes.Equal(got, want) {
				t.Errorf("blob %d: %d bytes, %v", i, len(got), err)
			}
		}
		return nil
	})
	present := func(want bool) {
		t.Helper()
		view(t, s, func(tx *Tx) error {
			has, err := tx.HasBlob(hashes[1])
			_, err2 := tx.Blob(hashes[1])
			if err != nil || has != want || (err2 == nil) != want || (!want && !errors.Is(err2, ErrNotFound)) {
				t.Errorf("HasBlob %v %v, Blob %v, want %v", has, err, err2, want)
			}
			return nil
		})
	}
	drop := func(tx *Tx) error { return tx.DeleteBlob(hashes[1]) }
	update(t, s, drop)
	present(true) // the other reference holds it
	update(t, s, drop)
	present(false)
	wantErr(t, s.Update(context.Background(), drop), ErrNotFound, hashes[1])

	update(t, s, func(tx *Tx) error { return tx.put(spaceBlob+hashes[0], []byte("other")) })
	wantErr(t, s.View(func(tx *Tx) error { _, err := tx.Blob(hashes[0]); return err }), ErrCorrupt, hashes[0])
}

func TestOnce(t *testing.T) {
	now := testStart
	opt := testOptions(t.TempDir())
	opt.Now = func() time.Time { return now }
	s := open(t, opt)
	ran := 0
	call := func(actor, key, request string) (result string, repeated bool, err error) {
		err = s.Update(context.Background(), func(tx *Tx) error {
			b, rep, err := tx.Once(actor, key, []byte(request), func() ([]byte, error) {
				if request == "bad" {
					return nil, errors.New("refused")
				}
				ran++
				return fmt.Appendf(nil, "result %d", ran), nil
			})
			result, repeated = string(b), rep
			return err
		})
		return result, repeated, err
	}
	type step struct {
		actor, key, request, result string
		repeated                    bool
		err                         string
	}
	for i, st := range []step{
		{"ana", "k1", "a", "result 1", false, ""},
		{"ana", "k1", "a", "result 1", true, ""},
		{"rui", "k1", "a", "result 2", false, ""}, // keys are per actor
		{"ana", "k1", "b", "", false, ErrKeyReused.Error()},
		{"ana", "", "a", "result 3", false, ""},
		{"ana", "", "a", "result 4", false, ""},
		{"ana", "k2", "bad", "", false, "refused"},
		{"ana", "k2", "a", "result 5", false, ""}, // a failed run keeps nothing
		{"ana\x00", "k1", "z", "result 6", false, ""},
		{"ana", strings.Repeat("k", 2000), "a", "", false, ErrTooLarge.Error()},
	} {
		result, repeated, err := call(st.actor, st.key, st.request)
		if result != st.result || repeated != st.repeated || (err == nil) != (st.err == "") || err != nil && !strings.Contains(err.Error(), st.err) {
			t.Errorf("step %d: %q %v %v, want %+v", i, result, repeated, err, st)
		}
	}

	now = now.Add(OnceKept - time.Hour)
	if _, _, err := call("ana", "young", "a"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	if err := s.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, repeated, _ := call("ana", "k1", "something else"); repeated {
		t.Error("the old result is still there")
	}
	if _, repeated, _ := call("ana", "young", "a"); !repeated {
		t.Error("the young result was swept")
	}
	view(t, s, func(tx *Tx) error {
		n := 0
		for range tx.scan(spaceOnceTime, "", false) {
			n++
		}
		if n != 2 {
			t.Errorf("%d time entries are left, want 2", n)
		}
		return nil
	})
}

func TestReclaim(t *testing.T) {
	opt := testOptions(t.TempDir())
	opt.MemTable = 1 << 20
	s := open(t, opt)
	for round := range 4 { // tables that are flushed, with most of what is in them deleted again
		update(t, s, func(tx *Tx) error {
			for i := range 100 {
				key := fmt.Sprintf("%d/%d", round, i)
				if err := tx.Put(key, make([]byte, 1000)); err != nil {
					return err
				}
			}
			return nil
		})
		update(t, s, func(tx *Tx) error {
			_, err := tx.PutBlob(bytes.Repeat([]byte{byte(round)}, 1<<20))
			for i := range 99 {
				err = errors.Join(err, tx.Delete(fmt.Sprintf("%d/%d", round, i)))
			}
			return err
		})
	}
	if err := s.Reclaim(background); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(tx *Tx) error {
		if got := scanKeys(tx, "", ""); !slices.Equal(got, []string{"0/99", "1/99", "2/99", "3/99"}) {
			t.Errorf("left: %v", got)
		}
		return nil
	})
	ctx, cancel := context.WithCancel(background)
	cancel()
	wantErr(t, s.Reclaim(ctx), context.Canceled)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, s.Reclaim(background), ErrClosed)
}
