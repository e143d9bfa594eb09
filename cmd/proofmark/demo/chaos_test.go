package demo

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"proofmark/crypto"
	"proofmark/protocol"
)

// tempDir is a folder with a path short enough for command sockets.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pmd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept: %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "day")
}

// playedDay plays a small day and returns what every node holds at its end. atEnd runs before the last look.
func playedDay(t *testing.T, dir, scans string, atEnd func(context.Context, *federation)) (map[protocol.Country]*nodeState, *Result) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var story strings.Builder
	states := map[protocol.Country]*nodeState{}
	o := Options{Program: program, Dir: dir, Scans: scans, Once: true, Out: &story, Now: time.Now, Cost: crypto.TestCost}
	o.atEnd = func(ctx context.Context, f *federation) error {
		atEnd(ctx, f)
		if err := f.settle(ctx); err != nil {
			return err
		}
		for _, c := range countries {
			s, err := f.state(ctx, f.bureaus[c])
			if err != nil {
				return err
			}
			states[c] = s
		}
		return f.oversee(ctx) // the logs once more, after the last kill
	}
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, story.String())
	}
	for _, c := range countries {
		log, err := os.ReadFile(filepath.Join(dir, strings.ToLower(string(c)), "daemon.log"))
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"DATA RACE", "panic"} {
			if i := strings.Index(string(log), bad); i >= 0 {
				t.Errorf("the log of %s: %s", c, log[max(0, i-500):min(len(log), i+3000)])
			}
		}
	}
	return states, result
}

// A day is shaken by so many kills: enough to meet every kind of moment, few enough to end.
const (
	leastKills = 15
	mostKills  = 24
)

// killer kills daemons at random moments by the process ids in their folders.
type killer struct {
	dir   string
	rng   *rand.Rand
	kills map[protocol.Country]int
	total atomic.Int64
}

// run kills leastKills to mostKills times, pause apart on the average; after stop is closed no more than it must.
func (k *killer) run(stop <-chan struct{}, pause time.Duration) {
	for k.total.Load() < mostKills {
		select {
		case <-stop:
			if k.total.Load() >= leastKills {
				return
			}
		default:
		}
		time.Sleep(time.Duration(k.rng.Int64N(2 * int64(pause))))
		c := countries[k.rng.IntN(len(countries))]
		b, err := os.ReadFile(filepath.Join(k.dir, strings.ToLower(string(c)), "daemon.pid"))
		if err != nil {
			continue // it has not started yet
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			k.kills[c]++
			k.total.Add(1)
		}
	}
}

// TestKilledDaemonsLeaveTheSameDay plays the same day twice, once while daemons are killed at random moments, and compares what the nodes hold at
// the end.
func TestKilledDaemonsLeaveTheSameDay(t *testing.T) {
	scans := t.TempDir()
	if _, err := generate(scans, 3, 3, func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	quiet, first := playedDay(t, tempDir(t), scans, func(context.Context, *federation) {})

	t.Logf("undisturbed: %.1f s, %+v", first.Seconds, first.Steps)

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed of the kills: %d", seed)
	dir := tempDir(t)
	k := &killer{dir: dir, rng: rand.New(rand.NewPCG(seed, 0)), kills: map[protocol.Country]int{}}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { k.run(stop, time.Duration(first.Seconds/20*float64(time.Second))) })
	var end sync.Once
	finish := func() { end.Do(func() { close(stop) }); wg.Wait() }
	defer finish()
	var during int64
	shaken, result := playedDay(t, dir, scans, func(context.Context, *federation) {
		during = k.total.Load()
		finish()
	})
	t.Logf("%d kills (%v), %d of them before the story's end after %.1f s", k.total.Load(), k.kills, during, result.Seconds)
	t.Logf("steps: %+v", result.Steps)
	if k.total.Load() < leastKills {
		t.Errorf("%d kills, want at least %d", k.total.Load(), leastKills)
	}
	for _, c := range countries {
		a, b := reflect.ValueOf(*quiet[c]), reflect.ValueOf(*shaken[c])
		for i := range a.NumField() {
			if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
				t.Errorf("%s, %s:\nundisturbed %v\nkilled      %v", c, a.Type().Field(i).Name, a.Field(i), b.Field(i))
			}
		}
		if s := quiet[c]; len(s.Exhibits) == 0 || len(s.Signatures) != 12 || len(s.Candidates) == 0 || len(s.Documents) == 0 || len(s.People) != 7 || s.Refused != 0 {
			t.Errorf("%s: the state does not tell enough to be compared: %+v", c, s)
		}
		if l := result.Audit[string(c)]; !l.Verified || l.Entries == 0 {
			t.Errorf("%s: audit %+v", c, l)
		}
	}
	if result.Lead != "acknowledged" || result.Hit != "hit" || result.Retracted != "retracted" || result.Trace != "COMPLETED" {
		t.Errorf("result %+v", result)
	}
}
