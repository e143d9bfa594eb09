package protocol

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// A length has one form: what a lenient reader takes and a strict one refuses would be two different streams.
func TestFrameLengths(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"five bytes", append([]byte{5}, "hello"...), nil},
		{"nothing", nil, io.EOF},
		{"empty", []byte{0}, nil},
		{"five in two bytes", append([]byte{0x85, 0x00}, "hello"...), ErrFrameLength},
		{"none in three bytes", []byte{0x80, 0x80, 0x00}, ErrFrameLength},
		{"more than 64 bits", bytes.Repeat([]byte{0xff}, 11), ErrFrameLength},
		{"cut in the length", []byte{0x85}, io.ErrUnexpectedEOF},
		{"cut in the frame", []byte{5, 'h'}, io.ErrUnexpectedEOF},
		{"too long", []byte{0x80, 0x01}, ErrFrameTooLarge},
	} {
		if _, err := ReadFrame(bytes.NewReader(c.in), 64); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}
