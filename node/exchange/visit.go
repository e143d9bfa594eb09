package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"proofmark/protocol"
)

// visit opens a stream to a member, greets it with the first word of what is wanted behind the greeting, hears its greeting and hands the stream to then.
// The stream ends with ctx, with the member's membership and with an error.
func (x *Exchange) visit(ctx context.Context, to protocol.Country, p p2pprotocol.ID, first any, then func(*link, pipe) error) error {
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
	opening, cancel := context.WithTimeout(ctx, x.pace.hello)
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
	if err = l.sayFirst(pipe, first); err == nil {
		err = then(l, pipe)
	}
	if err != nil || s.Close() != nil {
		_ = s.Reset()
	}
	return err
}

// sayFirst exchanges greetings; the first word goes out with this side's.
func (l *link) sayFirst(s pipe, first any) error {
	p := within(s, l.x.pace.hello)
	var opening bytes.Buffer
	if err := errors.Join(writeJSON(&opening, l.x.hello(l.country, "")), writeJSON(&opening, first)); err != nil {
		return err
	}
	if _, err := p.Write(opening.Bytes()); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	b, err := protocol.ReadFrame(p, protocol.MaxHello)
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
