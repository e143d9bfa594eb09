// Command tessera measures durable appends per second to a transparency log, Proofmark's store beside Tessera's POSIX driver: the same entries, the same
// disk, the same number of appends under way, by turns in one process. With -large it fills an audit log of so many entries and asks, proves and verifies
// it. It is a module of its own, so that the product does not depend on Tessera.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// appender takes an entry and returns when it is durable in the log.
type appender interface {
	append(ctx context.Context, n int) error
	close() error
}

// systems open an empty log in a folder for so many appends under way.
var systems = map[string]func(dir string, signer note.Signer, outstanding int) (appender, error){"tessera": openTessera, "proofmark": openProofmark}

// result is one measurement.
type result struct {
	perSecond float64
	allocs    float64 // per entry
	bytes     float64 // allocated per entry
}

func main() {
	log.SetFlags(0)
	var (
		length      = flag.Duration("for", 10*time.Second, "length of each measurement, after a fifth of it that does not count")
		outstanding = flag.String("outstanding", "1,64,1024", "numbers of appends under way")
		rounds      = flag.Int("rounds", 3, "how often each is measured, by turns; the median is shown")
		dir         = flag.String("dir", "", "folder on the disk to measure (default: the system's folder for temporary files)")
		large       = flag.Int64("large", 0, "instead: fill a log of so many entries, then ask, prove and verify it")
		keep        = flag.String("keep", "", "with -large: keep the log in this folder, and use the one that is there")
	)
	flag.Parse()
	var err error
	if *large > 0 {
		err = measureLarge(*dir, *keep, *large)
	} else {
		err = compare(*dir, *length, *outstanding, *rounds)
	}
	if err != nil {
		log.Fatalf("tessera: %v", err)
	}
}

func compare(dir string, length time.Duration, list string, rounds int) error {
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		found := map[string][]result{}
		for range rounds {
			for _, system := range []string{"tessera", "proofmark"} {
				r, err := measure(dir, system, n, length)
				if err != nil {
					return fmt.Errorf("%s, %d under way: %w", system, n, err)
				}
				found[system] = append(found[system], r)
			}
		}
		for _, system := range []string{"tessera", "proofmark"} {
			slices.SortFunc(found[system], func(a, b result) int { return int(a.perSecond - b.perSecond) })
			r := found[system][rounds/2]
			fmt.Printf("%-10s %5d under way  %9.0f appends/s  %6.0f allocations  %8.0f bytes per entry", system, n, r.perSecond, r.allocs, r.bytes)
			if system == "proofmark" {
				fmt.Printf("  %.2f × tessera", r.perSecond/found["tessera"][rounds/2].perSecond)
			}
			fmt.Println()
		}
	}
	return nil
}

func measure(parent, system string, outstanding int, length time.Duration) (r result, err error) {
	dir, err := os.MkdirTemp(parent, "log-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	skey, _, err := note.GenerateKey(rand.Reader, "bench.example/log")
	if err != nil {
		return r, err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return r, err
	}
	a, err := systems[system](filepath.Join(dir, system), signer, outstanding)
	if err != nil {
		return r, err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	counts := make([]int, outstanding)
	failed := make(chan error, outstanding)
	var running sync.WaitGroup
	var mu sync.Mutex
	over := false
	for w := range outstanding {
		running.Go(func() {
			for n := w; ; n += outstanding {
				if err := a.append(ctx, n); err != nil {
					failed <- err
					return
				}
				mu.Lock()
				counts[w]++
				done := over
				mu.Unlock()
				if done {
					return
				}
			}
		})
	}
	look := func() (n int, m runtime.MemStats, at time.Time) {
		runtime.ReadMemStats(&m)
		mu.Lock()
		defer mu.Unlock()
		for _, c := range counts {
			n += c
		}
		return n, m, time.Now()
	}
	wait := func(d time.Duration) error {
		select {
		case err := <-failed:
			return err
		case <-time.After(d):
			return nil
		}
	}
	if err = wait(length / 5); err != nil {
		return r, err
	}
	n0, m0, t0 := look()
	if err = wait(length); err != nil {
		return r, err
	}
	n1, m1, t1 := look()
	mu.Lock()
	over = true
	mu.Unlock()
	running.Wait()
	if err = a.close(); err != nil {
		return r, err
	}
	n := float64(max(1, n1-n0))
	return result{perSecond: n / t1.Sub(t0).Seconds(), allocs: float64(m1.Mallocs-m0.Mallocs) / n, bytes: float64(m1.TotalAlloc-m0.TotalAlloc) / n}, nil
}
