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

// Lloyd–Max quantiser of a normal variable to four levels (Max 1960): threshold
// in units of the RMS. The levels 0.453 and 1.510 are kept as 3 and 10.
const (
	quantThreshold = 0.982
	lowLevel       = 3
	highLevel      = 10
)

// The binary form: a header of headerSize bytes and the arithmetic-coded
// picture; docs/signature.md is its specification.
const (
	formatVersion = 1
	headerSize    = 18
	// MaxSignatureSize bounds the binary form of a breech face in bytes.
	MaxSignatureSize = 2500
	minPixels        = 64
)

var magic = [3]byte{'P', 'M', 'S'}

const roiCodeBreechFace = 1

// Signature is the compact form of one region of one exhibit: a picture of
// 140 × 140 pixels of 31.25 µm, each missing or one of four heights, centred on
// the firing-pin aperture. Equal signatures have equal bytes.
type Signature struct {
	centre   centreKind
	aperture uint8  // radius in steps of 10 µm, 0 = unknown
	rms      uint16 // nm, of the band-passed marks before local normalisation
	quality  uint8  // quality score × 255
	x0, y0   uint8  // bounding box of the valid pixels
	w, h     uint8
	valid    uint16
	pixels   [side * side]int8 // 0 missing, ±1 low, ±2 high
}

// ROI of the signature.
func (s *Signature) ROI() ROI { return BreechFace }

// AreaMM2 is the area of the valid pixels in mm².
func (s *Signature) AreaMM2() float64 { return float64(s.valid) * pixelArea }

// Quality is the score (0 to 1) the scan had when it was encoded.
func (s *Signature) Quality() float64 { return float64(s.quality) / 255 }

// RMS of the marks in µm between 80 and 250 µm wavelength.
func (s *Signature) RMS() float64 { return float64(s.rms) / 1000 }

// quantise brings marks onto the signature's grid around c.
func quantise(m *marks, c centre) *Signature {
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
	s := &Signature{centre: c.kind, aperture: uint8(min(max(c.radius/10+0.5, 0), 255))}
	if n == 0 {
		return s
	}
	threshold := quantThreshold * math.Sqrt(square/float64(n))
	for i, w := range weight {
		if w == 0 {
			continue
		}
		level := int8(1)
		if abs(sum[i]) > threshold {
			level = 2
		}
		if sum[i] < 0 {
			level = -level
		}
		s.pixels[i] = level
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
	b = append(b, magic[0], magic[1], magic[2], formatVersion, roiCodeBreechFace, byte(s.centre))
	b = append(b, s.aperture, s.quality)
	b = binary.LittleEndian.AppendUint16(b, s.rms)
	b = append(b, s.x0, s.y0, s.w, s.h)
	b = binary.LittleEndian.AppendUint16(b, s.valid)
	b = append(b, 0, 0)
	e := newEncoder(b)
	p := newPicture()
	p.code(s, func(m *model, bit int) int { e.bit(m, bit); return bit })
	b = e.finish(headerSize)
	return b
}

// DecodeSignature reads the binary form. The bytes may be hostile: their number
// and every field is checked first, decoding needs a fixed amount of memory and
// time, and only the canonical form of a picture is accepted.
func DecodeSignature(b []byte) (*Signature, error) {
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
	case b[4] != roiCodeBreechFace:
		return nil, bad("region code %d, only %d (breech face) is known", b[4], roiCodeBreechFace)
	case b[5] > byte(centreMask):
		return nil, bad("centre kind %d", b[5])
	case b[16] != 0 || b[17] != 0:
		return nil, bad("reserved bytes are not zero")
	}
	s := &Signature{
		centre: centreKind(b[5]), aperture: b[6], quality: b[7],
		rms: binary.LittleEndian.Uint16(b[8:]),
		x0:  b[10], y0: b[11], w: b[12], h: b[13],
		valid: binary.LittleEndian.Uint16(b[14:]),
	}
	if (s.centre == centreAperture) != (s.aperture != 0) {
		return nil, bad("centre kind %d with aperture radius %d", s.centre, s.aperture)
	}
	if s.w == 0 || s.h == 0 || int(s.x0)+int(s.w) > side || int(s.y0)+int(s.h) > side {
		return nil, bad("bounding box %d+%d × %d+%d leaves the %d × %d grid", s.x0, s.w, s.y0, s.h, side, side)
	}
	if s.valid < minPixels || int(s.valid) > int(s.w)*int(s.h) {
		return nil, bad("%d valid pixels in a box of %d × %d", s.valid, s.w, s.h)
	}
	want := *s
	d := newDecoder(b[headerSize:])
	newPicture().code(s, func(m *model, _ int) int { return d.bit(m) })
	s.bound()
	if s.x0 != want.x0 || s.y0 != want.y0 || s.w != want.w || s.h != want.h || s.valid != want.valid {
		return nil, bad("the picture does not fill its declared box and count")
	}
	if string(s.encode()) != string(b) {
		return nil, bad("not the canonical form of its picture")
	}
	return s, nil
}
