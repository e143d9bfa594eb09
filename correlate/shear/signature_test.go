package shear

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"proofmark/correlate"
)

// randomMark is a mark of smooth random heights, some missing.
func randomMark(r *rand.Rand, n int) *Mark {
	q := make([]int, n)
	v := 0.0
	for i := range q {
		v = 0.6*v + r.NormFloat64()
		q[i] = max(-7, min(7, int(math.Round(3.5*v))))
		if i > 8 && i < n-8 && r.IntN(30) == 0 {
			q[i] = int(missing)
		}
	}
	m, err := newMark(uint16(200+r.IntN(1000)), q)
	if err != nil {
		panic(err)
	}
	m.quality = uint8(r.IntN(256))
	return m
}

// part of a mark: samples from ≤ i < to.
func (m *Mark) part(from, to int) *Mark {
	q := make([]int, 0, to-from)
	for _, v := range m.q[from:to] {
		q = append(q, int(v))
	}
	for q[0] == int(missing) {
		q[0] = 1
	}
	if q[len(q)-1] == int(missing) {
		q[len(q)-1] = 1
	}
	out, err := newMark(m.rms, q)
	if err != nil {
		panic(err)
	}
	return out
}

func (m *Mark) reversed() *Mark {
	out := *m
	out.q = slices.Clone(m.q)
	slices.Reverse(out.q)
	return &out
}

func TestSignatureRoundTripToTheBit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		m := randomMark(r, MinSamples+20+r.IntN(MaxSamples-MinSamples-19))
		b, err := m.MarshalBinary()
		if err != nil || len(b) > MaxSignatureSize {
			t.Fatal(len(b), err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := got.MarshalBinary()
		if !bytes.Equal(again, b) || !slices.Equal(got.q, m.q) || got.rms != m.rms || got.quality != m.quality || got.known != m.known {
			t.Fatal("decoded mark differs")
		}
	}
}

// simplest is the mark that stands in docs/signature-shear.md.
func simplest() *Mark {
	q := make([]int, MinSamples)
	for i := range q {
		q[i] = 7 - 14*(i%2)
	}
	m, err := newMark(300, q)
	if err != nil {
		panic(err)
	}
	m.quality = 128
	return m
}

func TestDecodeRefuses(t *testing.T) {
	good, _ := simplest().MarshalBinary()
	change := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] = v
		return b
	}
	odd, _ := randomMark(rand.New(rand.NewPCG(3, 4)), 99).MarshalBinary()
	odd[len(odd)-1] |= 0x30
	flat := bytes.Clone(good)
	for i := headerSize; i < len(flat); i++ {
		flat[i] = 0x77
	}
	gone := bytes.Clone(good)
	for i := headerSize + 1; i < len(gone)-1; i++ {
		gone[i] = 0xff
	}
	for name, b := range map[string][]byte{
		"empty": nil, "header cut": good[:headerSize-1], "header only": good[:headerSize], "samples cut": good[:len(good)-1],
		"trailing byte": append(bytes.Clone(good), 0), "too long": make([]byte, MaxSignatureSize+1),
		"magic": change(0, 'Q'), "version": change(3, 2), "region": change(4, 1), "more samples": change(8, 49), "fewer samples": change(8, 47),
		"very many samples": change(9, 0xff), "first missing": change(headerSize, 0x0f), "last missing": change(len(good)-1, 0xf0),
		"unused half": odd, "no striae": flat, "nearly all missing": gone,
	} {
		if _, err := Decode(b); !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{MinSamples + 20, 99, MaxSamples} {
		b, _ := randomMark(r, n).MarshalBinary()
		f.Add(b)
		f.Add(b[:len(b)/2])
		b[len(b)/2] = 0xff
		f.Add(b)
	}
	f.Add([]byte("PMA"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrBadSignature) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		again, _ := m.MarshalBinary()
		if !bytes.Equal(again, b) {
			t.Fatal("accepted bytes are not canonical")
		}
		c := Compare(m, m)
		switch {
		case !m.Passes():
		case m.known < leastOverlap(len(m.q)): // with its gaps it can be compared with shorter marks alone
			if c.Score != 0 || c.R != 0 || len(c.Reasons) == 0 {
				t.Fatalf("a mark of %d samples, %d of them there, compared with itself: %+v", len(m.q), m.known, c)
			}
		case c.R < 0.999: // at another lag, or reversed, where the striae repeat
			t.Fatalf("compared with itself: %+v", c)
		}
	})
}

func TestDocumentedVector(t *testing.T) {
	raw, _ := simplest().MarshalBinary()
	doc, err := os.ReadFile("../../docs/signature-shear.md")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("% x, then 24 times 0e", raw[:headerSize]); !strings.Contains(strings.Join(strings.Fields(string(doc)), " "), got) || strings.Count(hex.EncodeToString(raw[headerSize:]), "0e") != 24 {
		t.Errorf("docs/signature-shear.md does not hold the vector\n%s", got)
	}
}

