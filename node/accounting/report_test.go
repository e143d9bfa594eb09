package accounting

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/crypto/proof"
	"proofmark/protocol"
	"proofmark/store"
)

var (
	logFolder  = flag.String("log", "", "for BenchmarkReport: a log that `make bench-audit ARGS='-large N -keep DIR'` has left in this folder")
	logEntries = flag.Int64("entries", 100_000, "for BenchmarkReport: entries of the period; without -log the log is filled with so many")
)

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// openLog opens a log of a benchmark, whose key and signer are known to everybody, or a new one.
func openLog(tb testing.TB, dir string) *store.Store {
	tb.Helper()
	key := sha256.Sum256([]byte("a log of a benchmark"))
	skey, _, err := note.GenerateKey(bytes.NewReader(key[:]), "bench.example/log")
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := store.Open(store.Options{Dir: dir, Key: key[:], Now: time.Now, Random: mathrand.NewChaCha8(key), Signer: signer})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func fill(tb testing.TB, s *store.Store, entries int, entry func(n int) protocol.AuditEntry) {
	tb.Helper()
	for n := 0; n < entries; {
		err := s.Update(tb.Context(), func(tx *store.Tx) error {
			for end := min(n+500, entries); n < end; n++ {
				tx.Audit(entry(n))
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func disclosure(n int) protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: []string{"ES", "FR", "DE"}[n%3], Decision: "permit", Ground: "policy"},
		AuditBody:   protocol.AuditBody{Time: midnight.Add(time.Duration(n) * 3 * time.Minute), Actor: "ana", Kind: "signature", Object: fmt.Sprint("o", n/50), Event: "document sent"},
	}
}

func days(tb testing.TB, first, end int) ReportOn {
	tb.Helper()
	keys, err := crypto.GenerateKeys(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return ReportOn{Country: "PT", Since: midnight.AddDate(0, 0, first), Until: midnight.AddDate(0, 0, end), Made: midnight, Signer: keys.Signer(),
		Checkpoint: func(tx *store.Tx, _ int64) ([]byte, int64, error) {
			note, err := tx.Checkpoint()
			if err != nil {
				return nil, 0, err
			}
			size, _, err := store.ParseCheckpoint(note)
			return note, size, err
		}}
}

// A report counts the entries of its days, erased ones and those of a clock that was set back too, and has one neighbour on each side.
func TestReportCountsItsDays(t *testing.T) {
	s := openLog(t, t.TempDir())
	const entries = 3000 // 480 a day
	fill(t, s, entries, func(n int) protocol.AuditEntry {
		e := disclosure(n)
		if n == 1500 {
			e.Time = midnight // among those of the fourth day
		}
		return e
	})
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.EraseAudit(1000) }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to       int
		first, end     int64
		counted, other int64
	}{
		{2, 3, 959, 1441, 480, 2},
		{0, 7, 0, entries, entries, 0},
		{6, 7, 2879, entries, 120, 1},
		{3, 4, 1439, 1921, 479, 3},
		{0, 1, 0, 1502, 481, 1021}, // the one that was set back lies far behind
		{40, 50, 2999, entries, 0, 1},
	} {
		var leaves bytes.Buffer
		var made *Reported
		on := days(t, c.from, c.to)
		err := s.View(func(tx *store.Tx) (err error) { made, err = WriteReport(t.Context(), tx, on, &leaves); return err })
		if err != nil {
			t.Fatal(err)
		}
		r, err := proof.ReadReport(made.Report)
		if err != nil {
			t.Fatal(err)
		}
		var counted int64
		for _, k := range r.Counts {
			counted += k.Entries
		}
		if r.First != c.first || r.End != c.end || counted != c.counted || r.Outside != c.other || made.Entries != r.End-r.First {
			t.Errorf("days %d to %d: entries %d to %d, %d counted, %d of other days, want %+v", c.from, c.to, r.First, r.End, counted, r.Outside, c)
		}
		if n := lines(t, &leaves); n != made.Entries {
			t.Errorf("%d leaves were written, want %d", n, made.Entries)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	on := days(t, 0, 7)
	if err := s.View(func(tx *store.Tx) error { _, err := WriteReport(ctx, tx, on, io.Discard); return err }); err == nil {
		t.Error("a report was made although nobody waits for it")
	}
}

func lines(t *testing.T, compressed io.Reader) (n int64) {
	t.Helper()
	r, err := zstd.NewReader(compressed)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for in := bufio.NewScanner(r); in.Scan(); n++ {
		if !strings.Contains(in.Text(), ` {"action":"disclose"`) {
			t.Fatalf("a leaf is %q", in.Text())
		}
	}
	return n
}

// heap follows the largest heap while leaves are written.
type heap struct{ most uint64 }

func (h *heap) Write(b []byte) (int, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.most = max(h.most, m.HeapInuse)
	return len(b), nil
}

// BenchmarkReport makes a report on a period of -entries entries.
func BenchmarkReport(b *testing.B) {
	dir := b.TempDir()
	if *logFolder != "" {
		dir = filepath.Join(*logFolder, "store")
	}
	s := openLog(b, dir)
	step := 3 * time.Minute
	if *logFolder == "" {
		fill(b, s, int(*logEntries), disclosure)
	} else {
		step = 3 * time.Second // the entries of that log
	}
	on := days(b, 0, int(time.Duration(*logEntries)*step/(24*time.Hour))+1)
	var h heap
	var made *Reported
	for b.Loop() {
		err := s.View(func(tx *store.Tx) (err error) { made, err = WriteReport(b.Context(), tx, on, &h); return err })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(made.Entries), "entries")
	b.ReportMetric(float64(made.Entries)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(h.most)/(1<<20), "MB-of-heap")
}
