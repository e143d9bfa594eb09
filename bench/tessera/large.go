package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/store"
)

// largeKey encrypts a log that holds nothing but made-up entries, and seeds the key that signs it, so that a kept folder can be opened again.
var largeKey = sha256.Sum256([]byte("a log of a benchmark"))

// folder is the database's.
var folder string

const (
	since  = 100_000 // entries after the checkpoint that is saved
	acts   = 500     // entries of one act
	asks   = 300     // questions of each kind
	atOnce = 4       // acts under way
)

func measureLarge(parent, keep string, size int64) (err error) {
	dir := keep
	if keep == "" {
		if dir, err = os.MkdirTemp(parent, "large-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	skey, vkey, err := note.GenerateKey(bytes.NewReader(largeKey[:]), "bench.example/log")
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	folder = filepath.Join(dir, "store")
	opt := store.Options{Dir: folder, Key: largeKey[:], Now: time.Now, Random: mathrand.NewChaCha8(largeKey), Signer: signer}
	saved, err := fill(opt, filepath.Join(dir, "checkpoint"), size)
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	s, err := store.Open(opt)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := report("compact, as a node does each day", func() error { return s.Reclaim(context.Background()) }); err != nil {
		return err
	}
	debug.FreeOSMemory() // what the filling needed
	if err := askLarge(s, size); err != nil {
		return err
	}
	if err := report(fmt.Sprintf("verify the last %d entries", since), func() error {
		_, err := s.VerifyAuditSince(context.Background(), verifier, saved, nil)
		return err
	}); err != nil {
		return err
	}
	return report("verify everything", func() error {
		_, err := s.VerifyAudit(context.Background(), verifier, func(done, total int64) {
			if done%(1<<18) == 0 || done == total {
				fmt.Fprintf(os.Stderr, "\r%d of %d entries", done, total)
			}
		})
		return err
	})
}

// fill appends what is missing, through the acts by which every entry comes into the log, and returns the checkpoint of `since` entries before the end.
func fill(opt store.Options, path string, size int64) ([]byte, error) {
	s, err := store.Open(opt)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	begun := time.Now()
	have, err := s.AuditSize()
	if err != nil {
		return nil, err
	}
	for _, to := range []int64{size - since, size} {
		var next, failed atomic.Int64
		next.Store(have)
		var running sync.WaitGroup
		var firstErr error
		var once sync.Once
		for range atOnce {
			running.Go(func() {
				for failed.Load() == 0 {
					from := next.Add(acts) - acts
					if from >= to {
						return
					}
					err := s.Update(context.Background(), func(tx *store.Tx) error {
						for n := from; n < min(from+acts, to); n++ {
							tx.Audit(act(int(n)))
						}
						return nil
					})
					if err != nil {
						failed.Store(1)
						once.Do(func() { firstErr = err })
					}
					if from%(acts*200) == 0 {
						fmt.Fprintf(os.Stderr, "\r%d entries, %v", from, time.Since(begun).Round(time.Second))
					}
				}
			})
		}
		running.Wait()
		if firstErr != nil {
			return nil, firstErr
		}
		if have >= to {
			continue
		}
		if to == size-since {
			note, err := s.Checkpoint()
			if err != nil {
				return nil, err
			}
			if err := os.WriteFile(path, note, 0o600); err != nil {
				return nil, err
			}
		}
		fmt.Printf("filled from %d to %d entries in %v, %.0f entries/s\n", have, to, time.Since(begun).Round(time.Second), float64(to-have)/time.Since(begun).Seconds())
		have = to
	}
	var disk int64
	err = filepath.WalkDir(opt.Dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // compacted meanwhile
		}
		if err == nil {
			disk += info.Sys().(*syscall.Stat_t).Blocks * 512 // what is taken: logs are files of full size with little in them
		}
		return err
	})
	fmt.Printf("%d MB on disk, %d bytes for each entry\n", disk>>20, disk/size)
	note, rerr := os.ReadFile(path)
	if err == nil {
		err = rerr
	}
	return note, err
}

