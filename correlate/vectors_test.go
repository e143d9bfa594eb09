package correlate

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"proofmark/correlate/exact"
	"proofmark/correlate/x3p"
)

// pixelScan is a breech face made without any rounding that an architecture
// could do otherwise: lattice noise in whole nanometres, smoothed by adding.
func pixelScan(seed uint64, quarterTurns int) *x3p.Scan {
	const n = 300 // 12.5 µm
	noise := make([]int, n*n)
	rng := exact.Sequence(seed)
	for i := range noise {
		noise[i] = rng.Below(4001) - 2000
	}
	s := &x3p.Scan{SizeX: n, SizeY: n, IncX: 12.5e-6, IncY: 12.5e-6, Z: make([]float64, n*n)}
	for y := range n {
		for x := range n {
			mx, my := x, y
			for range quarterTurns {
				mx, my = my, n-1-mx
			}
			s.Z[y*n+x] = math.NaN()
			if d := (2*x-n+1)*(2*x-n+1) + (2*y-n+1)*(2*y-n+1); d < 120*120 || d > 272*272 {
				continue
			}
			sum := 0
			for dy := -3; dy <= 3; dy++ {
				for dx := -3; dx <= 3; dx++ {
					sum += noise[(my+dy)*n+mx+dx]
				}
			}
			s.Z[y*n+x] = float64(sum/7) / 1e9
		}
	}
	return s
}

var writeVectors = flag.Bool("write-vectors", false, "generate testdata/vectors.json anew: a change of Algorithm")

// vectors are testdata/vectors.json, for other implementations as much as for this
// one: bytes and the picture they hold, bytes that must be refused, and what a
// comparison finds. docs/signature.md says how to read them. Scores are IEEE 754
// doubles, in hexadecimal and for people.
type vectors struct {
	Algorithm   string             `json:"algorithm"`
	Signatures  []signatureVector  `json:"signatures"`
	Refused     []refusedVector    `json:"refused"`
	Comparisons []comparisonVector `json:"comparisons"`
}

type signatureVector struct {
	What     string   `json:"what"`
	Bytes    string   `json:"bytes"`            // hexadecimal
	Region   uint8    `json:"region,omitempty"` // 2 for a firing-pin impression, absent for a breech face
	Origin   uint8    `json:"origin_kind"`
	Aperture uint8    `json:"aperture_10um"`
	Quality  uint8    `json:"quality_255"`
	RMS      uint16   `json:"rms_nm"`
	Box      [4]uint8 `json:"box"` // x, y, width, height
	Valid    uint16   `json:"valid"`
	Steps    uint8    `json:"steps"`
	Rows     []string `json:"rows"` // the box: . missing, 1 2 3 above, a b c below zero
}

type refusedVector struct {
	What  string `json:"what"`
	Bytes string `json:"bytes"`
}

type comparisonVector struct {
	A         int     `json:"a"` // places in signatures
	B         int     `json:"b"`
	ScoreBits string  `json:"score_bits"`
	Score     float64 `json:"score"`
	R         float64 `json:"r"`
	OverlapMM float64 `json:"overlap_mm2"`
	Cells     int     `json:"cells"`
	Congruent int     `json:"congruent_cells"`
	Pose      Pose    `json:"pose"`
}

func vectorOf(t *testing.T, what string, s *Signature) signatureVector {
	t.Helper()
	raw, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	v := signatureVector{What: what, Bytes: hex.EncodeToString(raw), Origin: uint8(s.centre), Aperture: s.aperture, Quality: s.quality, RMS: s.rms,
		Box: [4]uint8{s.x0, s.y0, s.w, s.h}, Valid: s.valid, Steps: s.steps}
	if s.region != roiCodeBreechFace {
		v.Region = s.region
	}
	b := s.box()
	for y := b.y0; y < b.y1; y++ {
		row := make([]byte, 0, b.x1-b.x0)
		for x := b.x0; x < b.x1; x++ {
			row = append(row, "cba.123"[s.pixels[y*side+x]+maxSteps])
		}
		v.Rows = append(v.Rows, string(row))
	}
	return v
}

