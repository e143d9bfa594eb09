package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"proofmark/protocol"
)

// visit asks a member something on a stream of its own (link.visit) and hands what comes back to then.
func (x *Exchange) visit(ctx context.Context, to protocol.Country, p p2pprotocol.ID, first []byte, then func(*link, pipe) error) error {
	if !x.begin() {
		return errNotConnected
	}
	defer x.works.Done()
	l := x.link(to)
	if l == nil {
		return fmt.Errorf("%s is not an active member of the roster in force", to)
	}
	conn := l.newest()
	if conn == nil {
		return errNotConnected
	}
	return l.visit(ctx, conn, p, first, x.pace.hello, func(s pipe) error { return then(l, s) })
}

// visit opens a stream to the member, greets it with the first word of what is wanted behind the greeting, hears its greeting, which may take as long as
// patience, and hands the stream to then. The stream ends with ctx, with the member's membership and with an error.
func (l *link) visit(ctx context.Context, conn network.Conn, p p2pprotocol.ID, first []byte, patience time.Duration, then func(pipe) error) error {
	opening, cancel := context.WithTimeout(ctx, l.x.pace.hello)
	defer cancel()
	s, err := conn.NewStream(opening)
	if err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	defer context.AfterFunc(l.life, func() { _ = s.Reset() })()
	if err := s.SetProtocol(p); err != nil {
		_ = s.Reset()
		return fmt.Errorf("open stream: %w", err)
	}
	pipe := lazily(s, p)
	if err = l.sayFirst(pipe, first, patience); err == nil {
		err = then(pipe)
	}
	if err != nil || s.Close() != nil {
		_ = s.Reset()
	}
	return err
}

// sayFirst exchanges greetings; the first word goes out with this side's.
func (l *link) sayFirst(s pipe, first []byte, patience time.Duration) error {
	var opening bytes.Buffer
	if err := errors.Join(writeJSON(&opening, l.x.hello(l.country, "")), protocol.WriteFrame(&opening, first)); err != nil {
		return err
	}
	if _, err := within(s, l.x.pace.hello).Write(opening.Bytes()); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	b, err := protocol.ReadFrame(within(s, patience), protocol.MaxHello)
	if err != nil {
		return fmt.Errorf("wait for hello: %w", noEOF(err))
	}
	h, err := protocol.DecodeHello(b)
	if err == nil {
		err = checkHello(h, l.member.Load(), l.x.o.Country, l.x.o.Now())
	}
	if err != nil {
		return err
	}
	l.greeted(h)
	return nil
}
