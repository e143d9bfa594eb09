package x3p

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"strconv"
	"strings"
)

// Mask is what a person painted over a scan, as the CSAFE tools keep it in the
// file itself: a picture of one pixel per point and a legend of its colours.
// Neither is part of the standard.
type Mask struct {
	Picture    image.Image // SizeX × SizeY pixels, row 0 on top
	Background color.NRGBA // of the points that nobody marked
	Labels     []MaskLabel // in the order of the file
}

// MaskLabel is what one colour of a mask stands for.
type MaskLabel struct {
	Color color.NRGBA
	Text  string
}

// ErrNoMask says that a file holds no mask of its own.
var ErrNoMask = errors.New("the file holds no mask of its own")

const (
	maskFile      = "bindata/mask.png"
	maskPath      = "Record3/Mask"
	maxMaskBytes  = 64 << 20
	maxMaskLabels = 1000
)

// defaultBackground is the bronze of the tools that write masks, for files that
// do not name another.
var defaultBackground = color.NRGBA{R: 0xcd, G: 0x7f, B: 0x32, A: 0xff}

// ReadMask returns the mask that the container holds beside its surface, of
// sizeX × sizeY points. It wraps [ErrNoMask] where there is none.
func ReadMask(r io.ReaderAt, size int64, sizeX, sizeY int, l Limits) (*Mask, error) {
	l = l.orDefault()
	box, err := openContainer(r, size, l, func(kind, string, ...any) {})
	if err != nil {
		return nil, err
	}
	f := box.files[maskFile]
	if f == nil {
		return nil, fmt.Errorf("x3p: %w: there is no %s", ErrNoMask, maskFile)
	}
	m := &Mask{Background: defaultBackground}
	raw, err := box.readAll(box.main, "main.xml", l.MaxXML)
	if err != nil {
		return nil, err
	}
	text, _, err := toUTF8(raw)
	if err != nil {
		return nil, err
	}
	if err := m.readLegend(text, l.MaxDepth); err != nil {
		return nil, err
	}
	picture, err := box.readAll(f, maskFile, maxMaskBytes)
	if err != nil {
		return nil, err
	}
	if m.Picture, err = DecodeMask(picture, sizeX, sizeY); err != nil {
		return nil, fault(err, maskFile, "%v", err)
	}
	return m, nil
}

// DecodeMask reads a PNG picture that must have one pixel for each of sizeX ×
// sizeY points. Its size is compared before its pixels are decoded.
func DecodeMask(b []byte, sizeX, sizeY int) (image.Image, error) {
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("is no PNG picture: %w", err)
	}
	if c.Width != sizeX || c.Height != sizeY {
		return nil, fmt.Errorf("has %d × %d pixels, the scan has %d × %d points: draw the mask on a picture of one pixel per point", c.Width, c.Height, sizeX, sizeY)
	}
	picture, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("cannot be decoded: %w", err)
	}
	return picture, nil
}

func (m *Mask) readLegend(text []byte, maxDepth int) error {
	const label = maskPath + "/Annotations/Annotation"
	var colour string
	_, err := visit(text, maxDepth, func(path []byte, e xml.StartElement) {
		if string(path) != label {
			return
		}
		colour = ""
		for _, a := range e.Attr {
			if a.Name.Local == "color" {
				colour = a.Value
			}
		}
	}, func(path, text []byte) error {
		switch string(path) {
		case maskPath + "/Background":
			if c, err := ParseColor(string(text)); err == nil {
				m.Background = c
			}
		case label:
			if len(m.Labels) == maxMaskLabels {
				return fault(ErrTooLarge, inMain(label), "more than %d labels", maxMaskLabels)
			}
			// The tools leave empty labels behind when one is edited.
			if c, err := ParseColor(colour); err == nil && len(text) > 0 {
				m.Labels = append(m.Labels, MaskLabel{c, string(text)})
			}
		}
		return nil
	})
	return err
}

// ParseColor reads #rrggbb, or #rrggbbaa of which the last is dropped.
func ParseColor(s string) (color.NRGBA, error) {
	digits, ok := strings.CutPrefix(s, "#")
	if ok && (len(digits) == 6 || len(digits) == 8) {
		if v, err := strconv.ParseUint(digits[:6], 16, 32); err == nil {
			return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xff}, nil
		}
	}
	return color.NRGBA{}, fmt.Errorf("%.20q is not a colour such as #cd7f32", s)
}
