// Package demo plays one day of a federation of three fictitious bureaus on this machine: three daemons, people with their own sessions, real
// documents between them, and a check of everything it tells. It refuses to know how a node works inside: after the folders are made it speaks
// to each node through its command socket, as the command line does.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"proofmark/crypto"
	"proofmark/protocol"
)

// Options say how the day is played.
type Options struct {
	Program  string           // the executable whose `run` is the daemon
	Dir      string           // folder to keep; a temporary one if empty
	Scans    string           // folder with X3P files and truth.csv; simulated scans if empty
	Seed     uint64           // of the simulated scans
	Once     bool             // end after the last step instead of waiting for Ctrl-C
	Picture  string           // file to draw the day in, as SVG; only of simulated scans
	Out      io.Writer        // where the story is told
	Terminal bool             // Out is a terminal: progress is drawn as a bar
	Now      func() time.Time // the wall clock

	firearms int              // simulated ones
	Cost     crypto.ArgonCost // of the nodes' passphrases; the default, if none is named
	atEnd    func(context.Context, *federation) error
}

// Result is what the day came to.
type Result struct {
	Source              string         `json:"source"` // the scans' folder, or "generator"
	Nodes               int            `json:"nodes"`
	Exhibits            int            `json:"exhibits"`
	SignaturesPublished int            `json:"signatures_published"`
	SignaturesReceived  int            `json:"signatures_received"` // of all nodes together
	BytesPerSignature   int            `json:"bytes_per_signature"` // mean
	Rejected            int            `json:"rejected"`            // scans that a node refused as unusable: they are no queries and nobody's mates
	Mates               int            `json:"mates"`               // (query, mate) pairs across borders
	MatesRank1          int            `json:"mates_rank1"`         // of them, with no non-mate above
	MatesTop10          int            `json:"mates_top10"`         // of them, with at most nine non-mates above
	Bullets             *BulletPair    `json:"bullets"`
	Log10LR             float64        `json:"log10_lr"`                 // of the pair that becomes a hit, as the side computed it that knows the make
	Lead                string         `json:"lead"`                     // state of the lead once it was worked on, the same on both sides
	Hit                 string         `json:"hit"`                      // state of the same pair after confirmation and verification, the same on both sides
	Retracted           string         `json:"retracted"`                // state of the second lead at its receiver
	Trace               string         `json:"trace"`                    // state of the trace at the requester
	Audit               map[string]Log `json:"audit"`                    // by country
	FirstCandidates     float64        `json:"first_candidates_seconds"` // from the start to the first candidate list
	Seconds             float64        `json:"seconds"`
	Steps               []Step         `json:"steps"`
}

// Log is what an auditor found of one node's audit log.
type Log struct {
	Entries  int64 `json:"entries"`
	Verified bool  `json:"verified"`
}

// Step is one step of the day.
type Step struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
}

// federation is the day under way.
type federation struct {
	*narrator
	o       Options
	root    string    // folder of everything
	begun   time.Time // of the process's clock, for durations
	day     time.Time // when the day began
	bureaus map[protocol.Country]*bureau

	lots     []*lot
	testFire *lot
	bullets  []*bulletLot
	marks    map[string]mark // by signature
	pair     string          // the pair that becomes a hit
	taken    string          // the pair whose lead is retracted
	result   *Result
}

