package correlate

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The grid of a signature: side × side pixels of pixelPitch µm, the frame's
// origin in the middle.
const (
	side       = 140
	pixelPitch = 31.25
	halfFrame  = side * pixelPitch / 2
	pixelArea  = pixelPitch * pixelPitch * 1e-6 // mm²
)

// quantiser maps heights in units of the RMS to signed steps and back. The
// numbers are Lloyd–Max's for a normal variable (Max 1960); values are in 1/55
// of the RMS so that they fit a byte.
type quantiser struct {
	thresholds []float64
	values     [2*maxSteps + 1]int8 // by step + maxSteps
}

const maxSteps = 3

// quantisers by the number of steps on each side of zero. Six levels gain 0.02
// of score over four for a fifth more bytes; four are for marks so large that
// six would not fit.
var quantisers = [maxSteps + 1]*quantiser{
	2: {[]float64{0.982}, [7]int8{0, -83, -25, 0, 25, 83, 0}},
	3: {[]float64{0.6589, 1.447}, [7]int8{-104, -55, -17, 0, 17, 55, 104}},
}

// The binary form: a header of headerSize bytes and the arithmetic-coded
// picture; docs/signature.md is its specification.
const (
	formatVersion = 1
	headerSize    = 18
	// MaxSignatureSize bounds the binary form in bytes.
	MaxSignatureSize = 2500
	minPixels        = 64
)

var magic = [3]byte{'P', 'M', 'S'}

// Signature is the compact form of one region of one exhibit: a picture of
// 140 × 140 pixels, each missing or one of six (four) heights. Of a breech face they
// are 31.25 µm wide and centred on the firing-pin aperture, of a firing-pin
// impression 12.5 µm and centred on its outline. Equal signatures have equal bytes.
type Signature struct {
	region   uint8 // code
	centre   centreKind
	aperture uint8  // radius in steps of 10 µm, 0 = unknown
	rms      uint16 // nm, of the band-passed marks before local normalisation
	quality  uint8  // quality score × 255
	x0, y0   uint8  // bounding box of the valid pixels
	w, h     uint8
	valid    uint16
	steps    uint8             // of the quantiser, on each side of zero
	pixels   [side * side]int8 // 0 missing, else −steps to steps
}

// AreaMM2 is the area of the valid pixels in mm².
func (s *Signature) AreaMM2() float64 {
	return float64(float64(float64(s.valid)*pixelArea) * float64(s.kind().unit*s.kind().unit))
}

// Quality is the score (0 to 1) the scan had when it was encoded.
func (s *Signature) Quality() float64 { return float64(s.quality) / 255 }

// RMS of the marks in µm between 80 and 250 µm wavelength, of a firing-pin
// impression between 32 and 100 µm.
func (s *Signature) RMS() float64 { return float64(s.rms) / 1000 }

// quantise brings marks onto the signature's grid around c.
func quantise(m *marks, c centre, code uint8, steps int) *Signature {
	xs := shares(m.nx, workPitch, pixelPitch, halfFrame-c.x)
	ys := shares(m.ny, workPitch, pixelPitch, halfFrame-c.y)
	sum := make([]float64, side*side)
	weight := make([]float64, side*side)
	for y := range m.ny {
		for x := range m.nx {
			i := y*m.nx + x
			if !m.ok[i] {
				continue
			}
			for _, sy := range ys[y] {
				if sy.weight <= 0 || sy.cell < 0 || sy.cell >= side {
					continue
				}
				for _, sx := range xs[x] {
					if sx.weight <= 0 || sx.cell < 0 || sx.cell >= side {
						continue
					}
					w := float64(sy.weight * sx.weight)
					weight[sy.cell*side+sx.cell] += w
					sum[sy.cell*side+sx.cell] += float64(w * m.z[i])
				}
			}
		}
	}
	const full = (pixelPitch / workPitch) * (pixelPitch / workPitch)
	square, n := 0.0, 0
	for i, w := range weight {
		if w < full/2 {
			weight[i] = 0
			continue
		}
		sum[i] /= w
		square += float64(sum[i] * sum[i])
		n++
	}
	s := &Signature{region: code, centre: c.kind, steps: uint8(steps)}
	if c.kind.round() {
		s.aperture = uint8(max(min(float64(c.radius*s.kind().unit)/10+0.5, 255), 1))
	}
	if n == 0 {
		return s
	}
	rms := math.Sqrt(square / float64(n))
	for i, w := range weight {
		if w == 0 {
			continue
		}
		step := int8(1)
		for _, t := range quantisers[steps].thresholds {
			if abs(sum[i]) > float64(t*rms) {
				step++
			}
		}
		if sum[i] < 0 {
			step = -step
		}
		s.pixels[i] = step
	}
	s.bound()
	return s
}