// Exchanging the marks exchanges the point of view and no bit of the score, and
// the lag says where the marks lie on each other.
func TestCompareIsSymmetricAndFindsLags(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 40 {
		whole := randomMark(r, 200)
		at := r.IntN(100)
		part := whole.part(at, at+90)
		// The part's middle lies at at + 45 samples, the whole's at 100.
		want := (float64(at) + 45 - 100) * SamplePitch
		for _, c := range []struct {
			a, b     *Mark
			lag      float64
			reversed bool
		}{
			{part, whole, want, false}, {whole, part, -want, false},
			{part, whole.reversed(), -want, true}, {whole, part.reversed(), want, true}, {part.reversed(), whole, want, true},
		} {
			got, back := Compare(c.a, c.b), Compare(c.b, c.a)
			if got.R < 0.97 || math.Abs(got.Lag-c.lag) > 3.2 || got.Reversed != c.reversed || math.Abs(got.Overlap-90*SamplePitch) > 12*SamplePitch {
				t.Fatalf("a part at %d: %+v, want a lag of %g, reversed %v", at, got, c.lag, c.reversed)
			}
			if math.Float64bits(got.Score) != math.Float64bits(back.Score) || got.R != back.R || got.Overlap != back.Overlap || got.Exchanged().Lag != back.Lag || got.Reversed != back.Reversed {
				t.Fatalf("%+v and back %+v", got, back)
			}
		}
		other := Compare(part, randomMark(r, 200))
		if other.Score > 0.75 {
			t.Errorf("a stranger scores %.2f", other.Score)
		}
	}
}

// A mark with more gaps than an overlap may have is one: shorter marks find it. It does not find its like, which the quality says.
func TestMarkOfManyGaps(t *testing.T) {
	whole := randomMark(rand.New(rand.NewPCG(11, 12)), 200)
	for i, v := range whole.q {
		if v == missing {
			whole.q[i] = 1
		}
	}
	gaps := whole.part(0, 200)
	for i := 70; i < 160; i++ {
		gaps.q[i] = missing
	}
	if err := gaps.check(); err != nil || gaps.known != 110 {
		t.Fatal(gaps.known, err)
	}
	raw, _ := gaps.MarshalBinary()
	if _, err := Decode(raw); err != nil {
		t.Fatal(err)
	}
	if c := Compare(gaps, gaps); c.Score != 0 || len(c.Reasons) != 1 {
		t.Errorf("with itself: %+v", c)
	}
	if c := Compare(gaps, whole.part(0, 75)); c.R < 0.99 {
		t.Errorf("with a shorter part: %+v", c)
	}
	q := Quality{RMS: 0.5, Width: gaps.Width(), Agreement: 0.9, ValidShare: 0.55, known: gaps.known, samples: len(gaps.q)}
	if q.explain(); q.Accept || !strings.Contains(strings.Join(q.Reasons, "; "), "gaps") {
		t.Errorf("%+v", q)
	}
	q.known, q.Reasons = 120, nil
	if q.explain(); !q.Accept || strings.Contains(strings.Join(q.Reasons, "; "), "gaps") {
		t.Errorf("%+v", q)
	}
}

func TestGallery(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	g := NewGallery()
	var marks []*Mark
	for i := range 200 {
		m := randomMark(r, 180)
		marks = append(marks, m)
		c := correlate.Class{Calibre: "9x19"}
		if i%2 == 1 {
			c.Calibre = "45 ACP"
		}
		if err := g.Put(fmt.Sprint(i), c, m); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	q := marks[46].part(20, 160).reversed()
	found, err := g.Search(ctx, q, correlate.Class{}, 5, nil)
	if err != nil || len(found) != 5 || found[0].ID != "46" || !found[0].Reversed || found[0].Score < 1.4*found[1].Score {
		t.Fatalf("%+v, %v", found, err)
	}
	for i, f := range found[1:] {
		if f.Score > found[i].Score {
			t.Error("not in order")
		}
	}
	if found, _ := g.Search(ctx, q, correlate.Class{Calibre: "45 ACP"}, 5, nil); found[0].ID == "46" || len(found) != 5 {
		t.Errorf("another class: %+v", found)
	}
	if found, _ := g.Search(ctx, q, correlate.Class{}, 300, func(id string) bool { return id != "46" }); found[0].ID == "46" || len(found) != 199 {
		t.Errorf("%d found, %s first", len(found), found[0].ID)
	}
	if err := g.Put("46", correlate.Class{}, marks[3]); err != nil {
		t.Fatal(err)
	}
	g.Remove("3")
	g.Remove("no such")
	found, _ = g.Search(ctx, marks[3], correlate.Class{}, 1, nil)
	if g.Len() != 199 || found[0].ID != "46" {
		t.Errorf("%d marks, %+v", g.Len(), found)
	}
	// Equal scores stand in the order of their ids.
	for _, id := range []string{"twin b", "twin a"} {
		if err := g.Put(id, correlate.Class{}, marks[10]); err != nil {
			t.Fatal(err)
		}
	}
	found, _ = g.Search(ctx, marks[10], correlate.Class{}, 3, nil)
	if found[0].ID != "10" || found[1].ID != "twin a" || found[2].ID != "twin b" {
		t.Errorf("%+v", found)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := g.Search(cancelled, q, correlate.Class{}, 5, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if found, err := g.Search(ctx, q, correlate.Class{}, 0, nil); found != nil || err != nil {
		t.Errorf("none kept: %v, %v", found, err)
	}
}
