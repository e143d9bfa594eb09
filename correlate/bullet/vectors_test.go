//go:build !race

package bullet

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

var writeVectors = flag.Bool("write-vectors", false, "generate testdata anew: a change of Algorithm")

// vectors are testdata/vectors.json: what any implementation, on any
// architecture, must make of the scans and signatures. Scores are IEEE 754
// doubles in hexadecimal.
type vectors struct {
	Algorithm string
	Scans     []scanVector
	Bullets   []string // hexadecimal
	Lands     []landVector
	Pairs     []pairVector
	Refused   []refusedVector
}

// refusedVector are bytes that are no signature of a bullet.
type refusedVector struct {
	What  string
	Bytes string // hexadecimal
}

type scanVector struct {
	File      string
	Signature string // of a bullet of one land
	RMS       string // bits of Quality.RMS
	Agreement string
}

type landVector struct {
	A, B    int // scans
	Z, R    string
	Lag     float64
	Overlap float64
	Coarse  string
}

type pairVector struct {
	A, B            int // bullets
	All             bool
	Score, Contrast string
	Stretch         float64
	Phase, Counted  int
	Arrangement
	Conclusive bool
}

func bitString(v float64) string { return fmt.Sprintf("%016x", math.Float64bits(v)) }

// fill computes everything from the scans' files and the bullets' bytes.
func (v *vectors) fill(t *testing.T) {
	v.Algorithm = Algorithm
	var lands []*Land
	for i := range v.Scans {
		raw, err := os.ReadFile(filepath.Join("testdata", v.Scans[i].File))
		if err != nil {
			t.Fatal(err)
		}
		s, err := x3p.Decode(raw, x3p.Options{Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		l, q, err := EncodeLand(s)
		if err != nil {
			t.Fatal(err)
		}
		lands = append(lands, l)
		b, _ := mustBullet(t, l).MarshalBinary()
		v.Scans[i].Signature, v.Scans[i].RMS, v.Scans[i].Agreement = hex.EncodeToString(b), bitString(q.RMS), bitString(q.Agreement)
	}
	v.Lands = nil
	for i := range lands {
		for j := i + 1; j < len(lands); j++ {
			c := CompareLands(lands[i], lands[j])
			v.Lands = append(v.Lands, landVector{i, j, bitString(c.Z), bitString(c.R), c.Lag, c.Overlap, bitString(CoarseScore(lands[i], lands[j]))})
		}
	}
	var all []*Template
	for _, h := range v.Bullets {
		raw, err := hex.DecodeString(h)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, NewTemplate(b))
	}
	v.Refused = refused(t)
	v.Pairs = nil
	for i := range all {
		for j := i + 1; j < len(all); j++ {
			for k, compare := range []func(a, b *Template) Comparison{Compare, CompareAll} {
				c := compare(all[i], all[j])
				v.Pairs = append(v.Pairs, pairVector{i, j, k == 1, bitString(c.Score), bitString(c.Contrast), c.Stretch, c.Phase, c.Counted, c.Arrangement, c.Conclusive})
			}
		}
	}
}

// row is a record of a land of R = 300 nm with so many samples, −7 and +7 in turn,
// those excepted that set names: its half-bytes.
func row(samples int, set map[int]byte) []byte {
	b := []byte{300 & 0xff, 300 >> 8, byte(samples), byte(samples >> 8)}
	for i := range samples {
		v, ok := set[i]
		if !ok {
			v = byte(2 * levels * ((i + 1) % 2))
		}
		if i%2 == 0 {
			b = append(b, v)
		} else {
			b[len(b)-1] |= v << 4
		}
	}
	return b
}

// refused are signatures each of which breaks one rule alone.
func refused(t *testing.T) (all []refusedVector) {
	t.Helper()
	bullet := func(lands, present byte, records ...[]byte) []byte {
		return append([]byte{'P', 'M', 'L', 1, 2, lands, present, 0}, bytes.Join(records, nil)...)
	}
	add := func(what string, raw []byte) {
		if _, err := Decode(raw); !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s: %v", what, err)
		}
		all = append(all, refusedVector{what, hex.EncodeToString(raw)})
	}
	good := bullet(1, 1, row(64, nil))
	if _, err := Decode(good); err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(bullet(3, 5, row(65, nil), row(66, map[int]byte{30: missingNibble}))); err != nil {
		t.Fatal(err)
	}
	set := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	add("nothing", nil)
	add("another magic", set(0, 'Q'))
	add("format version 2", set(3, 2))
	add("region 1", set(4, 1))
	add("a barrel without lands", set(5, 0))
	add("a barrel of nine lands", set(5, 9))
	add("no land is there", set(6, 0))
	add("a land beyond those of the barrel is there", set(6, 2))
	add("the reserved byte is set", set(7, 1))
	add("a header cut short", good[:headerSize-1])
	add("a land that is announced and not there", set(5, 2)[:headerSize])
	add("a record's header cut short", good[:headerSize+recordHeader-1])
	add("samples cut short", good[:len(good)-1])
	add("a byte after the last land", append(bytes.Clone(good), 0))
	add("a second land that is not announced", bullet(2, 1, row(64, nil), row(64, nil)))
	add("63 samples", bullet(1, 1, row(63, nil)))
	add("321 samples", bullet(1, 1, row(321, nil)))
	odd := bullet(1, 1, row(65, nil))
	odd[len(odd)-1] |= 0x70
	add("an odd number of samples, the last high half 7", odd)
	add("the first sample is missing", bullet(1, 1, row(66, map[int]byte{0: missingNibble})))
	add("the last sample is missing", bullet(1, 1, row(66, map[int]byte{65: missingNibble})))
	add("63 samples that are not missing", bullet(1, 1, row(64, map[int]byte{30: missingNibble})))
	low := map[int]byte{0: levels + 7, 1: levels + 7, 2: levels + 5, 3: levels + 2}
	for i := 4; i < 64; i++ {
		low[i] = levels
	}
	add("a sum of squares of 127", bullet(1, 1, row(64, low)))
	add("nine records of 320 samples, the header says eight", bullet(8, 255, bytes.Repeat(row(320, nil), 9)))
	return all
}

