package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"proofmark/cmd/proofmark-soak/bureau"
	"proofmark/cmd/proofmark-soak/ledger"
	"proofmark/cmd/proofmark-soak/load"
	"proofmark/cmd/proofmark-soak/plan"
	"proofmark/cmd/proofmark-soak/terrain"
	"proofmark/cmd/proofmark-soak/weather"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/crypto/roster"
	"proofmark/node"
	"proofmark/node/control"
	"proofmark/node/membership"
	"proofmark/protocol"
)

var countries = []protocol.Country{"PT", "ES", "FR", "IT", "DE", "BE", "NL", "AT", "KE", "BR", "JP", "CA"}

const (
	scans  = 6
	diskMB = 1536
	// What is queued when the last fault ends needs no longer than this; a queue that does not drain is a finding.
	drainWithin = 15 * time.Minute
)

// soak is a run under way.
type soak struct {
	o       options
	out     io.Writer
	root    string
	begun   time.Time
	ground  *terrain.Ground
	bureaus []*bureau.Bureau
	proxies []*weather.Proxy
	count   weather.Figures
	faults  *faults
	load    *load.Load
	report  *Report
	fail    context.CancelCauseFunc
}

func run(ctx context.Context, o options, namespaces bool, out io.Writer) (*Report, error) {
	s := &soak{o: o, out: out, begun: time.Now(), report: &Report{Seed: o.Seed, Minutes: o.Minutes, Nodes: o.Nodes, Namespaces: namespaces, Again: o.again(), Findings: []ledger.Finding{}}}
	var err error
	if s.root = o.Dir; s.root == "" {
		s.root, err = os.MkdirTemp("", "pm-soak-")
	} else {
		err = os.MkdirAll(s.root, 0o700)
	}
	if err != nil {
		return nil, err
	}
	s.say("seed %d, logs in %s", o.Seed, s.root)
	ctx, s.fail = context.WithCancelCause(ctx)
	defer s.fail(nil)
	err = s.play(ctx, namespaces)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	for _, b := range s.bureaus {
		_ = b.Stop() // those that still run after an error
	}
	for _, p := range s.proxies {
		p.Close()
	}
	err = errors.Join(err, s.keep(err != nil || len(s.report.Findings) > 0))
	s.report.Took = time.Since(s.begun).Seconds()
	if err != nil {
		return nil, fmt.Errorf("%w (seed %d, logs in %s; the same once more: %s)", err, o.Seed, s.root, o.again())
	}
	return s.report, nil
}

func (s *soak) say(format string, args ...any) {
	fmt.Fprintf(s.out, "%7.1f  %s\n", time.Since(s.begun).Seconds(), fmt.Sprintf(format, args...))
}

// keep copies the nodes' folders from their disks, which vanish with this process; where nothing was found, everything is removed.
func (s *soak) keep(wanted bool) error {
	if !wanted {
		if s.o.Dir == "" && !s.report.Namespaces {
			return os.RemoveAll(s.root)
		}
		if s.o.Dir == "" {
			for _, b := range s.bureaus {
				_ = os.Remove(b.LogFile())
			}
		}
		return nil
	}
	s.report.Kept = s.root
	for _, b := range s.bureaus {
		if b.HasDisk() {
			kept := filepath.Join(s.root, "kept", strings.ToLower(string(b.Country)))
			if err := copyFolder(kept, b.Dir); err != nil {
				return fmt.Errorf("keep the folder of %s: %w", b.Country, err)
			}
		}
	}
	return nil
}

func (s *soak) play(ctx context.Context, namespaces bool) error {
	var err error
	if s.ground, err = terrain.Prepare(s.o.Nodes, namespaces); err != nil {
		return err
	}
	if err := s.found(ctx); err != nil {
		return err
	}
	if err := s.meet(ctx); err != nil {
		return err
	}
	if err := s.work(ctx); err != nil {
		return err
	}
	if err := s.drain(ctx); err != nil {
		return err
	}
	return s.compare(ctx)
}

