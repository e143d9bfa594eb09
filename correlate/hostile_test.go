//go:build !race

package correlate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"

	"proofmark/correlate/exact"
)

var (
	hostile     = flag.Int("hostile", 1000, "how many random signatures and how many hostile byte strings TestHostileMultitude tries")
	hostileSeed = flag.Uint64("hostile-seed", 7, "seed of TestHostileMultitude: other seeds, other bytes")
)

// TestHostileMultitude decodes, compares and searches signatures that are valid and
// mean nothing, and decodes bytes that are almost signatures. Nothing may panic, and
// whatever decodes must be canonical. `go test -run HostileMultitude ./correlate -args
// -hostile 1000000` tries a million of each.
func TestHostileMultitude(t *testing.T) {
	rng := exact.Sequence(*hostileSeed)
	g := NewGallery()
	known := NewTemplate(mustEncode(t, pixelScan(1, 0)))
	n := *hostile
	if raceDetector {
		n /= 5
	}
	accepted, refused, compared := 0, 0, 0
	for i := range n {
		s := randomSignature(&rng)
		raw, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeSignature(raw)
		if err != nil || *got != *s {
			t.Fatalf("signature %d is not read as it was written: %v", i, err)
		}
		if i%16 == 0 { // a comparison takes longer than everything else together
			if c := Compare(known, NewTemplate(got)); !(c.Score >= -1 && c.Score <= 1) || c.CongruentCells > c.Cells {
				t.Fatalf("signature %d: %+v", i, c)
			}
			g.PutSignature(fmt.Sprint(i%4096), Class{}, got)
			compared++
		}

		b := append([]byte(nil), raw...)
		switch rng.Below(4) {
		case 0: // a header that lies
			b[rng.Below(headerSize)] = byte(rng.Next())
		case 1: // a picture that was damaged
			for range 1 + rng.Below(8) {
				b[headerSize+rng.Below(len(b)-headerSize)] ^= 1 << rng.Below(8)
			}
		case 2: // cut short
			b = b[:rng.Below(len(b))]
		case 3: // noise behind a true header
			for j := headerSize; j < len(b); j++ {
				b[j] = byte(rng.Next())
			}
		}
		bad, err := DecodeSignature(b)
		switch {
		case err == nil:
			again, err := bad.MarshalBinary()
			if err != nil || string(again) != string(b) {
				t.Fatalf("%x was accepted and is not canonical", b)
			}
			accepted++
		case !errors.Is(err, ErrBadSignature):
			t.Fatalf("%x: %v", b, err)
		default:
			refused++
		}
	}
	if refused < n/2 {
		t.Errorf("only %d of %d hostile strings were refused", refused, n)
	}
	found, err := g.Search(context.Background(), known, Class{}, 10, nil)
	if err != nil || len(found) != 10 {
		t.Fatalf("search among random signatures: %d found, %v", len(found), err)
	}
	t.Logf("%d read and held, %d compared; of the hostile strings %d refused, %d happen to be signatures", n, compared, refused, accepted)
}

// randomSignature is valid and anything else: any shape, any heights, thin lines,
// single pixels far apart.
func randomSignature(rng *exact.Sequence) *Signature {
	s := &Signature{region: uint8(1 + rng.Below(2)), centre: centreKind(rng.Below(4)), steps: uint8(2 + rng.Below(2)), rms: uint16(rng.Next()), quality: uint8(rng.Next())}
	if s.centre.round() {
		s.aperture = uint8(1 + rng.Below(255))
	}
	// At most 64 × 64 random heights fit into MaxSignatureSize.
	w, h := 9+rng.Below(56), 9+rng.Below(56)
	x0, y0 := rng.Below(side-w+1), rng.Below(side-h+1)
	holes := rng.Below(9)
	put := func(x, y int) {
		s.pixels[y*side+x] = int8(1+rng.Below(int(s.steps))) * int8(1-2*rng.Below(2))
	}
	for y := range h {
		for x := range w {
			if rng.Below(10) >= holes {
				put(x0+x, y0+y)
			}
		}
	}
	for range minPixels {
		put(x0+rng.Below(w), y0+rng.Below(h))
	}
	s.bound()
	for s.valid < minPixels {
		put(x0+rng.Below(w), y0+rng.Below(h))
		s.bound()
	}
	for len(s.encode()) > MaxSignatureSize {
		for i := range s.pixels {
			if rng.Below(8) == 0 {
				s.pixels[i] = 0
			}
		}
		s.bound()
	}
	return s
}
