package shear

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"testing"

	"proofmark/correlate"
	"proofmark/correlate/exact"
	"proofmark/correlate/x3p"
)

var writeVectors = flag.Bool("write-vectors", false, "generate testdata/vectors.json anew: a change of Algorithm")

// vectors are testdata/vectors.json: what any implementation, on any architecture,
// must make of the scan and of the signatures.
type vectors struct {
	Algorithm  string
	Scan       scanVector
	Signatures []string // hexadecimal
	Pairs      []pairVector
}

// scanVector is a facet alone.
type scanVector struct {
	Columns, Rows int
	SpacingNM     int
	HeightsNM     []int // row by row
	Signature     string
	Direction     float64 // degrees
	RMS           string  // IEEE 754 double, hexadecimal
}

type pairVector struct {
	A, B         int
	Score, R     string // IEEE 754 doubles, hexadecimal
	Lag, Overlap float64
	Reversed     bool
}

func bitString(v float64) string { return fmt.Sprintf("%016x", math.Float64bits(v)) }

// wholeScan is a slanted facet of striae in whole nanometres, made without any
// rounding that an architecture could do otherwise.
func wholeScan() scanVector {
	v := scanVector{Columns: 130, Rows: 40, SpacingNM: 6250}
	rng := exact.Sequence(21)
	noise := make([]int, 400)
	for i := range noise {
		noise[i] = rng.Below(3001) - 1500
	}
	for y := range v.Rows {
		for x := range v.Columns {
			at := 4*x + y // striae that lean by one column in four rows
			sum := 0
			for d := range 8 {
				sum += noise[(at+d)/4+100]
			}
			v.HeightsNM = append(v.HeightsNM, sum/4+x*700-y*300+rng.Below(101))
		}
	}
	return v
}

func (v scanVector) scan() *x3p.Scan {
	s := &x3p.Scan{SizeX: v.Columns, SizeY: v.Rows, IncX: float64(v.SpacingNM) / 1e9, IncY: float64(v.SpacingNM) / 1e9}
	for _, h := range v.HeightsNM {
		s.Z = append(s.Z, float64(h)/1e9)
	}
	return s
}

// fill computes everything from the scan's heights and the signatures' bytes.
func (v *vectors) fill(t *testing.T) {
	v.Algorithm = Algorithm
	m, q, err := Encode(v.Scan.scan(), correlate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := m.MarshalBinary()
	v.Scan.Signature, v.Scan.Direction, v.Scan.RMS = hex.EncodeToString(b), q.Direction, bitString(q.RMS)
	var marks []*Mark
	for _, s := range v.Signatures {
		raw, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		marks = append(marks, m)
	}
	for i := range v.Pairs {
		p := &v.Pairs[i]
		c := Compare(marks[p.A], marks[p.B])
		p.Score, p.R, p.Lag, p.Overlap, p.Reversed = bitString(c.Score), bitString(c.R), c.Lag, c.Overlap, c.Reversed
	}
}

func newVectors(t *testing.T) *vectors {
	v := &vectors{Scan: wholeScan()}
	m, _, err := Encode(v.Scan.scan(), correlate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rng := exact.Sequence(22)
	q := make([]int, 150)
	for i := range q {
		q[i] = rng.Below(15) - 7
	}
	q[70] = int(missing)
	other, err := newMark(700, q)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Mark{m, m.part(20, 110).reversed(), other, other.part(10, 90), simplest()} {
		b, _ := s.MarshalBinary()
		v.Signatures = append(v.Signatures, hex.EncodeToString(b))
	}
	for a := range v.Signatures {
		for b := range v.Signatures {
			v.Pairs = append(v.Pairs, pairVector{A: a, B: b})
		}
	}
	return v
}

// These values must come out on every architecture and at every level of
// optimisation. A change of them is a change of Algorithm.
func TestVectors(t *testing.T) {
	const path = "testdata/vectors.json"
	if *writeVectors {
		v := newVectors(t)
		v.fill(t)
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want, got vectors
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	got.fill(t)
	if len(want.Pairs) != 25 {
		t.Fatalf("%d pairs", len(want.Pairs))
	}
	if got.Algorithm != want.Algorithm || !reflect.DeepEqual(got.Scan, want.Scan) {
		t.Errorf("the scan makes %s at %g°, want %s at %g°", got.Scan.Signature, got.Scan.Direction, want.Scan.Signature, want.Scan.Direction)
	}
	for i, w := range want.Pairs {
		if got.Pairs[i] != w {
			t.Errorf("%+v\nwant %+v", got.Pairs[i], w)
		}
	}
}
