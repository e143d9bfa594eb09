package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// result is what one measurement gives; times in milliseconds, usage of both processes together, per delivery.
type result struct {
	PerSecond, P50, P99, CPU, Allocs, Bytes, Commits float64
}

// usage is what a process has used since it began.
type usage struct {
	CPU           time.Duration
	Allocs, Bytes uint64
	Commits       int64 // of Proofmark's stores, each synced
}

// commits counts those of this process's store; 0 without one.
var commits = func() int64 { return 0 }

func ownUsage() (u usage) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Allocs, u.Bytes, u.Commits = m.Mallocs, m.TotalAlloc, commits()
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return u
}

func (u usage) since(before usage) usage {
	return usage{u.CPU - before.CPU, u.Allocs - before.Allocs, u.Bytes - before.Bytes, u.Commits - before.Commits}
}

// system is an end that sends: deliver returns when the message's receipt is durable here.
type system interface {
	deliver(ctx context.Context) error
	close() error
}

func send(r run) error {
	var (
		s   system
		p   *receiver
		err error
	)
	switch r.System {
	case "nats":
		s, p, err = sendNATS(r)
	case "proofmark":
		s, p, err = sendProofmark(r)
	default:
		err = fmt.Errorf("unknown system %q", r.System)
	}
	if err != nil {
		return err
	}
	out, err := drive(r, s, p)
	if err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	if err := s.close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// drive keeps the given number of messages under way: each worker sends the next when its last one is delivered.
func drive(r run, s system, p *receiver) (out result, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		took     []time.Duration
		counting bool
		fault    error
		first    = make(chan struct{}) // closed when something was delivered
		met      sync.Once
	)
	for range r.Outstanding {
		wg.Go(func() {
			for ctx.Err() == nil {
				begun := time.Now()
				err := s.deliver(ctx)
				d := time.Since(begun)
				if err == nil {
					met.Do(func() { close(first) })
				}
				mu.Lock()
				if err != nil && ctx.Err() == nil && fault == nil {
					fault = err
					cancel()
				}
				if err == nil && counting {
					took = append(took, d)
				}
				mu.Unlock()
			}
		})
	}
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	select { // that two nodes find each other is no part of a delivery
	case <-first:
	case <-ctx.Done():
	}
	pause(r.For / 5)
	theirs, err := p.usage()
	if err != nil {
		return out, err
	}
	own, begun := ownUsage(), time.Now()
	mu.Lock()
	counting = true
	mu.Unlock()
	pause(r.For)
	mu.Lock()
	counting = false
	mu.Unlock()
	length, ownAfter := time.Since(begun), ownUsage()
	theirsAfter, err := p.usage()
	cancel()
	wg.Wait()
	if err == nil {
		err = fault
	}
	if err == nil && len(took) == 0 {
		err = fmt.Errorf("nothing was delivered in %s", length)
	}
	if err != nil {
		return out, err
	}
	n := float64(len(took))
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	a, b := ownAfter.since(own), theirsAfter.since(theirs)
	return result{PerSecond: n / length.Seconds(), P50: ms(took[len(took)/2]), P99: ms(took[len(took)*99/100]),
		CPU: ms(a.CPU+b.CPU) / n, Allocs: float64(a.Allocs+b.Allocs) / n, Bytes: float64(a.Bytes+b.Bytes) / n, Commits: float64(a.Commits+b.Commits) / n}, nil
}

// receive is the other process: the first line says what it must know, and it answers when it is ready; then "usage" and "end".
func receive(r run) error {
	in := bufio.NewScanner(os.Stdin)
	if !in.Scan() {
		return fmt.Errorf("no line from the sender: %w", in.Err())
	}
	var (
		ready string
		stop  func() error
		err   error
	)
	switch r.System {
	case "nats":
		ready, stop, err = receiveNATS(r, in.Text())
	case "proofmark":
		ready, stop, err = receiveProofmark(r)
	default:
		err = fmt.Errorf("unknown system %q", r.System)
	}
	if err != nil {
		return err
	}
	fmt.Println(ready)
	for in.Scan() && in.Text() == "usage" {
		if err := json.NewEncoder(os.Stdout).Encode(ownUsage()); err != nil {
			return err
		}
	}
	fmt.Println("end")
	return stop()
}