// found makes the nodes, the proxies before them and one roster.
func (s *soak) found(ctx context.Context) error {
	for i := range s.o.Nodes {
		b, err := bureau.New(s.ground, s.o.Program, s.root, i, countries[i], diskMB)
		if err != nil {
			return err
		}
		s.bureaus = append(s.bureaus, b)
	}
	s.faults = &faults{ground: s.ground, bureaus: s.bureaus, say: s.say, active: map[*plan.Event]bool{}, count: map[plan.Kind]int{}}
	for i := range s.bureaus {
		p := &weather.Proxy{Node: i, Listen: s.ground.Proxy(i), Target: s.ground.Node(i), Who: s.ground.Who, Bind: s.ground.Bind, Sky: s.faults.sky, Count: &s.count}
		if err := p.Start(); err != nil {
			return fmt.Errorf("proxy before %s: %w", countries[i], err)
		}
		s.proxies = append(s.proxies, p)
	}
	return s.all(func(b *bureau.Bureau) error {
		if err := b.Found(ctx, s.fail); err != nil {
			return err
		}
		return b.Open(ctx)
	})
}

// all does something at every node at the same time.
func (s *soak) all(do func(*bureau.Bureau) error) error {
	errs := make([]error, len(s.bureaus))
	var wg sync.WaitGroup
	for i, b := range s.bureaus {
		wg.Go(func() { errs[i] = do(b) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// meet brings one roster into force everywhere.
func (s *soak) meet(ctx context.Context) error {
	now := time.Now()
	var holders []*roster.HolderKey
	var public []roster.Holder
	for i := range 2 {
		passphrase := []byte(fmt.Sprintf("passphrase of key holder %d", i+1))
		private, _, err := roster.NewHolder(fmt.Sprintf("Holder %d", i+1), passphrase, rand.Reader)
		if err != nil {
			return err
		}
		h, err := roster.OpenHolder(private, passphrase)
		if err != nil {
			return err
		}
		holders, public = append(holders, h), append(public, h.Holder())
	}
	draft, err := roster.Create("Federation of a soak", public, 2, now, now.AddDate(1, 0, 0))
	if err != nil {
		return err
	}
	for _, b := range s.bureaus {
		entry, err := os.ReadFile(node.MemberPath(b.Dir))
		if err != nil {
			return err
		}
		if err := draft.Add(strings.TrimSpace(string(entry)), now); err != nil {
			return err
		}
	}
	for _, h := range holders {
		if err := draft.Sign(h); err != nil {
			return err
		}
	}
	document, err := draft.Marshal()
	if err != nil {
		return err
	}
	return s.all(func(b *bureau.Bureau) error {
		_, err := bureau.Do[*membership.Installed](ctx, b.Admin, "roster.install", control.InstallRequest{Documents: [][]byte{document}, Anchor: draft.Hash()})
		return err
	})
}

// work does what people do while the faults come.
func (s *soak) work(ctx context.Context) error {
	s.load = &load.Load{Bureaus: s.bureaus, Seed: s.o.Seed, Journal: load.NewJournal(),
		Pace: load.Pace{Acquire: 8 * time.Second, Trace: 1500 * time.Millisecond, Answer: 700 * time.Millisecond, Lead: 6 * time.Second, Withdraw: 20 * time.Second}}
	for i := range scans {
		var w bytes.Buffer
		if err := x3p.Write(&w, synth.NewMaker(s.o.Seed).Firearm(uint64(i)).Fire(s.o.Seed, synth.Shot{})); err != nil {
			return err
		}
		s.load.Scans = append(s.load.Scans, w.Bytes())
	}
	if err := s.all(func(b *bureau.Bureau) error { return s.load.Prepare(ctx, b) }); err != nil {
		return err
	}
	s.say("the federation stands")
	working, enough := context.WithCancel(ctx)
	defer enough()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.load.Run(working)
	}()
	s.faults.run(ctx, plan.Draw(s.o.Seed, s.o.length(), len(s.bureaus)))
	enough()
	<-done
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.report.Faults, s.report.Reserve, s.report.Acts, s.report.Refusals = s.faults.count, s.faults.reserve, s.load.Journal.Sums(), s.load.Journal.Refusals()
	return errors.Join(s.faults.broken...)
}

// drain waits until nothing is under way any more.
func (s *soak) drain(ctx context.Context) error {
	s.say("the faults are over; waiting until everything is delivered")
	begun := time.Now()
	for quiet := 0; quiet < 2; {
		idle := true
		for _, b := range s.bureaus {
			st, err := b.Status(ctx)
			if err != nil {
				return err
			}
			idle = idle && st.Idle
		}
		if quiet++; !idle {
			quiet = 0
		}
		if time.Since(begun) > drainWithin {
			s.say("it is not, after %v", drainWithin)
			break // the comparison says what is missing
		}
		if !wait(ctx, 250*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
	s.report.Drained = time.Since(begun).Seconds()
	return nil
}
