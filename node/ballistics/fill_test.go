package ballistics

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/x3p"
	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// bench is a laboratory in a folder that outlives it, to be opened again and again.
type bench struct {
	*Service
	store *store.Store
	log   *bytes.Buffer
	mu    sync.Mutex
}

func (b *bench) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

// said is what was logged so far.
func (b *bench) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

func openBench(tb testing.TB, dir string) *bench {
	tb.Helper()
	keys, err := crypto.GenerateKeys(mathrand.NewChaCha8([32]byte{1})) // the same at each start
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := keys.LogSigner("proofmark.PT")
	if err != nil {
		tb.Fatal(err)
	}
	b := &bench{log: new(bytes.Buffer)}
	log := slog.New(slog.NewTextHandler(b, nil))
	b.store, err = store.Open(store.Options{Dir: filepath.Join(dir, "store"), Key: bytes.Repeat([]byte{7}, 32), Now: time.Now, Random: rand.Reader, Signer: signer})
	if err != nil {
		tb.Fatal(err)
	}
	engine := func() *policy.Engine { return policy.Default() }
	d := &desk.Desk{Store: b.store, Policy: engine, Country: "PT", Log: log}
	out := dispatch.New(dispatch.Options{Country: "PT", Store: b.store, Signer: keys.Signer(), Policy: engine, Roster: func() *roster.Roster { return nil },
		Now: time.Now, Random: rand.Reader, Log: log})
	b.Service = New(d, out, time.Now)
	b.KeepSnapshot(Snapshot{Path: filepath.Join(dir, "index.sealed"), Key: bytes.Repeat([]byte{9}, 32), Random: rand.Reader})
	return b
}

func (b *bench) close(tb testing.TB) {
	tb.Helper()
	if err := b.store.Close(); err != nil {
		tb.Fatal(err)
	}
}