// bound sets the bounding box and the count from the pixels.
func (s *Signature) bound() {
	x0, y0, x1, y1, n := side, side, -1, -1, 0
	for i, v := range s.pixels {
		if v == 0 {
			continue
		}
		x, y := i%side, i/side
		x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
		n++
	}
	if n == 0 {
		s.x0, s.y0, s.w, s.h, s.valid = 0, 0, 0, 0, 0
		return
	}
	s.x0, s.y0, s.w, s.h, s.valid = uint8(x0), uint8(y0), uint8(x1-x0+1), uint8(y1-y0+1), uint16(n)
}

// MarshalBinary returns the canonical binary form.
func (s *Signature) MarshalBinary() ([]byte, error) {
	if s.valid < minPixels {
		return nil, fmt.Errorf("signature of %d valid pixels: at least %d are needed", s.valid, minPixels)
	}
	b := s.encode()
	if len(b) > MaxSignatureSize {
		return nil, fmt.Errorf("signature needs %d bytes, at most %d are allowed", len(b), MaxSignatureSize)
	}
	return b, nil
}

func (s *Signature) encode() []byte {
	b := make([]byte, 0, MaxSignatureSize)
	b = append(b, magic[0], magic[1], magic[2], formatVersion, s.region, byte(s.centre))
	b = append(b, s.aperture, s.quality)
	b = binary.LittleEndian.AppendUint16(b, s.rms)
	b = append(b, s.x0, s.y0, s.w, s.h)
	b = binary.LittleEndian.AppendUint16(b, s.valid)
	b = append(b, s.steps, 0)
	e := newEncoder(b)
	newPicture().code(s, func(m *model, bit int) int { e.bit(m, bit); return bit })
	return e.finish(headerSize)
}

// DecodeSignature reads the binary form. The bytes may be hostile: their number
// and every field is checked first, decoding needs a fixed amount of memory and
// time, and only the canonical form of a picture is accepted.
func DecodeSignature(b []byte) (*Signature, error) {
	s, err := parseHeader(b)
	if err != nil {
		return nil, err
	}
	want := *s
	s.decode(b)
	s.bound()
	if s.x0 != want.x0 || s.y0 != want.y0 || s.w != want.w || s.h != want.h || s.valid != want.valid {
		return nil, fmt.Errorf("%w: the picture does not fill its declared box and count", ErrBadSignature)
	}
	if string(s.encode()) != string(b) {
		return nil, fmt.Errorf("%w: not the canonical form of its picture", ErrBadSignature)
	}
	return s, nil
}

// parseHeader reads and checks all that stands before the picture.
func parseHeader(b []byte) (*Signature, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrBadSignature}, args...)...)
	}
	switch {
	case len(b) < headerSize:
		return nil, bad("%d bytes are shorter than the header of %d", len(b), headerSize)
	case len(b) > MaxSignatureSize:
		return nil, bad("%d bytes, at most %d are allowed", len(b), MaxSignatureSize)
	case [3]byte(b[:3]) != magic:
		return nil, bad("it does not begin with %q", string(magic[:]))
	case b[3] != formatVersion:
		return nil, bad("format version %d, this program reads version %d", b[3], formatVersion)
	case int(b[4]) >= len(regions) || regions[b[4]] == nil:
		return nil, bad("region code %d, %d (breech face) and %d (firing-pin impression) are known", b[4], roiCodeBreechFace, roiCodeFiringPin)
	case b[5] > byte(centreMask):
		return nil, bad("centre kind %d", b[5])
	case b[16] != 2 && b[16] != 3:
		return nil, bad("%d quantiser steps, 2 and 3 are known", b[16])
	case b[17] != 0:
		return nil, bad("the reserved byte is not zero")
	}
	s := &Signature{
		region: b[4], centre: centreKind(b[5]), aperture: b[6], quality: b[7],
		rms: binary.LittleEndian.Uint16(b[8:]),
		x0:  b[10], y0: b[11], w: b[12], h: b[13],
		valid: binary.LittleEndian.Uint16(b[14:]), steps: b[16],
	}
	if s.centre.round() != (s.aperture != 0) {
		return nil, bad("centre kind %d with aperture radius %d", s.centre, s.aperture)
	}
	if s.w == 0 || s.h == 0 || int(s.x0)+int(s.w) > side || int(s.y0)+int(s.h) > side {
		return nil, bad("bounding box %d+%d × %d+%d leaves the %d × %d grid", s.x0, s.w, s.y0, s.h, side, side)
	}
	if s.valid < minPixels || int(s.valid) > int(s.w)*int(s.h) {
		return nil, bad("%d valid pixels in a box of %d × %d", s.valid, s.w, s.h)
	}
	return s, nil
}

// decode reads the picture of a signature whose header is known.
func (s *Signature) decode(b []byte) {
	d := newDecoder(b[headerSize:])
	newPicture().code(s, func(m *model, _ int) int { return d.bit(m) })
}
