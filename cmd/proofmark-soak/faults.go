package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"proofmark/cmd/proofmark-soak/bureau"
	"proofmark/cmd/proofmark-soak/plan"
	"proofmark/cmd/proofmark-soak/terrain"
	"proofmark/cmd/proofmark-soak/weather"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/store"
)

// faults makes the plan happen.
type faults struct {
	ground  *terrain.Ground
	bureaus []*bureau.Bureau
	say     func(format string, args ...any)

	mu      sync.Mutex
	active  map[*plan.Event]bool
	count   map[plan.Kind]int
	reserve int
	broken  []error
}

const longestDelay = time.Second

// sky is the weather on one way at this moment; from or to may be unknown.
func (f *faults) sky(from, to int) weather.Sky {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s weather.Sky
	for e := range f.active {
		fits := func(a, b int) bool { // from a to b, as far as it is known
			return e.B >= 0 && (from == a || from == weather.Unknown) && (to == b || to == weather.Unknown)
		}
		there, back := fits(e.A, e.B), fits(e.B, e.A)
		switch {
		case e.Kind == plan.Delay && (there || back):
			s.Delay = max(s.Delay, time.Duration(e.Strength*float64(longestDelay)))
		case e.Kind == plan.Disorder && (there || back):
			s.Disorder = true
		case e.Kind == plan.Flip && there:
			s.Flip = max(s.Flip, e.Strength/10)
		case e.Kind == plan.Replay && there:
			s.Replay = true
		case f.ground.Namespaces: // the packet filter does the rest
		case e.Kind == plan.OneWay && there:
			s.Loss = max(s.Loss, e.Strength)
		case e.Kind == plan.Partition && (there || back), e.Kind == plan.Isolate && (from == e.A || to == e.A):
			s.Loss = 1
		}
	}
	return s
}

// cuts are what the packet filter has to drop at this moment.
func (f *faults) cuts() []terrain.Cut {
	var out []terrain.Cut
	for e := range f.active {
		switch e.Kind {
		case plan.OneWay:
			out = append(out, terrain.Cut{From: e.A, To: e.B, Share: e.Strength})
		case plan.Partition:
			out = append(out, terrain.Cut{From: e.A, To: e.B, Share: 1}, terrain.Cut{From: e.B, To: e.A, Share: 1})
		case plan.Isolate:
			for i := range f.bureaus {
				if i != e.A {
					out = append(out, terrain.Cut{From: e.A, To: i, Share: 1}, terrain.Cut{From: i, To: e.A, Share: 1})
				}
			}
		}
	}
	return out
}

// run makes every event happen at its time, and returns when all are over.
func (f *faults) run(ctx context.Context, events []plan.Event) {
	begun := time.Now()
	var wg sync.WaitGroup
	for i := range events {
		e := &events[i]
		if !wait(ctx, time.Until(begun.Add(e.At))) {
			break
		}
		wg.Go(func() {
			if err := f.event(ctx, e); err != nil {
				f.mu.Lock()
				f.broken = append(f.broken, fmt.Errorf("%v: %w", e, err))
				f.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// wait reports whether the time has passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (f *faults) event(ctx context.Context, e *plan.Event) error {
	b := f.bureaus[e.A]
	if (e.Kind == plan.Reserve || e.Kind == plan.Full) && !b.HasDisk() {
		return nil // the machine's own disk is not filled
	}
	if !f.begin(e) {
		return nil // the node has this fault already
	}
	f.say("%v", e)
	over := time.Now().Add(e.For)
	err := f.enter(ctx, e, b)
	if err == nil {
		wait(ctx, time.Until(over))
	}
	f.mu.Lock()
	delete(f.active, e)
	f.mu.Unlock()
	return errors.Join(err, f.leave(e, b))
}

// begin counts an event in, unless one that would undo it at its end is running: a node has one disk and one clock.
func (f *faults) begin(e *plan.Event) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	thing := map[plan.Kind]string{plan.Reserve: "disk", plan.Full: "disk", plan.Clock: "clock"}
	for o := range f.active {
		if o.A == e.A && thing[e.Kind] != "" && thing[o.Kind] == thing[e.Kind] {
			return false
		}
	}
	f.active[e] = true
	f.count[e.Kind]++
	return true
}

func (f *faults) enter(ctx context.Context, e *plan.Event, b *bureau.Bureau) error {
	switch e.Kind {
	case plan.Kill:
		return b.Kill()
	case plan.Partition, plan.Isolate, plan.OneWay:
		return f.cut()
	case plan.Clock:
		return b.SetClock(e.Jump)
	case plan.Full:
		return terrain.Fill(b.Disk(), 0)
	case plan.Reserve:
		if err := terrain.Fill(b.Disk(), bureau.ReserveMB<<20*3/4); err != nil {
			return err
		}
		return f.watchReserve(ctx, b, e.For)
	}
	return nil
}

// watchReserve sees that a node below its reserve refuses to write with a clear error and goes on reading. A node that is being killed or comes up
// meanwhile is not judged.
func (f *faults) watchReserve(ctx context.Context, b *bureau.Bureau, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for ctx.Err() == nil {
		err := bureau.Try(ctx, b.Worker, "case.add", ballistics.NewCase{Reference: "SOAK-FULL", Agency: "Soak", Title: "While the disk is full"})
		if err == nil { // the database gives space back when it compacts: then the node was right
			free, ferr := store.FreeBytes(b.Disk())
			if ferr != nil || free >= bureau.ReserveMB<<20 {
				return ferr
			}
			return fmt.Errorf("%s writes although %d MiB are free, less than its reserve of %d", b.Country, free>>20, bureau.ReserveMB)
		}
		if errors.Is(err, store.ErrDiskReserve) {
			if err := bureau.Try(ctx, b.Worker, "status", control.None{}); err == nil {
				f.mu.Lock()
				f.reserve++
				f.mu.Unlock()
				return nil
			}
		}
		wait(ctx, 50*time.Millisecond)
	}
	return nil
}

func (f *faults) leave(e *plan.Event, b *bureau.Bureau) error {
	switch e.Kind {
	case plan.Partition, plan.Isolate, plan.OneWay:
		return f.cut()
	case plan.Clock:
		return b.SetClock(0)
	case plan.Full, plan.Reserve:
		return terrain.Empty(b.Disk())
	}
	return nil
}

func (f *faults) cut() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ground.Cut(f.cuts())
}
