package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"proofmark/crypto"
)

var programDir string // where it lies

// realProgram builds the program once for all tests of this package: as for a soak, with secrets that are stretched little, because each day enrols twenty
// people and most of its time would go there.
var realProgram = sync.OnceValues(func() (string, error) {
	var err error
	if programDir, err = os.MkdirTemp("", "pmd-bin-"); err != nil {
		return "", err
	}
	file := filepath.Join(programDir, "proofmark")
	cmd := exec.Command("go", "build", "-tags", "soak", "-o", file, "proofmark/cmd/proofmark")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return file, nil
})

func program(t *testing.T) string {
	t.Helper()
	file, err := realProgram()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// demoOnce runs `proofmark demo --once --json` in a folder and checks what holds for every day.
func demoOnce(t *testing.T, args ...string) (*Result, string) {
	t.Helper()
	dir := tempDir(t)
	cmd := exec.CommandContext(t.Context(), program(t), append([]string{"demo", "--once", "--json", "--dir", dir}, args...)...)
	cmd.Dir = t.TempDir() // where no scans lie beside
	var out, story bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &story
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, story.String(), out.String())
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(out.Bytes(), &keys); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	for _, k := range []string{"nodes", "exhibits", "signatures_published", "signatures_received", "bytes_per_signature", "mates", "mates_rank1", "mates_top10",
		"lead", "hit", "trace", "audit", "seconds", "first_candidates_seconds", "source", "steps", "retracted", "rejected", "bullets", "log10_lr"} {
		if keys[k] == nil {
			t.Errorf("the result has no %s: %s", k, out.String())
		}
	}
	var r Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Nodes != 3 || r.SignaturesPublished != r.Exhibits-r.Rejected || r.SignaturesReceived != 2*r.SignaturesPublished || r.BytesPerSignature < 100 || r.BytesPerSignature > 4000 {
		t.Errorf("signatures: %+v", r)
	}
	if r.Mates == 0 || r.MatesRank1 > r.MatesTop10 || r.MatesTop10 > r.Mates {
		t.Errorf("mates: %+v", r)
	}
	if b := r.Bullets; b.Acquired < 2 || b.Rank != 1 || b.RankAbroad != 1 || b.Score <= 0.5 || b.Contrast < 0.1 || b.Lands < 3 || b.Bytes < 300 || b.Bytes > 1000 {
		t.Errorf("bullets: %+v", b)
	}
	if r.Log10LR <= 0 {
		t.Errorf("log10 LR of the hit: %v", r.Log10LR)
	}
	if r.Lead != "acknowledged" || r.Hit != "hit" || r.Retracted != "retracted" || r.Trace != "COMPLETED" {
		t.Errorf("states: %+v", r)
	}
	for _, c := range countries {
		if a := r.Audit[string(c)]; !a.Verified || a.Entries < 100 {
			t.Errorf("audit of %s: %+v", c, a)
		}
	}
	if r.FirstCandidates <= 0 || r.Seconds < r.FirstCandidates || len(r.Steps) != 7 {
		t.Errorf("times and steps: %+v", r)
	}
	for _, s := range r.Steps {
		if !s.OK || s.Name == "" || s.Seconds <= 0 {
			t.Errorf("step %+v", s)
		}
	}
	t.Logf("%s: first candidates after %.1f s of %.1f s, mates %d/%d/%d", r.Source, r.FirstCandidates, r.Seconds, r.Mates, r.MatesRank1, r.MatesTop10)
	return &r, dir
}

func TestDemoOnceOnSimulatedScans(t *testing.T) {
	r, dir := demoOnce(t, "--seed", "2")
	if r.Source != "generator" || r.Exhibits != 36 || r.MatesTop10 < r.Mates*3/4 {
		t.Errorf("%+v", r)
	}
	secretsAreClosed(t, dir)
}