func askLarge(s *store.Store, size int64) error {
	r := mathrand.New(mathrand.NewPCG(1, 2))
	object := func() string { return objectOf(r.IntN(int(size / 50))) }
	day := func() time.Time { return begin.Add(time.Duration(r.Int64N(size)) * 3 * time.Second) }
	for _, kind := range []struct {
		name string
		q    func() store.AuditQuery
	}{
		{"query: object", func() store.AuditQuery { return store.AuditQuery{Object: object()} }},
		{"query: object and country", func() store.AuditQuery { return store.AuditQuery{Object: object(), Counterpart: "FR"} }},
		{"query: person, 50 entries", func() store.AuditQuery {
			return store.AuditQuery{Actor: fmt.Sprintf("person%02d", r.IntN(40)), Limit: 50}
		}},
		{"query: an hour somewhere, all of it", func() store.AuditQuery {
			at := day()
			return store.AuditQuery{Since: at, Until: at.Add(time.Hour), Limit: 1200}
		}},
		{"query: an hour somewhere, page of 50", func() store.AuditQuery {
			at := day()
			return store.AuditQuery{Since: at, Until: at.Add(time.Hour), Limit: 50}
		}},
		{"query: policy and country, page of 50", func() store.AuditQuery {
			return store.AuditQuery{Policy: fmt.Sprintf("signatures-to-members-%d", r.IntN(20)), Counterpart: countries[r.IntN(12)], Limit: 50}
		}},
		{"query: rare purpose, all", func() store.AuditQuery { return store.AuditQuery{Purpose: "humanitarian identification", Limit: 50} }},
		{"query: handling code, page of 50", func() store.AuditQuery { return store.AuditQuery{Handling: "H1", Limit: 50} }},
		{"query: a code that nobody used", func() store.AuditQuery { return store.AuditQuery{Handling: "H3", Purpose: "trace", Counterpart: "FR"} }},
		{"query: person and country that never meet", func() store.AuditQuery {
			return store.AuditQuery{Actor: "person07", Counterpart: countries[0]} // one page goes through a part of the indexes only
		}},
		{"query: text, one look of 2,048 entries", func() store.AuditQuery { return store.AuditQuery{Text: "no such words"} }},
	} {
		times := make([]time.Duration, asks)
		found, before := 0, processor()
		forgetPeak()
		for i := range times {
			q, at := kind.q(), time.Now()
			page, err := s.FindAudit(context.Background(), q)
			if err != nil {
				return err
			}
			times[i] = time.Since(at)
			found += len(page.Records)
		}
		show(kind.name, times, fmt.Sprintf("processor %6.2f ms   %.1f entries found", ms(processor()-before)/asks, float64(found)/asks))
	}
	times, before := make([]time.Duration, asks), processor()
	forgetPeak()
	for i := range times {
		n, at := r.Int64N(size), time.Now()
		if err := prove(s, n); err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		times[i] = time.Since(at)
	}
	show("prove an entry and check the proof", times, fmt.Sprintf("processor %6.2f ms", ms(processor()-before)/asks))
	return nil
}

func prove(s *store.Store, n int64) error {
	return s.View(func(tx *store.Tx) error {
		signed, err := tx.Checkpoint()
		if err != nil {
			return err
		}
		size, root, err := store.ParseCheckpoint(signed)
		if err != nil {
			return err
		}
		leaf, err := tx.AuditLeaf(n)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveRecord(size, n, tx.AuditHashes())
		if err != nil {
			return err
		}
		return tlog.CheckRecord(proof, size, root, n, tlog.RecordHash(leaf.Content()))
	})
}

func show(name string, times []time.Duration, more string) {
	slices.Sort(times)
	fmt.Printf("%-42s p50 %8.2f ms   p99 %8.2f ms   %s\n", name, ms(times[len(times)/2]), ms(times[len(times)*99/100]), strings.TrimSpace(more+"   memory "+memory()))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func report(name string, fn func() error) error {
	forgetPeak()
	at, before := time.Now(), processor()
	if err := fn(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Printf("%-42s %v   processor %v   memory %s\n", name, time.Since(at).Round(time.Millisecond), (processor() - before).Round(time.Millisecond), memory())
	return nil
}

// processor is the processor time of this process so far: unlike time by the clock it hardly depends on what else the machine does.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// forgetPeak begins the peak that memory tells anew, see proc_pid_clear_refs(5), and lets go of what was mapped before, as the node does when it has nothing
// to do.
func forgetPeak() {
	if err := store.LetGoOfTables(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// memory is what this process holds itself, and the most that it held since forgetPeak together with the pages of the database's files that the system maps
// for it, from proc_pid_status(5).
func memory() string {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err.Error()
	}
	kb := func(name string) (n int) {
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, name+":"); ok {
				_, _ = fmt.Sscan(rest, &n) // 0 where it is not told
			}
		}
		return n
	}
	return fmt.Sprintf("%d MB, at most %d MB with files", kb("RssAnon")>>10, kb("VmHWM")>>10)
}
