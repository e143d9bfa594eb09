package edit

import (
	"archive/zip"
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"

	"proofmark/correlate/x3p"
)

func TestDrawnPNG(t *testing.T) {
	s := &x3p.Scan{SizeX: 3, SizeY: 2, IncX: 1e-6, IncY: 1e-6, Z: make([]float64, 6)}
	p := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	p.SetNRGBA(1, 0, color.NRGBA{255, 255, 255, 255})
	p.SetNRGBA(2, 1, color.NRGBA{255, 255, 255, 20}) // next to transparent
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	m, err := DrawnPNG(b.Bytes(), s)
	if err != nil {
		t.Fatal(err)
	}
	for i, keep := range m.Keep {
		if keep != (i == 1) {
			t.Errorf("point %d: %v", i, keep)
		}
	}
	s.SizeX, s.SizeY = 2, 3
	if _, err := DrawnPNG(b.Bytes(), s); err == nil || !strings.Contains(err.Error(), "3 × 2 pixels, the scan has 2 × 3 points") {
		t.Errorf("another size: %v", err)
	}
	if _, err := DrawnPNG([]byte("GIF89a"), s); err == nil || !strings.Contains(err.Error(), "no PNG") {
		t.Errorf("no picture: %v", err)
	}
}

func TestDrawnInFile(t *testing.T) {
	var plain, marked, picture bytes.Buffer
	s := &x3p.Scan{SizeX: 3, SizeY: 2, IncX: 1e-6, IncY: 1e-6, Z: make([]float64, 6)}
	if err := x3p.Write(&plain, s); err != nil {
		t.Fatal(err)
	}
	p := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	for i := range 6 {
		p.SetNRGBA(i%3, i/3, color.NRGBA{0xcd, 0x7f, 0x32, 0xff}) // the background of the tools that write masks
	}
	p.SetNRGBA(2, 0, color.NRGBA{0xff, 0, 0, 0xff})
	if err := png.Encode(&picture, p); err != nil {
		t.Fatal(err)
	}
	in, err := zip.NewReader(bytes.NewReader(plain.Bytes()), int64(plain.Len()))
	if err != nil {
		t.Fatal(err)
	}
	out := zip.NewWriter(&marked)
	for _, f := range in.File {
		if err := out.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	w, err := out.Create("bindata/mask.png")
	if err == nil {
		_, err = w.Write(picture.Bytes())
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := DrawnInFile(bytes.NewReader(marked.Bytes()), int64(marked.Len()), s, x3p.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i, keep := range m.Keep {
		if keep != (i != 2) {
			t.Errorf("point %d: %v", i, keep)
		}
	}
}

func TestDrawnInFileWithoutMask(t *testing.T) {
	var b bytes.Buffer
	s := &x3p.Scan{SizeX: 3, SizeY: 2, IncX: 1e-6, IncY: 1e-6, Z: make([]float64, 6)}
	if err := x3p.Write(&b, s); err != nil {
		t.Fatal(err)
	}
	if _, err := DrawnInFile(bytes.NewReader(b.Bytes()), int64(b.Len()), s, x3p.Limits{}); !errors.Is(err, x3p.ErrNoMask) {
		t.Errorf("no mask: %v", err)
	}
}
