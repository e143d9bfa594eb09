package exchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"proofmark/protocol"
)

// Limits of the frames, in bytes. A compact JWS is a third longer than its payload, with a header before and a signature behind it.
const (
	maxChannel  = 16
	maxManifest = 2 * protocol.MaxManifest
	maxPayload  = protocol.MaxBatch
	maxAnswer   = 2*protocol.MaxReceipt + 1024
	maxRefusal  = 400      // of a refusal's text
	chunk       = 64 << 10 // written at once under one deadline
)

// answer is what the receiver says to a channel's opening and to each batch: its receipt, a refusal, or both.
type answer struct {
	Receipt string `json:"receipt,omitempty"` // compact JWS
	Refusal string `json:"refusal,omitempty"` // in words for the operator of the other node
}

var (
	errBadAnswer = errors.New("malformed answer")
	errChannel   = errors.New("unknown channel")
)

func decodeAnswer(b []byte) (answer, error) {
	var a answer
	if err := protocol.CheckJSON(b, maxAnswer, 2); err != nil {
		return a, fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return answer{}, fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	if a.Receipt == "" && a.Refusal == "" {
		return answer{}, fmt.Errorf("%w: neither receipt nor refusal", errBadAnswer)
	}
	a.Refusal = printable(a.Refusal, maxRefusal)
	return a, nil
}

func decodeChannel(b []byte) (protocol.Channel, error) {
	for _, ch := range protocol.Channels {
		if string(b) == string(ch) {
			return ch, nil
		}
	}
	return "", fmt.Errorf("%w %.*q", errChannel, maxChannel, b)
}

// pipe is what a stream offers here.
type pipe interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// patient reads and writes under two deadlines: one for the next byte, renewed as long as bytes flow, and one for the whole. A slow line
// gets its time, a silent peer does not.
type patient struct {
	pipe
	progress time.Duration
	until    time.Time
}

func (p patient) next() time.Time {
	t := time.Now().Add(p.progress)
	if p.until.Before(t) {
		return p.until
	}
	return t
}

func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(p.next()); err != nil {
		return 0, err
	}
	return p.pipe.Read(b)
}

func (p patient) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		if err := p.SetWriteDeadline(p.next()); err != nil {
			return written, err
		}
		n, err := p.pipe.Write(b[:min(chunk, len(b))])
		written += n
		if err != nil {
			return written, err
		}
		b = b[n:]
	}
	return written, nil
}

// within gives a pipe a fixed time for all that follows.
func within(p pipe, d time.Duration) patient {
	return patient{pipe: p, progress: d, until: time.Now().Add(d)}
}

func writeJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return protocol.WriteFrame(w, b)
}

func readAnswer(p patient) (answer, error) {
	b, err := protocol.ReadFrame(p, maxAnswer)
	if err != nil {
		return answer{}, fmt.Errorf("answer: %w", noEOF(err))
	}
	return decodeAnswer(b)
}

// noEOF makes the end of a stream an error where more was due.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// timedOut knows a deadline that has passed: each transport says it in its own way.
func timedOut(err error) bool {
	var e net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &e) && e.Timeout()
}
