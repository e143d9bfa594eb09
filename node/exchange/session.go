package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"proofmark/node/dispatch"
	"proofmark/protocol"
)

// session is an outgoing stream on which a channel is being delivered.
type session struct {
	pipe
	stream network.Stream
	l      *link
	detach func() bool // stops watching for the link's end
	moved  atomic.Bool // given up for a younger connection
}

// negotiated is a stream that names its protocol with its first bytes, instead of waiting for the other side's consent first.
type negotiated struct {
	multistream.LazyConn
	network.Stream
}

func (n negotiated) Read(b []byte) (int, error)  { return n.LazyConn.Read(b) }
func (n negotiated) Write(b []byte) (int, error) { return n.LazyConn.Write(b) }

// lazily names a protocol with a stream's first bytes.
func lazily(s network.Stream, p p2pprotocol.ID) negotiated {
	return negotiated{LazyConn: multistream.NewMSSelect(s, p), Stream: s}
}

// open begins a stream: greeting and channel go out at once, the other side's greeting and its receipt come back. The receipt is taken in,
// so that sending resumes where the receiver is. After an error the session, if there is one, is the caller's to reset.
func (s *sender) open() (*session, error) {
	l := s.l
	conn := l.newest()
	if conn == nil {
		return nil, errNotConnected
	}
	ctx, cancel := context.WithTimeout(l.life, l.x.pace.hello)
	defer cancel()
	stream, err := conn.NewStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	ses := &session{stream: stream, l: l, detach: context.AfterFunc(l.life, func() { _ = stream.Reset() })}
	s.current.Store(ses)
	if n := l.newest(); n != nil && n.ID() != conn.ID() {
		s.move(n) // it came up a moment ago and did not see this session
	}
	if err := stream.SetProtocol(Protocol); err != nil {
		return ses, fmt.Errorf("open stream: %w", err)
	}
	ses.pipe = lazily(stream, Protocol)
	a, err := ses.greet(s.ch)
	if err != nil {
		return ses, err
	}
	return ses, l.x.o.Mail.AcceptReceipt(l.life, l.country, a.Receipt)
}

func (ses *session) greet(ch protocol.Channel) (answer, error) {
	l := ses.l
	p := within(ses.pipe, l.x.pace.hello)
	var first bytes.Buffer
	if err := errors.Join(writeJSON(&first, l.x.hello(l.country, "")), protocol.WriteFrame(&first, []byte(ch))); err != nil {
		return answer{}, fmt.Errorf("hello: %w", err)
	}
	if _, err := p.Write(first.Bytes()); err != nil {
		return answer{}, fmt.Errorf("say hello: %w", err)
	}
	b, err := protocol.ReadFrame(p, protocol.MaxHello)
	if err != nil {
		return answer{}, fmt.Errorf("wait for hello: %w", noEOF(err))
	}
	h, err := protocol.DecodeHello(b)
	if err != nil {
		return answer{}, err
	}
	if err := checkHello(h, l.member.Load(), l.x.o.Country, l.x.o.Now()); err != nil {
		return answer{}, err
	}
	l.greeted(h)
	a, err := readAnswer(p)
	if err != nil {
		return answer{}, fmt.Errorf("wait for the channel's receipt: %w", err)
	}
	if a.Refusal != "" {
		return answer{}, refusedError{a.Refusal}
	}
	return a, nil
}

// send sends one batch. One that follows another before its answer waits until the other side has read that.
func (ses *session) send(b *dispatch.Batch, follows bool) error {
	pace := ses.l.x.pace
	p := patient{pipe: ses.pipe, progress: pace.progress, until: time.Now().Add(pace.batch)}
	if follows {
		p.progress += pace.answer
	}
	var both bytes.Buffer // in one piece: each write wakes the connection here and the reader there
	both.Grow(len(b.Manifest) + len(b.Payload) + 2*binary.MaxVarintLen64)
	err := errors.Join(protocol.WriteFrame(&both, []byte(b.Manifest)), protocol.WriteFrame(&both, b.Payload))
	if err == nil {
		_, err = p.Write(both.Bytes())
	}
	if err != nil {
		return fmt.Errorf("send batch %d to %d: %w", b.First, b.Last, err)
	}
	return nil
}

// answered is what came back for a batch.
type answered struct {
	answer
	err error
}

// listen waits for the answer to a batch on a goroutine of its own, which ends with the stream at the latest.
func (ses *session) listen(b *dispatch.Batch, into chan<- answered) {
	go func() {
		var a answer
		err := contained(func() (err error) {
			a, err = readAnswer(within(ses.pipe, ses.l.x.pace.answer))
			return err
		})
		if err != nil {
			err = fmt.Errorf("batch %d to %d: wait for the receipt: %w", b.First, b.Last, err)
		}
		into <- answered{a, err}
	}()
}

// close ends the stream in order, reset at once; both are no-ops on nil.
func (ses *session) close() {
	if ses != nil {
		ses.detach()
		if err := ses.stream.Close(); err != nil {
			_ = ses.stream.Reset()
		}
	}
}

func (ses *session) reset() {
	if ses != nil {
		ses.detach()
		_ = ses.stream.Reset()
	}
}
