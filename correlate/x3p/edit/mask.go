package edit

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"proofmark/correlate/x3p"
)

// Mask says for each point of a scan whether it is kept, X fastest.
type Mask struct {
	SizeX, SizeY int
	Keep         []bool
}

// FromPicture makes a mask of a picture of one pixel per point.
func FromPicture(p image.Image, keep func(color.NRGBA) bool) Mask {
	b := p.Bounds()
	m := Mask{b.Dx(), b.Dy(), make([]bool, b.Dx()*b.Dy())}
	for i := range m.Keep {
		at := p.At(b.Min.X+i%m.SizeX, b.Min.Y+i/m.SizeX)
		m.Keep[i] = keep(color.NRGBAModel.Convert(at).(color.NRGBA))
	}
	return m
}

// Light tells white from black: the rule for a mask of two tones. What is
// transparent counts as dark.
func Light(c color.NRGBA) bool {
	return c.A >= 0x80 && color.GrayModel.Convert(color.NRGBA{R: c.R, G: c.G, B: c.B, A: 0xff}).(color.Gray).Y >= 0x80
}

// Among tells the opaque pixels of some colours.
func Among(colors ...color.NRGBA) func(color.NRGBA) bool {
	return func(c color.NRGBA) bool { return slices.Contains(colors, c) }
}

// And keeps the points that both masks keep; they must be of one size.
func (m Mask) And(o Mask) (Mask, error) {
	if m.SizeX != o.SizeX || m.SizeY != o.SizeY {
		return Mask{}, fmt.Errorf("mask: %d × %d and %d × %d points do not fit together", m.SizeX, m.SizeY, o.SizeX, o.SizeY)
	}
	both := Mask{m.SizeX, m.SizeY, make([]bool, len(m.Keep))}
	for i := range both.Keep {
		both.Keep[i] = m.Keep[i] && o.Keep[i]
	}
	return both, nil
}

// Apply makes every point missing that the mask does not keep.
func (m Mask) Apply(s *x3p.Scan) (*x3p.Scan, error) {
	if m.SizeX != s.SizeX || m.SizeY != s.SizeY || len(m.Keep) != len(s.Z) {
		return nil, fmt.Errorf("mask: %d × %d points, the scan has %d × %d", m.SizeX, m.SizeY, s.SizeX, s.SizeY)
	}
	out, err := empty(s, s.SizeX, s.SizeY, s.IncX, s.IncY)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	left := false
	for i, z := range s.Z {
		if m.Keep[i] {
			out.Z[i] = z
			left = left || !math.IsNaN(z)
		}
	}
	if !left {
		return nil, fmt.Errorf("mask: %w: it keeps no point that has a height", ErrNothingLeft)
	}
	return out, nil
}