// smallest is the simplest signature that is allowed, the one that stands in
// docs/signature.md.
func smallest() *Signature {
	s := &Signature{region: roiCodeBreechFace, centre: centreMask, quality: 128, rms: 500, steps: 3}
	for y := range 8 {
		for x := range 8 {
			step := int8(1 + (x+y)%3)
			if x%2 == 1 {
				step = -step
			}
			s.pixels[(66+y)*side+66+x] = step
		}
	}
	s.bound()
	return s
}

// impression is the picture of a mark as that of a firing-pin impression whose
// outline is an arc of 620 µm radius: no scan is needed to tell how it is read.
func impression(mark *Signature) *Signature {
	s := *mark
	s.region, s.centre, s.aperture = roiCodeFiringPin, centreArc, 62
	return &s
}

// tooLong is a signature in its one valid form but for its length, the least number of
// rows of noise whose code is longer than a signature may be.
func tooLong() []byte {
	s := smallest()
	s.pixels = [side * side]int8{}
	rng := exact.Sequence(23)
	for i := range s.pixels {
		if s.pixels[i] = int8(rng.Below(3)) - 3; rng.Below(2) == 1 {
			s.pixels[i] = -s.pixels[i]
		}
		if i%side < side-1 {
			continue
		}
		s.bound()
		if raw := s.encode(); len(raw) > MaxSignatureSize {
			return raw
		}
	}
	return nil
}

// makeVectors computes everything anew from scans that are made of whole numbers.
func makeVectors(t *testing.T) *vectors {
	quadrant := mustEncode(t, pixelScan(1, 0))
	for i := range quadrant.pixels {
		if i%side < side/2 || i/side < side/2 {
			quadrant.pixels[i] = 0
		}
	}
	quadrant.bound()
	coarse := mustEncode(t, pixelScan(2, 0))
	for i, p := range coarse.pixels {
		coarse.pixels[i] = max(-2, min(2, p))
	}
	coarse.steps = 2
	coarse.bound()
	v := &vectors{Algorithm: Algorithm}
	all := []*Signature{mustEncode(t, pixelScan(1, 0)), mustEncode(t, pixelScan(1, 1)), mustEncode(t, pixelScan(2, 0)), quadrant, coarse, smallest(),
		impression(mustEncode(t, pixelScan(1, 0))), impression(quadrant)}
	for i, what := range []string{"a mark", "the same scan, a quarter turn on", "another mark", "a quadrant of the first mark", "the other mark in four heights", "the simplest signature that is allowed",
		"the first mark's picture as a firing-pin impression", "the quadrant's picture as a firing-pin impression"} {
		v.Signatures = append(v.Signatures, vectorOf(t, what, all[i]))
	}
	raw, _ := smallest().MarshalBinary()
	spoil := func(what string, change func(b []byte) []byte) {
		b := change(append([]byte(nil), raw...))
		if _, err := DecodeSignature(b); !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s: %v", what, err)
		}
		v.Refused = append(v.Refused, refusedVector{what, hex.EncodeToString(b)})
	}
	set := func(at int, to byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = to; return b }
	}
	spoil("nothing", func([]byte) []byte { return nil })
	spoil("another magic", set(0, 'Q'))
	spoil("format version 2", set(3, 2))
	spoil("origin kind 4", set(5, 4))
	spoil("an aperture where none was seen", set(6, 40))
	spoil("a box wider than the picture", set(12, 9))
	spoil("a box beyond the picture", set(12, 140))
	spoil("one pixel too many", set(14, 65))
	spoil("one step", set(16, 1))
	spoil("the reserved byte is set", set(17, 1))
	spoil("a header cut short", func(b []byte) []byte { return b[:headerSize-1] })
	spoil("a zero byte at the end", func(b []byte) []byte { return append(b, 0) })
	spoil("another byte in the middle of the picture", func(b []byte) []byte { b[25] ^= 1; return b })
	spoil("region 0", set(4, 0))
	spoil("region 3", set(4, 3))
	spoil("a circle through the whole edge, of radius 0", set(5, byte(centreAperture)))
	spoil("a circle through an arc, of radius 0", set(5, byte(centreArc)))
	recoded := func(change func(s *Signature)) func([]byte) []byte {
		s := smallest()
		change(s)
		return func([]byte) []byte { return s.encode() }
	}
	spoil("a box one column too wide, its picture coded so and its pixels counted rightly", recoded(func(s *Signature) { s.w++ }))
	spoil("a box that begins one row too early, its picture coded so and its pixels counted rightly", recoded(func(s *Signature) { s.y0--; s.h++ }))
	spoil("63 pixels", recoded(func(s *Signature) { s.pixels[67*side+67] = 0; s.bound() }))
	spoil("valid but for its length of more than 2,500 bytes", func([]byte) []byte { return tooLong() })
	for _, p := range [][2]int{{0, 1}, {1, 0}, {0, 2}, {0, 3}, {3, 1}, {2, 4}, {0, 5}, {6, 7}, {7, 6}, {0, 6}} {
		c := Compare(NewTemplate(all[p[0]]), NewTemplate(all[p[1]]))
		v.Comparisons = append(v.Comparisons, comparisonVector{p[0], p[1], fmt.Sprintf("%016x", math.Float64bits(c.Score)), c.Score, c.R, c.OverlapMM2,
			c.Cells, c.CongruentCells, c.Pose})
	}
	return v
}

