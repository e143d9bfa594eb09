package correlate

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
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

// These values must come out on every architecture and at every level of
// optimisation: amd64 (GOAMD64=v1 and v3), 386, arm64. A change of them is a
// change of Algorithm.
func TestSameBitsEverywhere(t *testing.T) {
	a, q, err := Encode(pixelScan(1, 0), BreechFace)
	if err != nil {
		t.Fatal(err)
	}
	b := mustEncode(t, pixelScan(1, 1))
	other := mustEncode(t, pixelScan(2, 0))
	hash := func(s *Signature) string {
		raw, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(raw)
		return hex.EncodeToString(sum[:8])
	}
	score := func(s *Signature) uint64 { return math.Float64bits(Compare(NewTemplate(a), NewTemplate(s)).Score) }
	for _, c := range []struct{ what, got, want string }{
		{"signature", hash(a), wantSignature},
		{"signature of the turned scan", hash(b), wantTurned},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.what, c.got, c.want)
		}
	}
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{"RMS", math.Float64bits(q.RMS), wantRMS},
		{"score of the turned scan", score(b), wantSame},
		{"score of another scan", score(other), wantOther},
	} {
		if c.got != c.want {
			t.Errorf("%s: %#x (%v), want %#x", c.what, c.got, math.Float64frombits(c.got), c.want)
		}
	}
}

const (
	wantSignature = "c2121d75ef91a75a"
	wantTurned    = "ac7105d13a6c0d9d"
	wantRMS       = 0x3fe15f17c18771da
	wantSame      = 0x3fee61cdabba6afe
	wantOther     = 0x3fb088abf2f3abbc
)
