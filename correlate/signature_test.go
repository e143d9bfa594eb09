package correlate

import (
	"bytes"
	"errors"
	"testing"

	"proofmark/correlate/exact"

	"pgregory.net/rapid"
)

// drawSignature makes an arbitrary valid picture.
func drawSignature(t *rapid.T) *Signature {
	s := &Signature{
		region: uint8(rapid.IntRange(roiCodeBreechFace, roiCodeFiringPin).Draw(t, "region")),
		centre: centreKind(rapid.IntRange(0, 3).Draw(t, "centre")),
		steps:  uint8(rapid.IntRange(2, maxSteps).Draw(t, "steps")),
		rms:    rapid.Uint16().Draw(t, "rms"), quality: rapid.Uint8().Draw(t, "quality"),
	}
	if s.centre.round() {
		s.aperture = uint8(rapid.IntRange(1, 255).Draw(t, "aperture"))
	}
	rng := exact.Sequence(rapid.Uint64().Draw(t, "seed"))
	w, h := rapid.IntRange(12, 70).Draw(t, "w"), rapid.IntRange(12, 70).Draw(t, "h")
	x0, y0 := rapid.IntRange(0, side-w).Draw(t, "x0"), rapid.IntRange(0, side-h).Draw(t, "y0")
	holes := rapid.IntRange(0, 3).Draw(t, "holes")
	for y := range h {
		for x := range w {
			if rng.Below(10) >= holes {
				step := int8(1 + rng.Below(int(s.steps)))
				s.pixels[(y0+y)*side+x0+x] = step * int8(1-2*rng.Below(2))
			}
		}
	}
	s.bound()
	return s
}

func TestSignatureRoundTripToTheBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSignature(t)
		b, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeSignature(b)
		if err != nil {
			t.Fatal(err)
		}
		if *got != *s {
			t.Fatal("decoded signature differs")
		}
		again, _ := got.MarshalBinary()
		if !bytes.Equal(again, b) {
			t.Fatal("encoded again, the bytes differ")
		}
	})
}

func TestDecodeSignatureRefuses(t *testing.T) {
	good, err := mustEncode(t, texture(1).scan(view{})).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	change := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] = v
		return b
	}
	for name, b := range map[string][]byte{
		"empty":             nil,
		"header cut":        good[:headerSize-1],
		"picture cut":       good[:len(good)-40],
		"trailing zero":     append(bytes.Clone(good), 0),
		"trailing bytes":    append(bytes.Clone(good), 1, 2, 3),
		"too long":          make([]byte, MaxSignatureSize+1),
		"magic":             change(0, 'X'),
		"version":           change(3, 9),
		"region":            change(4, 3),
		"centre kind":       change(5, 7),
		"aperture missing":  change(6, 0),
		"box leaves grid":   change(12, 141),
		"box empty":         change(13, 0),
		"count":             change(15, good[15]^0x40),
		"steps":             change(16, 1),
		"reserved":          change(17, 1),
		"picture changed":   change(len(good)/2, good[len(good)/2]^0x10),
		"header only":       good[:headerSize],
		"last byte changed": change(len(good)-1, good[len(good)-1]^0x80),
	} {
		if _, err := DecodeSignature(b); !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestMarshalRefusesEmptySignature(t *testing.T) {
	if _, err := new(Signature).MarshalBinary(); err == nil {
		t.Error("an empty signature was written")
	}
}

func FuzzDecodeSignature(f *testing.F) {
	for i := range 3 {
		b, err := mustEncode(f, texture(i).scan(view{sector: float64(120 * i)})).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
		b[len(b)/3] ^= 0x55
		f.Add(b)
	}
	f.Add([]byte("PMS"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSignature(b)
		if err != nil {
			if !errors.Is(err, ErrBadSignature) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		again, err := s.MarshalBinary()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("accepted bytes are not canonical: %v", err)
		}
		// What decodes must also compare without a panic.
		tmpl := NewTemplate(s)
		if c := Compare(tmpl, tmpl); !(c.Score >= 0 && c.Score <= 1) {
			t.Fatalf("score %v", c.Score)
		}
	})
}