// Run plays the day. An error says which step failed and why; the result holds what was reached. It leaves no daemon behind.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.firearms == 0 {
		o.firearms = 12
	}
	if o.Cost == (crypto.ArgonCost{}) {
		o.Cost = crypto.DefaultCost
	}
	f := &federation{narrator: &narrator{w: o.Out, terminal: o.Terminal}, o: o, begun: time.Now(), day: o.Now(), bureaus: map[protocol.Country]*bureau{},
		marks: map[string]mark{}, result: &Result{Nodes: len(casts), Audit: map[string]Log{}, Steps: []Step{}}}
	if o.Picture != "" && o.Scans != "" {
		return f.result, errRealScans
	}
	temporary, err := f.choose()
	if err != nil {
		return f.result, err
	}
	for i, c := range casts {
		f.bureaus[c.country] = newBureau(f.root, i, c)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	err = f.play(ctx, fail)
	f.result.Seconds = time.Since(f.begun).Seconds()
	if err == nil && o.Picture != "" {
		err = f.draw(ctx)
	}
	if err == nil && o.atEnd != nil {
		err = o.atEnd(ctx, f)
	}
	if err == nil && !o.Once {
		f.tryNext()
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			err = cause // a daemon that could not be kept running, not Ctrl-C
		}
		f.print("\nStopping the three daemons.\n")
	}
	err = errors.Join(err, f.stop())
	switch {
	case err != nil:
		f.say("The folders and the daemons' logs are kept in %s.", f.root)
	case temporary && o.Once:
		err = os.RemoveAll(f.root)
	default:
		f.say("Everything is kept in %s; remove it with: rm -r %s", f.root, f.root)
	}
	return f.result, err
}

// maxRoot leaves room for the command socket's name in what the kernel takes for a socket's path (107 bytes).
const maxRoot = 85

// choose finds the folder of the day.
func (f *federation) choose() (temporary bool, err error) {
	if f.o.Dir == "" {
		f.root, err = os.MkdirTemp("", "proofmark-demo-")
		temporary = true
	} else if f.root, err = filepath.Abs(f.o.Dir); err == nil {
		if list, rerr := os.ReadDir(f.root); rerr == nil && len(list) > 0 {
			return false, fmt.Errorf("%s exists and is not empty: name a new folder with --dir, or remove this one", f.root)
		}
	}
	if err != nil {
		return false, fmt.Errorf("folder of the demo: %w", err)
	}
	if len(f.root) > maxRoot {
		return false, fmt.Errorf("the path %s has %d bytes, and command sockets in it would be too long for the system: choose one of at most %d with --dir", f.root, len(f.root), maxRoot)
	}
	for _, d := range []string{"keys", "people", "federation"} {
		if err := os.MkdirAll(filepath.Join(f.root, d), 0o700); err != nil {
			return false, fmt.Errorf("folder of the demo: %w", err)
		}
	}
	return temporary, nil
}

// play goes through the steps; the first that fails ends the day.
func (f *federation) play(ctx context.Context, fail context.CancelCauseFunc) error {
	f.print("Three fictitious bureaus on this machine: PT NCB Lisbon, ES OCN Madrid, FR BCN Paris. Nothing leaves loopback.\n")
	f.say("Everything is in %s", f.root)
	steps := f.scenes(fail)
	for i, s := range steps {
		f.title(i+1, len(steps), s.title)
		begun := time.Now()
		err := s.play(ctx)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // what failed after that failed because of it
		}
		f.result.Steps = append(f.result.Steps, Step{Name: s.name, OK: err == nil, Seconds: time.Since(begun).Seconds()})
		if err != nil {
			if errors.Is(err, context.Canceled) {
				return fmt.Errorf("interrupted in step %d (%s)", i+1, s.name)
			}
			return fmt.Errorf("step %d (%s) failed: %w", i+1, s.name, err)
		}
		f.why(s.why)
	}
	return nil
}

// stop stops every daemon cleanly.
func (f *federation) stop() error {
	return each(countries, func(c protocol.Country) error { return f.bureaus[c].stop() })
}

// all does something at every bureau at the same time.
func (f *federation) all(do func(*bureau) error) error {
	return each(countries, func(c protocol.Country) error { return do(f.bureaus[c]) })
}

// verify tells what was verified, or fails with what was not.
func (f *federation) verify(ok bool, format string, args ...any) error {
	if !ok {
		return fmt.Errorf("this was not so: "+format, args...)
	}
	f.shown(format, args...)
	return nil
}