func (b *bench) load(tb testing.TB) {
	tb.Helper()
	if err := b.Load(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

// printed keeps the signatures of some generated breech faces.
var printed = sync.OnceValue(func() [][]byte {
	out := make([][]byte, 4)
	for i := range out {
		scan, err := x3p.Decode(shotOf(uint64(i+1), 1), x3p.Options{Limits: x3p.DefaultLimits()})
		if err != nil {
			panic(err)
		}
		s, _, err := correlate.Encode(scan, correlate.BreechFace)
		if err != nil {
			panic(err)
		}
		if out[i], err = s.MarshalBinary(); err != nil {
			panic(err)
		}
	}
	return out
})

// foreign is signature i of a bench, of Spain, without the job that would compare it.
func foreign(i int) *Signature {
	marks := printed()
	return &Signature{ID: fmt.Sprintf("0198f2a4-0000-7000-8000-%010x4553", i), Country: "ES", Exhibit: fmt.Sprintf("0198f2a4-0000-7000-9000-%012x", i), ROI: correlate.BreechFace,
		Kind: protocol.CartridgeCase, Origin: protocol.Evidence, Class: classOf("9x19", "circular", "unknown"), Algorithm: correlate.Algorithm, Quality: 0.9,
		Bytes: marks[i%len(marks)], Expires: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (b *bench) put(tb testing.TB, from, to int) {
	tb.Helper()
	for first := from; first < to; first += 400 {
		err := b.store.Update(context.Background(), func(tx *store.Tx) error {
			for i := first; i < min(first+400, to); i++ {
				s := foreign(i)
				if err := signatures.Put(tx, s.ID, s); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func (b *bench) withdraw(tb testing.TB, i int) { b.withdrawID(tb, foreign(i).ID) }

// withdrawID does what the withdrawal of a signature of ES does.
func (b *bench) withdrawID(tb testing.TB, id string) {
	tb.Helper()
	err := b.store.Update(context.Background(), func(tx *store.Tx) error {
		_, err := b.endSignature(tx, dispatch.Ending{ID: id, Type: protocol.TypeSignature, Issuer: "ES", Cause: dispatch.CauseWithdrawn})
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// asStored checks that the index holds what the database does, and nothing else.
func (b *bench) asStored(tb testing.TB, want int) {
	tb.Helper()
	var ids []string
	err := b.store.View(func(tx *store.Tx) error {
		for id, s := range signatures.All(tx) {
			e := entryOf(s)
			if s.Bytes == nil {
				continue
			}
			if ids = append(ids, id); !b.index.HoldsAs(id, e.Digest()) {
				tb.Errorf("signature %s is not held as it is stored", id)
			}
		}
		return tx.Err()
	})
	held := b.index.IDs()
	slices.Sort(held)
	if err != nil || !slices.Equal(held, ids) || want >= 0 && len(held) != want {
		tb.Errorf("%d signatures are held and %d stored, want %d; %v", len(held), len(ids), want, err)
	}
	if f := b.Filling(); !f.Ready || f.Held != int64(len(ids)) {
		tb.Errorf("filling is told as %+v", f)
	}
}

func TestARestartBeginsWithTheSnapshot(t *testing.T) {
	dir := t.TempDir()
	b := openBench(t, dir)
	b.put(t, 0, 30)
	if f := b.Filling(); f.Ready {
		t.Errorf("before the start: %+v", f)
	}
	b.load(t)
	b.asStored(t, 30)
	b.withdraw(t, 3)
	b.asStored(t, 29)
	b.saveIndex()
	// After the snapshot: two come, one goes, one changes.
	b.put(t, 30, 32)
	b.withdraw(t, 4)
	err := b.store.Update(t.Context(), func(tx *store.Tx) error {
		s := foreign(5)
		s.Class.Calibre = ".45 ACP"
		return signatures.Put(tx, s.ID, s)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.close(t)

	b = openBench(t, dir)
	b.load(t)
	b.asStored(t, 30)
	if said := b.said(); !strings.Contains(said, `from="its snapshot" signatures=30 restored=29 fetched=3`) {
		t.Errorf("the log says: %s", said)
	}
	b.close(t)
}

func TestABadSnapshotIsNoticedAndBuiltAgain(t *testing.T) {
	dir := t.TempDir()
	b := openBench(t, dir)
	b.put(t, 0, 5)
	b.load(t)
	b.saveIndex()
	b.close(t)
	path := filepath.Join(dir, "index.sealed")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tampered := bytes.Clone(good)
	tampered[len(good)-30] ^= 4
	for name, content := range map[string][]byte{"tampered": tampered, "truncated": good[:len(good)/2], "empty": {}, "foreign": bytes.Repeat([]byte("?"), 500)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		b := openBench(t, dir)
		b.load(t)
		b.asStored(t, 5)
		if said := b.said(); strings.Count(said, "the index's snapshot is not used") != 1 || !strings.Contains(said, `from="the database"`) {
			t.Errorf("%s: the log says: %s", name, said)
		}
		b.close(t)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	b = openBench(t, dir)
	b.load(t)
	b.asStored(t, 5)
	if strings.Contains(b.said(), "not used") {
		t.Errorf("a snapshot that is not there is complained of: %s", b.said())
	}
	b.close(t)
}

// A snapshot that is older than what it was taken for, or of a database that was restored from a backup, is corrected.
func TestAnOldSnapshotIsNotTrustedOverTheDatabase(t *testing.T) {
	dir := t.TempDir()
	b := openBench(t, dir)
	b.put(t, 0, 12)
	b.load(t)
	b.saveIndex()
	for i := range 10 {
		b.withdraw(t, i)
	}
	b.close(t)
	b = openBench(t, dir)
	b.load(t)
	b.asStored(t, 2)
	b.close(t)
}

// A data folder of an earlier program has no index of digests: it gets one.
func TestADatabaseWithoutDigestsIsIndexed(t *testing.T) {
	dir := t.TempDir()
	b := openBench(t, dir)
	earlier := store.NewCollection("signature", store.Index[Signature]{Name: "exhibit", Keys: func(s *Signature) []string { return []string{s.Exhibit} }})
	err := b.store.Update(t.Context(), func(tx *store.Tx) error {
		for i := range 3 {
			s := foreign(i)
			if i == 2 {
				s.Bytes = nil
			}
			if err := earlier.Put(tx, s.ID, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.load(t)
	b.asStored(t, 2)
	b.close(t)
}

func TestASignatureThatCannotBeReadKeepsNobodyFromStarting(t *testing.T) {
	b := openBench(t, t.TempDir())
	b.put(t, 0, 2)
	err := b.store.Update(t.Context(), func(tx *store.Tx) error {
		s := foreign(2)
		s.Bytes = []byte("damaged")
		return signatures.Put(tx, s.ID, s)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.load(t)
	if held := b.index.IDs(); len(held) != 2 || !strings.Contains(b.said(), "cannot be read and is not compared") {
		t.Errorf("%v are held; the log says: %s", held, b.said())
	}
	b.close(t)
}

func TestFillingCanBeCancelled(t *testing.T) {
	b := openBench(t, t.TempDir())
	b.put(t, 0, 3)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := b.fetch(ctx, []string{foreign(0).ID, foreign(1).ID}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := b.Run(ctx); err != nil {
		t.Errorf("a stop while the index is being filled is an error: %v", err)
	}
	b.close(t)
}

func TestSnapshotsAreDueByChangesAndTime(t *testing.T) {
	for _, c := range []struct {
		held, changes int
		since         time.Duration
		want          bool
	}{
		{100, 0, 100 * time.Hour, false},
		{100, 1, 14 * time.Minute, false},
		{100, 1, 15 * time.Minute, true},
		{1_000_000, 999, 15 * time.Minute, false},
		{1_000_000, 1, 12 * time.Hour, true},
		{1_000_000, 1000, 15 * time.Minute, true},
		{1_000_000, 249_999, time.Minute, false},
		{1_000_000, 250_000, time.Minute, true},
		{10_000, 9_999, time.Minute, false},
		{10_000, 10_000, 0, true},
	} {
		if got := due(c.held, c.changes, c.since); got != c.want {
			t.Errorf("%d held, %d changes, %v: due %v", c.held, c.changes, c.since, got)
		}
	}
}

// A person reads how far the index is, and that nothing is correlated before it is whole.
func TestFillingIsSaid(t *testing.T) {
	for _, c := range []struct {
		filling Filling
		want    string
	}{
		{Filling{Ready: true, Held: 12, Of: 12}, "whole, 12 signatures"},
		{Filling{Held: 250, Of: 1000}, "being filled, 250 of 1000 signatures (25 %); nothing is correlated until it is whole"},
		{Filling{}, "being read, 0 signatures so far; nothing is correlated until it is whole"},
	} {
		if got := c.filling.String(); got != c.want {
			t.Errorf("%+v is said as %q, want %q", c.filling, got, c.want)
		}
	}
}