// generate makes the scans and bullets that the vectors are computed from.
func (v *vectors) generate(t *testing.T) {
	small := synth.LandShot{Pitch: 3.125e-6, Along: 12.5e-6, Rows: 16}
	for i, s := range []struct {
		barrel, shot uint64
		mirrored     bool
	}{{1, 1, false}, {1, 2, false}, {1, 3, true}} {
		how := small
		how.Mirrored = s.mirrored
		scan := synth.NewBarrel(s.barrel, synth.Rifling{}).FireLand(s.shot, 0, how)
		for k := range scan.Z { // nanometres: the files stay small
			scan.Z[k] = math.Round(scan.Z[k]*1e9) / 1e9
		}
		var buf bytes.Buffer
		if err := x3p.Write(&buf, scan); err != nil {
			t.Fatal(err)
		}
		v.Scans = append(v.Scans, scanVector{File: fmt.Sprintf("land-%d.x3p", i+1)})
		if err := os.WriteFile(filepath.Join("testdata", v.Scans[i].File), buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	add := func(b *Bullet) {
		raw, _ := b.MarshalBinary()
		v.Bullets = append(v.Bullets, hex.EncodeToString(raw))
	}
	// Strong barrels, so that most lands pass the gate.
	strong := func(barrel, shot uint64, scale float64) *Bullet {
		scans, _ := synth.NewBarrel(barrel, synth.Rifling{Strength: 1.3}).FireBullet(shot, small)
		var lands []*Land
		for _, s := range scans {
			s.IncX *= scale
			lands = append(lands, mustLand(t, s))
		}
		return mustBullet(t, lands...)
	}
	first, second, other := strong(1, 1, 1), strong(1, 2, 1), strong(2, 1, 1)
	part := &Bullet{append([]*Land(nil), second.lands...)}
	part.lands[1], part.lands[4] = nil, nil
	add(first)
	add(second)
	add(other)
	add(part)
	add(arranged(second, Arrangement{Mirrored: true, Descending: true}))
	add(strong(1, 2, 1.015))
	v.addScarce(t, second)
}

// addScarce adds bullets that nothing can be counted with: one that two lands are left
// of, and the lands of another as if the barrel had five.
func (v *vectors) addScarce(t *testing.T, b *Bullet) {
	two := &Bullet{make([]*Land, b.Count())}
	two.lands[0], two.lands[2] = b.lands[0], b.lands[2]
	for _, scarce := range []*Bullet{two, {b.lands[:5]}} {
		raw, err := scarce.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		v.Bullets = append(v.Bullets, hex.EncodeToString(raw))
	}
}

// These values must come out on every architecture and at every level of
// optimisation: amd64 (GOAMD64=v1 and v3), 386, arm64.
func TestVectors(t *testing.T) {
	path := filepath.Join("testdata", "vectors.json")
	if *writeVectors {
		var v vectors
		v.generate(t)
		v.fill(t)
		b, err := json.MarshalIndent(v, "", "\t")
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
	got := vectors{Bullets: want.Bullets, Scans: append([]scanVector(nil), want.Scans...)}
	got.fill(t)
	if len(want.Scans) != 3 || len(want.Bullets) != 8 || len(want.Pairs) != 56 || len(want.Refused) != 23 {
		t.Fatalf("%d scans, %d bullets, %d pairs, %d refused", len(want.Scans), len(want.Bullets), len(want.Pairs), len(want.Refused))
	}
	for i := range want.Scans {
		if got.Scans[i] != want.Scans[i] {
			t.Errorf("scan %d: %+v\nwant %+v", i, got.Scans[i], want.Scans[i])
		}
	}
	if !reflect.DeepEqual(got.Lands, want.Lands) {
		t.Errorf("lands: %+v\nwant %+v", got.Lands, want.Lands)
	}
	if !reflect.DeepEqual(got.Pairs, want.Pairs) {
		t.Errorf("pairs: %+v\nwant %+v", got.Pairs, want.Pairs)
	}
	if !reflect.DeepEqual(got.Refused, want.Refused) {
		t.Error("what is refused has changed")
	}
	if got.Algorithm != want.Algorithm {
		t.Errorf("vectors are of %s, this is %s", want.Algorithm, got.Algorithm)
	}
}
