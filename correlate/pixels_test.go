package correlate

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// A signature taken apart and put together again has the same bytes.
func TestSignatureFromPixels(t *testing.T) {
	for _, s := range []*Signature{
		mustEncode(t, texture(1).scan(view{pitch: 12.5})),
		mustEncode(t, texture(2).scan(view{pitch: 12.5, sector: 120})),
	} {
		again, err := SignatureFromPixels(s.Facts(), s.Pixels())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.encode(), s.encode()) || *again != *s {
			t.Error("the signature put together again is another")
		}
	}
}

func TestSignatureFromPixelsRefuses(t *testing.T) {
	s := mustEncode(t, texture(1).scan(view{pitch: 12.5}))
	for name, spoil := range map[string]func(f *SignatureFacts, pixels []int8) []int8{
		"origin":           func(f *SignatureFacts, p []int8) []int8 { f.Origin = 9; return p },
		"levels":           func(f *SignatureFacts, p []int8) []int8 { f.Levels = 5; return p },
		"pixel":            func(f *SignatureFacts, p []int8) []int8 { p[77] = 4; return p },
		"pixel of 4":       func(f *SignatureFacts, p []int8) []int8 { f.Levels = 4; p[77] = -3; return p },
		"aperture":         func(f *SignatureFacts, p []int8) []int8 { f.Aperture = 2560; return p },
		"aperture unknown": func(f *SignatureFacts, p []int8) []int8 { f.Aperture = 0; return p },
		"rms":              func(f *SignatureFacts, p []int8) []int8 { f.RMS = math.NaN(); return p },
		"quality":          func(f *SignatureFacts, p []int8) []int8 { f.Quality = 1.1; return p },
		"short":            func(f *SignatureFacts, p []int8) []int8 { return p[1:] },
		"empty":            func(f *SignatureFacts, p []int8) []int8 { return make([]int8, len(p)) },
	} {
		f := s.Facts()
		pixels := spoil(&f, s.Pixels())
		if _, err := SignatureFromPixels(f, pixels); !errors.Is(err, ErrBadPicture) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	f := s.Facts()
	f.ROI = LEA
	if _, err := SignatureFromPixels(f, s.Pixels()); !errors.Is(err, ErrUnsupportedROI) {
		t.Errorf("another region: error %v", err)
	}
}
