package demo

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// DefaultScans is where real scans lie beside a checkout of the project.
const DefaultScans = "../shared/scans/fadul"

// truthFile names the source of each scan. It stages the day and scores it; no node is ever told.
const truthFile = "truth.csv"

// Limits on a folder of scans.
const (
	maxTruth = 1 << 20 // bytes
	maxScans = 300
	minScans = 6 // two for each bureau
)

// scan is one file of a breech face. source names the firearm that left it.
type scan struct {
	name   string
	path   string
	source string
	shot   synth.Shot // of a simulated one: the picture asks it where the aperture is
}

// material is what the day is played with.
type material struct {
	origin string // folder's name, or "generator"
	scans  []scan
}

// readScans takes the scans that a folder's truth.csv lists, in the order of their names.
func readScans(dir string) (*material, error) {
	f, err := os.Open(filepath.Join(dir, truthFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s has no %s (header scan,source, then a line for each X3P file): the demo needs it to score its result", dir, truthFile)
	}
	if err != nil {
		return nil, fmt.Errorf("scans: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTruth+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	scans, err := parseTruth(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	for i := range scans {
		scans[i].path = filepath.Join(dir, scans[i].name)
		if _, err := os.Stat(scans[i].path); err != nil {
			return nil, fmt.Errorf("%s lists %s: %w", f.Name(), scans[i].name, err)
		}
	}
	return &material{origin: filepath.Base(filepath.Clean(dir)), scans: scans}, nil
}

// parseTruth reads the lines "scan,source" under their header, further columns ignored, and sorts them by scan, so that the order of the file decides nothing.
func parseTruth(b []byte) ([]scan, error) {
	if len(b) > maxTruth {
		return nil, fmt.Errorf("more than %d bytes", maxTruth)
	}
	r := csv.NewReader(bytes.NewReader(b))
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: its first line is scan,source")
	}
	if err != nil {
		return nil, err
	}
	if len(header) < 2 || header[0] != "scan" || header[1] != "source" {
		return nil, fmt.Errorf("line 1: the header is %.60q, want scan,source", strings.Join(header, ","))
	}
	var out []scan
	seen := map[string]bool{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		name, source := row[0], row[1]
		switch {
		case name == "" || source == "":
			return nil, fmt.Errorf("line %d: scan and source are both needed", line)
		case name != filepath.Base(name) || !filepath.IsLocal(name) || name == ".":
			return nil, fmt.Errorf("line %d: %.60q is not the name of a file in this folder", line, name)
		case seen[name]:
			return nil, fmt.Errorf("line %d: %.60q stands twice", line, name)
		case len(out) == maxScans:
			return nil, fmt.Errorf("line %d: more than %d scans", line, maxScans)
		}
		seen[name] = true
		out = append(out, scan{name: name, source: source})
	}
	if len(out) < minScans {
		return nil, fmt.Errorf("%d scans, the demo needs at least %d", len(out), minScans)
	}
	slices.SortFunc(out, func(a, b scan) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// Sizes of a generated day.
const (
	makersOfDay    = 2
	shotsOfFirearm = 3
)

// partialContact is the share of the face that every fourth generated shot shows: a glancing or weak strike.
const partialContact = 0.6

// generate fires simulated firearms of two makers and writes the scans into dir, with a truth.csv, so that readScans takes them again. Equal seeds give
// equal files.
func generate(dir string, seed uint64, firearms int, progress func(done, total int)) (*material, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("generated scans: %w", err)
	}
	total := firearms * shotsOfFirearm
	out := &material{origin: "generator", scans: make([]scan, total)}
	var mu sync.Mutex
	var failed error
	done := 0
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range firearms {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f := synth.NewMaker(seed*makersOfDay + uint64(i%makersOfDay)).Firearm(uint64(i))
			for j := range shotsOfFirearm {
				s, err := shoot(dir, f, seed, i, j)
				mu.Lock()
				out.scans[i*shotsOfFirearm+j] = s
				failed = errors.Join(failed, err)
				done++
				progress(done, total)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	truth := "scan,source\n"
	for _, s := range out.scans {
		truth += s.name + "," + s.source + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, truthFile), []byte(truth), 0o600); err != nil {
		failed = errors.Join(failed, fmt.Errorf("generated scans: %w", err))
	}
	return out, failed
}

// shoot writes the scan of shot j of firearm i: turned and shifted at random within what a technician's mounting leaves open.
func shoot(dir string, f *synth.Firearm, seed uint64, i, j int) (scan, error) {
	r := rand.New(rand.NewPCG(seed, uint64(i*shotsOfFirearm+j)))
	shot := synth.Shot{Rotation: -170 + 340*r.Float64(), ShiftX: 0.2e-3 * (2*r.Float64() - 1), ShiftY: 0.2e-3 * (2*r.Float64() - 1)}
	if (i+j)%4 == 3 {
		shot.Contact = partialContact
	}
	s := scan{name: fmt.Sprintf("firearm-%02d-shot-%d.x3p", i+1, j+1), source: fmt.Sprintf("firearm-%02d", i+1), shot: shot}
	s.path = filepath.Join(dir, s.name)
	var b bytes.Buffer
	if err := x3p.Write(&b, f.Fire(seed<<8|uint64(j), shot)); err != nil {
		return s, fmt.Errorf("generated scan %s: %w", s.name, err)
	}
	if err := os.WriteFile(s.path, b.Bytes(), 0o600); err != nil {
		return s, fmt.Errorf("generated scan: %w", err)
	}
	return s, nil
}
