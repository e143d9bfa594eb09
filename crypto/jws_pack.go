package crypto

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

// The forms of a packed JWS.
const (
	packedText  = 0 // as it stands
	packedParts = 1 // header and payload after their lengths, signature: decoded, a quarter shorter
)

var errPacked = errors.New("not a packed JWS")

// AppendPacked appends a compact JWS in a shorter form for keeping, from which Unpack makes the same letters. What is spelt in any other way than the canonical
// one is kept as it stands, whatever it is.
func AppendPacked(b []byte, compact string) []byte {
	start := len(b)
	b = slices.Grow(b, 1+len(compact))
	parts := strings.SplitN(compact, ".", 4)
	ok := len(parts) == 3
	b = append(b, packedParts)
	for i := 0; i < len(parts) && ok; i++ {
		if i < 2 {
			b = binary.AppendUvarint(b, uint64(base64.RawURLEncoding.DecodedLen(len(parts[i]))))
		}
		b, ok = appendPart(b, parts[i])
	}
	if !ok {
		b = append(append(b[:start], packedText), compact...)
	}
	return b
}

// appendPart appends what a part stands for, if it is in its canonical spelling.
func appendPart(b []byte, part string) ([]byte, bool) {
	if strings.IndexByte(part, '\r') >= 0 || strings.IndexByte(part, '\n') >= 0 {
		return b, false
	}
	b, err := base64.RawURLEncoding.Strict().AppendDecode(b, []byte(part))
	return b, err == nil
}

// Unpack reads what AppendPacked wrote.
func Unpack(b []byte) (compact string, err error) {
	if len(b) == 0 || b[0] > packedParts {
		return "", errPacked
	}
	if b[0] == packedText {
		return string(b[1:]), nil
	}
	b = b[1:]
	var parts [3][]byte
	for i := range parts[:2] {
		size, head := binary.Uvarint(b)
		if head <= 0 || size > uint64(len(b)-head) {
			return "", errPacked
		}
		end := head + int(size)
		parts[i], b = b[head:end], b[end:]
	}
	parts[2] = b
	b64 := base64.RawURLEncoding
	size := 2
	for _, part := range parts {
		size += b64.EncodedLen(len(part))
	}
	out := make([]byte, 0, size)
	for i, part := range parts {
		if i > 0 {
			out = append(out, '.')
		}
		out = b64.AppendEncode(out, part)
	}
	return string(out), nil
}
