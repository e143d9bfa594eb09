package shear

import (
	"encoding/binary"
	"fmt"

	"proofmark/correlate/bullet"
)

// The binary form; docs/signature-shear.md is its specification.
const (
	formatVersion = 1
	roiCodeShear  = 3
	headerSize    = 10
	missing       = int8(bullet.MissingSample)
	maxLevel      = bullet.MaxLevel
	missingNibble = 15
	leastEnergy   = 2 * MinSamples // Σ q²: a mark without any height has nothing to compare
	// MaxSignatureSize bounds the binary form in bytes.
	MaxSignatureSize = headerSize + MaxSamples/2
)

var magic = [3]byte{'P', 'M', 'A'}

// Mark is the compact form of one mark of aperture shear: its striae sampled every
// 6.25 µm. It is immutable; equal marks have equal bytes.
type Mark struct {
	rms     uint16 // nm
	quality uint8  // score × 255
	q       []int8 // −7 to 7 in units of 1.5/7 RMS; missing where the mark is not there
	known   int    // samples that are not missing
}

// newMark checks samples and takes them over.
func newMark(rms uint16, samples []int) (*Mark, error) {
	m := &Mark{rms: rms, q: levelsOf(samples)}
	return m, m.check()
}

func (m *Mark) check() error {
	energy := 0
	m.known = 0
	for _, v := range m.q {
		if v != missing {
			m.known++
			energy += int(v) * int(v)
		}
	}
	switch {
	case len(m.q) > MaxSamples:
		return fmt.Errorf("%d samples, at most %d", len(m.q), MaxSamples)
	case m.known < MinSamples:
		return fmt.Errorf("%d samples that are not missing, at least %d: striae over less than %.0f µm cannot be compared", m.known, MinSamples, MinSamples*SamplePitch)
	case m.q[0] == missing || m.q[len(m.q)-1] == missing:
		return fmt.Errorf("missing samples at an end")
	case energy < leastEnergy:
		return fmt.Errorf("no striae in the samples")
	}
	return nil
}

// RMS of the striae in µm between 20 and 120 µm wavelength.
func (m *Mark) RMS() float64 { return float64(m.rms) / 1000 }

// Width of the mark across its striae in µm.
func (m *Mark) Width() float64 { return float64(float64(len(m.q)) * SamplePitch) }

// Quality is the score (0 to 1) the scan had when it was encoded.
func (m *Mark) Quality() float64 { return float64(m.quality) / 255 }

// Passes tells whether the mark may be compared at all.
func (m *Mark) Passes() bool { return int(m.rms) >= minRMSnm }

const minRMSnm = MinRMS * 1000

// Samples are the heights from −7 to 7, in 1.5/7 of the RMS; known is false where
// the mark is missing.
func (m *Mark) Samples() (q []int, known []bool) {
	q, known = make([]int, len(m.q)), make([]bool, len(m.q))
	for i, v := range m.q {
		if v != missing {
			q[i], known[i] = int(v), true
		}
	}
	return q, known
}

// MarshalBinary returns the canonical binary form; it never fails.
func (m *Mark) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, headerSize+(len(m.q)+1)/2)
	b = append(b, magic[0], magic[1], magic[2], formatVersion, roiCodeShear, m.quality)
	b = binary.LittleEndian.AppendUint16(b, m.rms)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(m.q)))
	for i := 0; i < len(m.q); i += 2 {
		v := nibble(m.q[i])
		if i+1 < len(m.q) {
			v |= nibble(m.q[i+1]) << 4
		}
		b = append(b, v)
	}
	return b, nil
}

func nibble(q int8) byte {
	if q == missing {
		return missingNibble
	}
	return byte(q + maxLevel)
}

// Decode reads the binary form. The bytes may be hostile: their number and every
// field is checked before it is used, and only the canonical form is accepted.
// Errors wrap ErrBadSignature.
func Decode(b []byte) (*Mark, error) {
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
	case b[4] != roiCodeShear:
		return nil, bad("region code %d, only %d (aperture shear) is known", b[4], roiCodeShear)
	}
	n := int(binary.LittleEndian.Uint16(b[8:]))
	if n < MinSamples || n > MaxSamples || len(b) != headerSize+(n+1)/2 {
		return nil, bad("%d samples in %d bytes; %d to %d samples are allowed, two in a byte after the header of %d", n, len(b), MinSamples, MaxSamples, headerSize)
	}
	m := &Mark{rms: binary.LittleEndian.Uint16(b[6:]), quality: b[5], q: make([]int8, n)}
	for i := range m.q {
		v := b[headerSize+i/2] >> (4 * (i & 1)) & 15
		if m.q[i] = int8(v) - maxLevel; v == missingNibble {
			m.q[i] = missing
		}
	}
	if n%2 == 1 && b[len(b)-1]>>4 != 0 {
		return nil, bad("the unused half of the last byte is not zero")
	}
	if err := m.check(); err != nil {
		return nil, bad("%v", err)
	}
	return m, nil
}
