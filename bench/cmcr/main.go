// Command cmcr compares pairs of breech faces of a labelled folder with Proofmark
// and prints their times in the JSON shape that cmcr.R prints for cmcR, so that
// both stand side by side in one run. It owns the choice of the pairs.
package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/evaluate"
	"proofmark/correlate/x3p"
)

// timedPair is one comparison.
type timedPair struct {
	A       string  `json:"a"`
	B       string  `json:"b"`
	Same    bool    `json:"same"`
	Seconds float64 `json:"seconds"` // from the signatures' bytes to the score
	Score   float64 `json:"score"`
	Cells   int     `json:"congruent_cells"`
}

// timing is what one method took.
type timing struct {
	Method         string      `json:"method"`
	Threads        int         `json:"threads"`
	Pairs          int         `json:"pairs"`
	PrepareSeconds float64     `json:"prepare_seconds"` // per scan: read, decode, encode
	SecondsMean    float64     `json:"seconds_mean"`
	SecondsMedian  float64     `json:"seconds_median"`
	AUC            *float64    `json:"auc"`
	SameMin        *float64    `json:"same_min"`
	DifferentMax   *float64    `json:"different_max"`
	CoarseSeconds  *float64    `json:"coarse_seconds"` // per signature that a search scans
	LimitSeconds   *float64    `json:"limit_seconds"`  // the scan's words × plain popcount rate: the physical limit of counting them one by one
	Measured       []timedPair `json:"measured"`
}

func main() {
	each := flag.Int("each", 3, "pairs of each kind, same and different source")
	seed := flag.Uint64("seed", 1, "of the choice of pairs")
	truth := flag.String("truth", "truth.csv", "table of labels in the folder: scan,source")
	table := flag.String("pairs", "", "write the chosen pairs into this file (CSV), for cmcr.R")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "give one folder of scans with a table of labels")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *truth, *table, *each, *seed); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder, truth, table string, each int, seed uint64) error {
	f, err := os.Open(filepath.Join(folder, truth))
	if err != nil {
		return fmt.Errorf("table of labels: %w", err)
	}
	defer f.Close()
	set, err := evaluate.ReadTruth(f)
	if err != nil {
		return err
	}
	pairs, err := choose(set, each, seed)
	if err != nil {
		return err
	}
	if table != "" {
		if err := writePairs(table, pairs); err != nil {
			return err
		}
	}
	runtime.GOMAXPROCS(1)
	t, err := measure(os.DirFS(folder), pairs)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(t)
}

// errNoPairs: the table does not hold both kinds.
var errNoPairs = errors.New("the table holds no pair of one source, or none of two")

// choose draws pairs of each kind, in the table's order within a pair.
func choose(set []evaluate.Labelled, each int, seed uint64) ([]timedPair, error) {
	var kinds [2][]timedPair
	for i, a := range set {
		for _, b := range set[i+1:] {
			k := 0
			if a.Source == b.Source {
				k = 1
			}
			kinds[k] = append(kinds[k], timedPair{A: a.Scan, B: b.Scan, Same: k == 1})
		}
	}
	if len(kinds[0]) == 0 || len(kinds[1]) == 0 || each < 1 {
		return nil, errNoPairs
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	var out []timedPair
	for _, k := range slices.Backward(kinds[:]) {
		for _, i := range rng.Perm(len(k))[:min(each, len(k))] {
			out = append(out, k[i])
		}
	}
	return out, nil
}

func writePairs(path string, pairs []timedPair) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("table of pairs: %w", err)
	}
	w := csv.NewWriter(f)
	rows := [][]string{{"a", "b", "same"}}
	for _, p := range pairs {
		rows = append(rows, []string{p.A, p.B, strconv.FormatBool(p.Same)})
	}
	if err := errors.Join(w.WriteAll(rows), f.Close()); err != nil {
		return fmt.Errorf("table of pairs: %w", err)
	}
	return nil
}

// measure encodes each scan once and times every pair from the signatures' bytes.
func measure(folder fs.FS, pairs []timedPair) (*timing, error) {
	signatures := map[string][]byte{}
	began := time.Now()
	for _, p := range pairs {
		for _, name := range [2]string{p.A, p.B} {
			if signatures[name] != nil {
				continue
			}
			packed, err := encode(folder, name)
			if err != nil {
				return nil, fmt.Errorf("scan %s: %w", name, err)
			}
			signatures[name] = packed
		}
	}
	t := &timing{Method: correlate.Algorithm, Threads: 1, Pairs: len(pairs), PrepareSeconds: time.Since(began).Seconds() / float64(len(signatures))}
	var seconds []float64
	won, of := 0.0, 0.0
	for _, p := range pairs {
		began := time.Now()
		var marks [2]*correlate.Template
		for i, name := range [2]string{p.A, p.B} {
			s, err := correlate.DecodeSignature(signatures[name])
			if err != nil {
				return nil, err
			}
			marks[i] = correlate.NewTemplate(s)
		}
		c := correlate.Compare(marks[0], marks[1])
		p.Seconds, p.Score, p.Cells = time.Since(began).Seconds(), c.Score, c.CongruentCells
		seconds = append(seconds, p.Seconds)
		t.Measured = append(t.Measured, p)
		t.SecondsMean += p.Seconds / float64(len(pairs))
		if p.Same && (t.SameMin == nil || p.Score < *t.SameMin) {
			t.SameMin = new(p.Score)
		}
		if !p.Same && (t.DifferentMax == nil || p.Score > *t.DifferentMax) {
			t.DifferentMax = new(p.Score)
		}
	}
	for _, s := range t.Measured {
		for _, d := range t.Measured {
			if !s.Same || d.Same {
				continue
			}
			switch of++; {
			case s.Score > d.Score:
				won++
			case s.Score == d.Score:
				won += 0.5
			}
		}
	}
	if of > 0 {
		t.AUC = new(won / of)
	}
	if err := t.scan(signatures); err != nil {
		return nil, err
	}
	slices.Sort(seconds)
	t.SecondsMedian = seconds[len(seconds)/2]
	return t, nil
}

// scan times the first stage of a search over the signatures, and counting as many
// words' bits with nothing else to do: each the best of five runs.
func (t *timing) scan(signatures map[string][]byte) error {
	const repeat = 500
	gallery := correlate.NewGallery()
	var query *correlate.Template
	for name, packed := range signatures {
		s, err := correlate.DecodeSignature(packed)
		if err != nil {
			return err
		}
		mark := correlate.NewTemplate(s)
		if gallery.Put(name, correlate.Class{}, mark); query == nil {
			query = mark
		}
	}
	scan := gallery.NewScan(query)
	coarse, limit := math.Inf(1), math.Inf(1)
	for range 5 {
		began, words, n := time.Now(), int64(0), 0
		for range repeat {
			work, err := scan.Run(context.Background())
			if err != nil {
				return err
			}
			words, n = words+work.Words, n+work.Signatures
		}
		coarse = min(coarse, time.Since(began).Seconds()/float64(n))
		began = time.Now()
		correlate.CountWords(words)
		limit = min(limit, time.Since(began).Seconds()/float64(n))
	}
	t.CoarseSeconds, t.LimitSeconds = &coarse, &limit
	return nil
}

func encode(folder fs.FS, name string) ([]byte, error) {
	b, err := fs.ReadFile(folder, name)
	if err != nil {
		return nil, err
	}
	scan, err := x3p.Decode(b, x3p.Options{})
	if err != nil {
		return nil, err
	}
	s, _, err := correlate.Encode(scan, correlate.BreechFace)
	if err != nil {
		return nil, err
	}
	return s.MarshalBinary()
}
