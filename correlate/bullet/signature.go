package bullet

import (
	"encoding/binary"
	"fmt"
)

// The binary form: a header of headerSize bytes and one record for each land
// that is present; docs/signature-lea.md is its specification.
const (
	formatVersion = 1
	roiCodeLEA    = 2 // 1 is the breech face
	headerSize    = 8
	recordHeader  = 4
	missingNibble = 15
	// MaxSignatureSize bounds the binary form in bytes; with six lands it is 992.
	MaxSignatureSize = headerSize + MaxLands*(recordHeader+MaxSamples/2)
)

var magic = [3]byte{'P', 'M', 'L'}

// Bullet is the compact form of a bullet's land engraved areas in the order of
// their numbers, or of fewer where not all are left. It is immutable; equal
// bullets have equal bytes.
type Bullet struct {
	lands []*Land // nil where a land is not there
}

// NewBullet makes a bullet of a barrel with len(lands) lands, numbered in the
// order in which they follow each other around the bullet. A land that is not
// there is nil; at least one must be. A land alone is a bullet of one.
func NewBullet(lands []*Land) (*Bullet, error) {
	if len(lands) < 1 || len(lands) > MaxLands {
		return nil, fmt.Errorf("a bullet of %d lands: 1 to %d are known", len(lands), MaxLands)
	}
	b := &Bullet{append([]*Land(nil), lands...)}
	if b.present() == 0 {
		return nil, fmt.Errorf("a bullet of %d lands: none of them is there", len(lands))
	}
	return b, nil
}

// Count is the number of lands of the barrel.
func (b *Bullet) Count() int { return len(b.lands) }

// Land i of 0 to Count()−1; nil where it is not there.
func (b *Bullet) Land(i int) *Land { return b.lands[i] }

// Passing is the number of lands that are there and pass the quality gate.
func (b *Bullet) Passing() int {
	n := 0
	for i := range b.lands {
		if b.usable(i) {
			n++
		}
	}
	return n
}

func (b *Bullet) usable(i int) bool { return b.lands[i] != nil && b.lands[i].Passes() }

func (b *Bullet) present() byte {
	var p byte
	for i, l := range b.lands {
		if l != nil {
			p |= 1 << i
		}
	}
	return p
}

// MarshalBinary returns the canonical binary form; it never fails.
func (b *Bullet) MarshalBinary() ([]byte, error) {
	out := make([]byte, 0, headerSize+len(b.lands)*(recordHeader+MaxSamples/2))
	out = append(out, magic[0], magic[1], magic[2], formatVersion, roiCodeLEA, byte(len(b.lands)), b.present(), 0)
	for _, l := range b.lands {
		if l != nil {
			out = l.append(out)
		}
	}
	return out, nil
}

func (l *Land) append(out []byte) []byte {
	out = binary.LittleEndian.AppendUint16(out, l.rms)
	out = binary.LittleEndian.AppendUint16(out, uint16(len(l.q)))
	for i := 0; i < len(l.q); i += 2 {
		v := nibble(l.q[i])
		if i+1 < len(l.q) {
			v |= nibble(l.q[i+1]) << 4
		}
		out = append(out, v)
	}
	return out
}

func nibble(q int8) byte {
	if q == missing {
		return missingNibble
	}
	return byte(q + levels)
}

// Decode reads the binary form. The bytes may be hostile: their number and
// every field is checked before it is used, and only the canonical form is
// accepted. Errors wrap ErrBadSignature.
func Decode(raw []byte) (*Bullet, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrBadSignature}, args...)...)
	}
	switch {
	case len(raw) < headerSize:
		return nil, bad("%d bytes are shorter than the header of %d", len(raw), headerSize)
	case len(raw) > MaxSignatureSize:
		return nil, bad("%d bytes, at most %d are allowed", len(raw), MaxSignatureSize)
	case [3]byte(raw[:3]) != magic:
		return nil, bad("it does not begin with %q", string(magic[:]))
	case raw[3] != formatVersion:
		return nil, bad("format version %d, this program reads version %d", raw[3], formatVersion)
	case raw[4] != roiCodeLEA:
		return nil, bad("region code %d, only %d (land engraved areas) is known", raw[4], roiCodeLEA)
	case raw[5] < 1 || raw[5] > MaxLands:
		return nil, bad("%d lands, 1 to %d are known", raw[5], MaxLands)
	case raw[6] == 0 || int(raw[6])>>raw[5] != 0:
		return nil, bad("presence bits %#02x for %d lands", raw[6], raw[5])
	case raw[7] != 0:
		return nil, bad("the reserved byte is not zero")
	}
	b := &Bullet{make([]*Land, raw[5])}
	rest := raw[headerSize:]
	for i := range b.lands {
		if raw[6]>>i&1 == 0 {
			continue
		}
		l, n, err := decodeLand(rest)
		if err != nil {
			return nil, bad("land %d at byte %d: %v", i+1, len(raw)-len(rest), err)
		}
		b.lands[i], rest = l, rest[n:]
	}
	if len(rest) > 0 {
		return nil, bad("%d bytes follow the last land", len(rest))
	}
	return b, nil
}

// decodeLand reads one record and returns how many bytes it has.
func decodeLand(raw []byte) (*Land, int, error) {
	if len(raw) < recordHeader {
		return nil, 0, fmt.Errorf("%d bytes are shorter than the record's header of %d", len(raw), recordHeader)
	}
	count := int(binary.LittleEndian.Uint16(raw[2:]))
	if count < leastSamples || count > MaxSamples {
		return nil, 0, fmt.Errorf("%d samples, %d to %d are allowed", count, leastSamples, MaxSamples)
	}
	size := recordHeader + (count+1)/2
	if len(raw) < size {
		return nil, 0, fmt.Errorf("%d samples need %d bytes, %d are left", count, size, len(raw))
	}
	q := make([]int8, count)
	for i := range q {
		v := raw[recordHeader+i/2] >> (4 * (i & 1)) & 15
		if q[i] = int8(v) - levels; v == missingNibble {
			q[i] = missing
		}
	}
	if count%2 == 1 && raw[size-1]>>4 != 0 {
		return nil, 0, fmt.Errorf("the unused half of the last byte is not zero")
	}
	l, err := newLand(binary.LittleEndian.Uint16(raw), q)
	return l, size, err
}
