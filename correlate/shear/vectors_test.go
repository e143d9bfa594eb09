package shear

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	Refused    []refusedVector
}

// refusedVector are bytes that are no signature of a mark.
type refusedVector struct {
	What, Bytes string // hexadecimal
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
	v.Refused = refused(t)
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
	// Further marks, each with pairs of its own: the first five have all of theirs.
	sparse := make([]int, 150) // no 48 samples in a row of which all are there
	for i := range sparse {
		if sparse[i] = rng.Below(15) - 7; i%3 == 1 {
			sparse[i] = int(missing)
		}
	}
	further := [][]int{sparse}
	// Two pairs whose second lies half a sample behind the first, so that the roles make
	// another r: a sign decides them, and a missing sample.
	for _, begin := range [2][2][2]int{{{5, 2}, {-5, 2}}, {{1, 3}, {1, int(missing)}}} {
		whole, behind := make([]int, 121), make([]int, 120)
		for i := range whole {
			whole[i] = rng.Below(15) - 7
		}
		for i := range behind {
			behind[i] = (whole[i]+whole[i+1]+14)/2 - 7
		}
		copy(whole, begin[0][:])
		copy(behind, begin[1][:])
		further = append(further, whole, behind)
	}
	for _, q := range further {
		m, err := newMark(500, q)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := m.MarshalBinary()
		v.Signatures = append(v.Signatures, hex.EncodeToString(b))
	}
	for _, p := range [][2]int{{4, 5}, {5, 4}, {5, 5}, {6, 7}, {7, 6}, {8, 9}, {9, 8}} {
		v.Pairs = append(v.Pairs, pairVector{A: p[0], B: p[1]})
	}
	return v
}

// refused are signatures each of which breaks one rule alone.
func refused(t *testing.T) (all []refusedVector) {
	t.Helper()
	add := func(what string, raw []byte) {
		if _, err := Decode(raw); !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s: %v", what, err)
		}
		all = append(all, refusedVector{what, hex.EncodeToString(raw)})
	}
	good, _ := simplest().MarshalBinary()
	set := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	// striae of −7 and +7 in turn, but for what change makes of them
	striae := func(samples int, change func(q []int8)) []byte {
		m := &Mark{rms: 300, quality: 128, q: make([]int8, samples)}
		for i := range m.q {
			m.q[i] = int8(maxLevel - 2*maxLevel*(i%2))
		}
		change(m.q)
		b, _ := m.MarshalBinary()
		return b
	}
	asTheyAre := func([]int8) {}
	for _, samples := range []int{MinSamples, MinSamples + 1, MaxSamples} {
		if _, err := Decode(striae(samples, asTheyAre)); err != nil {
			t.Error(err)
		}
	}
	add("nothing", nil)
	add("another magic", set(0, 'Q'))
	add("format version 2", set(3, 2))
	add("region 1", set(4, 1))
	add("a header cut short", good[:headerSize-1])
	add("samples cut short", good[:len(good)-1])
	add("a byte after the samples", append(bytes.Clone(good), 0))
	add("47 samples", striae(MinSamples-1, asTheyAre))
	add("321 samples", striae(MaxSamples+1, asTheyAre))
	odd := striae(MinSamples+1, asTheyAre)
	odd[len(odd)-1] |= 0x70
	add("an odd number of samples, the last high half 7", odd)
	add("the first sample is missing", striae(MinSamples+2, func(q []int8) { q[0] = missing }))
	add("the last sample is missing", striae(MinSamples+2, func(q []int8) { q[len(q)-1] = missing }))
	add("47 samples that are not missing", striae(MinSamples, func(q []int8) { q[20] = missing }))
	add("a sum of squares of 95", striae(MinSamples, func(q []int8) {
		clear(q)
		copy(q, []int8{7, 6, 3, 1})
	}))
	return all
}

// rolesMatter checks that the other order of two marks would make another r, so that
// the vectors of such a pair tell one order from the other.
func (v *vectors) rolesMatter(t *testing.T, first, second int) {
	t.Helper()
	var marks [2]*Mark
	for i, at := range [2]int{first, second} {
		raw, err := hex.DecodeString(v.Signatures[at])
		if err != nil {
			t.Fatal(err)
		}
		if marks[i], err = Decode(raw); err != nil {
			t.Fatal(err)
		}
	}
	asBytes := func(m *Mark) (b []byte) {
		for _, q := range m.q {
			b = append(b, byte(q))
		}
		return b
	}
	if order(marks[0], marks[1]) < 0 == (bytes.Compare(asBytes(marks[0]), asBytes(marks[1])) < 0) {
		t.Errorf("marks %d and %d: as signed numbers and as bytes the same one comes first", first, second)
	}
	if match(marks[0], marks[1]).R == match(marks[1], marks[0]).R {
		t.Errorf("marks %d and %d: the roles make no difference", first, second)
	}
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
	if len(want.Pairs) != 32 || len(want.Signatures) != 10 || len(want.Refused) != 14 {
		t.Fatalf("%d pairs, %d signatures, %d refused", len(want.Pairs), len(want.Signatures), len(want.Refused))
	}
	want.rolesMatter(t, 6, 7)
	want.rolesMatter(t, 8, 9)
	if !reflect.DeepEqual(got.Refused, want.Refused) {
		t.Error("what is refused has changed")
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
