package edit

import (
	"fmt"
	"io"

	"proofmark/correlate/x3p"
)

// DrawnPNG reads a mask that a person drew beside a scan: a PNG picture of one
// pixel for each of its points, light where the region is. Its size is compared
// before its pixels are decoded.
func DrawnPNG(b []byte, s *x3p.Scan) (Mask, error) {
	picture, err := x3p.DecodeMask(b, s.SizeX, s.SizeY)
	if err != nil {
		return Mask{}, fmt.Errorf("mask: the picture %w", err)
	}
	return FromPicture(picture, Light), nil
}

// DrawnInFile reads the mask that a person painted into the scan's own file and
// keeps what nobody marked, which is how the tools that write such masks take it:
// paint covers what is to be left out. It wraps [x3p.ErrNoMask] where there is none.
func DrawnInFile(r io.ReaderAt, size int64, s *x3p.Scan, l x3p.Limits) (Mask, error) {
	own, err := x3p.ReadMask(r, size, s.SizeX, s.SizeY, l)
	if err != nil {
		return Mask{}, fmt.Errorf("mask in the file: %w", err)
	}
	return FromPicture(own.Picture, Among(own.Background)), nil
}
