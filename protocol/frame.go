package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFrameTooLarge is returned for a frame whose announced length exceeds what the reader allows; nothing of it is read.
var ErrFrameTooLarge = errors.New("frame is larger than allowed here")

// ErrFrameLength is returned for a length that is no varint of 64 bits, or not in its shortest form.
var ErrFrameLength = errors.New("malformed frame length")

// WriteFrame writes a frame: its length as an unsigned varint, then its bytes.
func WriteFrame(w io.Writer, b []byte) error {
	buf := make([]byte, 0, binary.MaxVarintLen64+len(b))
	buf = binary.AppendUvarint(buf, uint64(len(b)))
	if _, err := w.Write(append(buf, b...)); err != nil {
		return fmt.Errorf("write frame of %d bytes: %w", len(b), err)
	}
	return nil
}

// ReadFrame reads one frame of at most limit bytes. At a clean end of the stream it returns io.EOF.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	length := &oneByte{r: r}
	n, err := binary.ReadUvarint(length)
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case length.err != nil:
		return nil, fmt.Errorf("frame length: %w", err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrFrameLength, err)
	case length.read != len(binary.AppendUvarint(nil, n)): // what has two forms is read in two ways
		return nil, fmt.Errorf("%w: %d in %d bytes", ErrFrameLength, n, length.read)
	}
	if n > uint64(limit) {
		return nil, fmt.Errorf("%w: %d bytes announced, limit %d", ErrFrameTooLarge, n, limit)
	}
	// Grown as bytes arrive: a peer that announces much and sends nothing costs nothing.
	var b bytes.Buffer
	b.Grow(int(min(n, 64<<10)) + bytes.MinRead)
	if got, err := io.CopyN(&b, r, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("frame of %d bytes ends after %d: %w", n, got, err)
	}
	return b.Bytes(), nil
}

// oneByte reads byte by byte, so that nothing behind the varint is taken from the stream, and counts them.
type oneByte struct {
	r    io.Reader
	read int
	err  error // of the reader
}

func (o *oneByte) ReadByte() (byte, error) {
	var b [1]byte
	_, o.err = io.ReadFull(o.r, b[:])
	if o.err == nil {
		o.read++
	}
	return b[0], o.err
}