// secretsAreClosed: nobody else can read what the day left behind.
func secretsAreClosed(t *testing.T, dir string) {
	t.Helper()
	kinds := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		kind := filepath.Ext(path)
		kinds[kind]++
		if (kind == ".secret" || kind == ".session" || kind == ".passphrase" || kind == ".key") && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		if kind == ".pid" {
			t.Errorf("%s says that a daemon still runs", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if kinds[".secret"] != 21 || kinds[".session"] != 21 || kinds[".passphrase"] != 6 {
		t.Errorf("files %v", kinds)
	}
}

// TestDemoOnceOnRealScans: every mate abroad stands at rank 1; a scan file that is cut short is refused by its node, and the day goes on without it.
func TestDemoOnceOnRealScans(t *testing.T) {
	scans := filepath.Join(t.TempDir(), "fadul")
	if err := os.CopyFS(scans, os.DirFS("../../../"+DefaultScans)); err != nil {
		if _, err := generate(scans, 1, 8, func(int, int) {}); err != nil { // the same with simulated scans, which are read from a folder too
			t.Fatal(err)
		}
	}
	m, err := readScans(scans)
	if err != nil {
		t.Fatal(err)
	}
	victim := m.scans[len(m.scans)-1].path
	b, err := os.ReadFile(victim)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(victim, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	r, _ := demoOnce(t, "--scans", scans)
	if r.Source != "fadul" || r.MatesRank1 != r.Mates {
		t.Errorf("%+v", r)
	}
	if r.Exhibits != len(m.scans) || r.Rejected != 1 || r.SignaturesPublished != len(m.scans)-1 {
		t.Errorf("%d exhibits, %d rejected, %d published; want %d, 1, %d", r.Exhibits, r.Rejected, r.SignaturesPublished, len(m.scans), len(m.scans)-1)
	}
}

// TestDemoFails: what cannot be played ends with a sentence and exit code 1, and JSON is still printed.
func TestDemoFails(t *testing.T) {
	empty := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program(t), "demo", "--once", "--json", "--dir", tempDir(t), "--scans", empty)
	var out, story bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &story
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v: %s", err, story.String())
	}
	if s := story.String(); !strings.Contains(s, "step 2 (acquisitions) failed") || !strings.Contains(s, "has no truth.csv") {
		t.Error(s)
	}
	var r Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Steps) != 2 || !r.Steps[0].OK || r.Steps[1].OK {
		t.Errorf("steps %+v", r.Steps)
	}
}

// story is an Out that is read while it is written.
type story struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *story) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestWhatToTryNext: without --once the federation keeps running; every command that the story suggests works, and the end is clean.
func TestWhatToTryNext(t *testing.T) {
	file, picture := program(t), filepath.Join(t.TempDir(), "day.svg")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var told story
	ended := make(chan error, 1)
	dir := tempDir(t)
	var cells, entries int
	atEnd := func(ctx context.Context, f *federation) error {
		d, err := f.drawing(ctx)
		if err != nil {
			return err
		}
		cells, entries = len(d.found.CellMap), int(f.result.Audit[string(pt)].Entries)
		return nil
	}
	go func() {
		_, err := Run(ctx, Options{Program: file, Dir: dir, Seed: 3, firearms: 4, Picture: picture, Out: &told, Now: time.Now, Cost: crypto.TestCost, atEnd: atEnd})
		ended <- err
	}()
	err := await(t.Context(), "the story ends", 2*time.Minute, func() (bool, error) {
		select {
		case err := <-ended:
			return false, errors.Join(errors.New("the federation did not keep running"), err)
		default:
			return strings.Contains(told.String(), "until Ctrl-C."), nil
		}
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, told.String())
	}
	checkDay(t, picture, 12, cells, entries)
	commands := 0
	for line := range strings.Lines(told.String()) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, file) && !strings.HasPrefix(line, "kill -9") {
			continue
		}
		commands++
		out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", line).CombinedOutput()
		if err != nil || !strings.HasPrefix(line, "kill") && len(bytes.TrimSpace(out)) == 0 {
			t.Errorf("%s: %v: %s", line, err, out)
		}
	}
	if commands < 14 {
		t.Errorf("%d commands are suggested:\n%s", commands, told.String())
	}
	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v\n%s", err, told.String())
	}
	for _, c := range countries {
		if _, err := os.Stat(filepath.Join(dir, strings.ToLower(string(c)), "daemon.pid")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s still has a daemon: %v", c, err)
		}
	}
}