// These values must come out on every architecture and at every level of
// optimisation: amd64 (GOAMD64=v1 and v3), 386, arm64 (make portable). A change of
// them is a change of Algorithm.
func TestVectors(t *testing.T) {
	path := filepath.Join("testdata", "vectors.json")
	got := makeVectors(t)
	if *writeVectors {
		b, err := json.MarshalIndent(got, "", "\t")
		if err != nil {
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
	var want vectors
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Signatures) != 8 || len(want.Refused) != 21 || len(want.Comparisons) != 10 {
		t.Fatalf("%d signatures, %d refused, %d comparisons", len(want.Signatures), len(want.Refused), len(want.Comparisons))
	}
	if got.Algorithm != want.Algorithm {
		t.Errorf("vectors are of %s, this is %s", want.Algorithm, got.Algorithm)
	}
	for i, w := range want.Signatures {
		if !reflect.DeepEqual(got.Signatures[i], w) {
			t.Errorf("%s: the scan makes other bytes or another picture", w.What)
		}
		b, err := hex.DecodeString(w.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		s, err := DecodeSignature(b)
		if err != nil {
			t.Fatalf("%s: %v", w.What, err)
		}
		if again := vectorOf(t, w.What, s); !reflect.DeepEqual(again, w) {
			t.Errorf("%s: read from its bytes it differs", w.What)
		}
	}
	if !reflect.DeepEqual(got.Refused, want.Refused) {
		t.Error("what is refused has changed")
	}
	for i, w := range want.Comparisons {
		if got.Comparisons[i] != w {
			t.Errorf("%s on %s: %+v\nwant %+v", want.Signatures[w.A].What, want.Signatures[w.B].What, got.Comparisons[i], w)
		}
	}
}

// TestDocumentedVector keeps the vector in docs/signature.md true.
func TestDocumentedVector(t *testing.T) {
	raw, err := smallest().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../docs/signature.md")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("% x", raw); !strings.Contains(strings.Join(strings.Fields(string(doc)), " "), got) {
		t.Errorf("docs/signature.md does not hold the vector\n%s", got)
	}
}
