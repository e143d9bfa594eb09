package correlate

import (
	"errors"
	"fmt"
)

// SignatureSide is the number of pixels along each side of a signature's picture.
const SignatureSide = side

// Origin tells what the middle of a signature's picture is.
type Origin uint8

// The origins, from the best known to the least. Of a firing-pin impression they
// tell of its outline what they tell of a breech face's aperture.
const (
	OriginAperture = Origin(centreAperture) // centre of the whole firing-pin aperture
	OriginArc      = Origin(centreArc)      // centre of an arc of it
	OriginHole     = Origin(centreHole)     // centroid of the hole: no good circle
	OriginMask     = Origin(centreMask)     // centroid of the face: no aperture seen
)

// SignatureFacts is what a signature says beside its picture.
type SignatureFacts struct {
	ROI      ROI
	Origin   Origin
	Aperture float64 // µm, radius, kept in steps of 10; 0 unless the origin is an aperture or an arc
	RMS      float64 // µm, of the marks in the region's band
	Quality  float64 // 0 to 1
	Levels   int     // 4 or 6 heights
}

// ErrBadPicture: pixels or facts make no signature.
var ErrBadPicture = errors.New("not a signature's picture")

// Facts of the signature.
func (s *Signature) Facts() SignatureFacts {
	return SignatureFacts{
		ROI: s.ROI(), Origin: Origin(s.centre), Aperture: 10 * float64(s.aperture),
		RMS: s.RMS(), Quality: s.Quality(), Levels: 2 * int(s.steps),
	}
}

// Pixels is a copy of the picture, SignatureSide × SignatureSide row by row: 0 where
// nothing was measured, else −k to k without 0 in steps away from the mean height,
// k being half the number of levels.
func (s *Signature) Pixels() []int8 { return append([]int8(nil), s.pixels[:]...) }

// Pitch is the distance of the picture's pixels in µm.
func (s *Signature) Pitch() float64 { return float64(pixelPitch * s.kind().unit) }

// CellSide is the side of the cells that comparisons of such signatures tell, in µm.
func (s *Signature) CellSide() float64 { return float64(cellPixels * pixelPitch * s.kind().unit) }

// SignatureFromPixels makes a signature of a picture as Pixels gives it. It checks
// all that a decoder would; that the binary form keeps within MaxSignatureSize is
// left to MarshalBinary, because finding out takes longer than all the rest.
func SignatureFromPixels(f SignatureFacts, pixels []int8) (*Signature, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrBadPicture}, args...)...)
	}
	code, err := codeOf(f.ROI)
	if err != nil {
		return nil, fmt.Errorf("signature of %q: %w", string(f.ROI), err)
	}
	switch {
	case f.Origin > OriginMask:
		return nil, bad("origin %d", f.Origin)
	case f.Levels != 4 && f.Levels != 6:
		return nil, bad("%d levels, 4 and 6 are known", f.Levels)
	case !(f.Aperture >= 0 && f.Aperture <= 2550):
		return nil, bad("an aperture of %g µm radius, at most 2,550 can be told", f.Aperture)
	case !(f.RMS >= 0 && f.RMS < 65.535):
		return nil, bad("marks of %g µm RMS, at most 65 can be told", f.RMS)
	case !(f.Quality >= 0 && f.Quality <= 1):
		return nil, bad("quality %g is not between 0 and 1", f.Quality)
	case len(pixels) != side*side:
		return nil, bad("%d pixels, want %d × %d", len(pixels), side, side)
	}
	s := &Signature{
		region: code, centre: centreKind(f.Origin), steps: uint8(f.Levels / 2),
		aperture: uint8(roundInt(f.Aperture / 10)), rms: uint16(roundInt(float64(1000 * f.RMS))), quality: uint8(roundInt(float64(255 * f.Quality))),
	}
	if s.centre.round() != (s.aperture != 0) {
		return nil, bad("origin %d with an aperture of %g µm", f.Origin, f.Aperture)
	}
	top := int8(s.steps)
	for i, v := range pixels {
		if v < -top || v > top {
			return nil, bad("pixel %d, %d is %d, beyond %d levels", i%side, i/side, v, f.Levels)
		}
	}
	copy(s.pixels[:], pixels)
	s.bound()
	if s.valid < minPixels {
		return nil, bad("%d measured pixels, at least %d are needed", s.valid, minPixels)
	}
	return s, nil
}
