package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"proofmark/node/dispatch"
	"proofmark/protocol"
)

// StandingProtocol carries where two nodes stand towards each other: greeting and question of the one who asks, greeting and answer of the other, both signed;
// then, if the asker was restored from a backup, question after question for what came after it. All frames.
const StandingProtocol p2pprotocol.ID = "/proofmark/standing/1.0.0"

// Standing judges what nodes say of themselves. *dispatch.Dispatch does it for a node.
type Standing interface {
	AskStanding(ctx context.Context, peer protocol.Country) (*dispatch.Asked, string, error)
	AnswerStanding(ctx context.Context, from protocol.Country, ask string) (string, error)
	TakeStanding(ctx context.Context, a *dispatch.Asked, answer string) (more bool, err error)
	AskPage(a *dispatch.Asked) ([]byte, error)
	AnswerPage(ctx context.Context, from protocol.Country, ask []byte) ([]byte, error)
	TakePage(ctx context.Context, a *dispatch.Asked, page []byte) (more bool, err error)
}

var _ Standing = (*dispatch.Dispatch)(nil)

const (
	maxStanding = 2*protocol.MaxStanding + 512
	maxPageAsk  = 1 << 10

	standingEvery = 10 * time.Minute // between two questions to a member that is connected
	standingAgain = 15 * time.Second // after one that failed
)

// comparing is where a standing goes wrong.
const comparing source = "comparing"

// serveStanding handles one incoming stream, on a goroutine of libp2p's.
func (x *Exchange) serveStanding(s network.Stream) {
	x.attend(s, "this node's standing", (*link).answerStanding)
}

// attend answers a member on a stream of its own, as long as it is a member. A panic of the answer harms nobody else; what was said to the member is let through.
func (x *Exchange) attend(s network.Stream, what string, answer func(*link, network.Stream) error) {
	if !x.begin() {
		_ = s.Reset()
		return
	}
	defer x.works.Done()
	l := x.linkOf(s.Conn())
	if l == nil {
		_ = s.Reset()
		return
	}
	detach := context.AfterFunc(l.life, func() { _ = s.Reset() })
	defer detach()
	err := contained(func() error { return answer(l, s) })
	var said saidError
	var broken panicError
	switch {
	case errors.As(err, &broken):
		x.o.Log.Error("panic while answering a member", "about", what, "peer", l.country, "panic", broken.value, "stack", string(broken.stack))
	case err != nil:
		x.o.Log.Debug("a member's question failed", "about", what, "peer", l.country, "err", err)
	}
	if err != nil && !errors.As(err, &said) || s.Close() != nil {
		_ = s.Reset()
	}
}

// greetAsked hears a member's greeting and its question, of at most limit bytes, and greets it. A greeting counts (greeted) once the question is one.
func (l *link) greetAsked(p patient, limit int) (*protocol.Hello, []byte, error) {
	b, err := protocol.ReadFrame(p, protocol.MaxHello)
	if err != nil {
		return nil, nil, fmt.Errorf("wait for hello: %w", noEOF(err))
	}
	h, err := protocol.DecodeHello(b)
	if err == nil {
		err = checkHello(h, l.member.Load(), l.x.o.Country, l.x.o.Now())
	}
	if err != nil {
		return nil, nil, l.refuseHello(p, err)
	}
	if b, err = protocol.ReadFrame(p, limit); err != nil {
		return nil, nil, fmt.Errorf("wait for the question: %w", noEOF(err))
	}
	if err := writeJSON(p, l.x.hello(l.country, "")); err != nil {
		return nil, nil, fmt.Errorf("say hello: %w", err)
	}
	return h, b, nil
}

func (l *link) answerStanding(s network.Stream) error {
	if !l.asked.TryLock() {
		return errTooMany
	}
	defer l.asked.Unlock()
	p := within(s, l.x.pace.hello)
	b, err := protocol.ReadFrame(p, protocol.MaxHello)
	if err != nil {
		return fmt.Errorf("wait for hello: %w", noEOF(err))
	}
	h, err := protocol.DecodeHello(b)
	if err == nil {
		err = checkHello(h, l.member.Load(), l.x.o.Country, l.x.o.Now())
	}
	if err != nil {
		return l.refuseHello(p, err)
	}
	ask, err := protocol.ReadFrame(p, maxStanding)
	if err != nil {
		return fmt.Errorf("wait for the question: %w", noEOF(err))
	}
	answer, err := l.x.o.Standing.AnswerStanding(l.life, l.country, string(ask))
	if err != nil {
		return l.refuseHello(within(s, l.x.pace.hello), err)
	}
	p = within(s, l.x.pace.hello)
	if err := writeJSON(p, l.x.hello(l.country, "")); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	if err := protocol.WriteFrame(p, []byte(answer)); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	l.greeted(h)
	for {
		ask, err := protocol.ReadFrame(within(s, l.x.pace.answer), maxPageAsk)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for a question: %w", err)
		}
		page, err := l.x.o.Standing.AnswerPage(l.life, l.country, ask)
		if err != nil {
			return err
		}
		if err := protocol.WriteFrame(patient{pipe: s, progress: l.x.pace.progress, until: time.Now().Add(l.x.pace.batch)}, page); err != nil {
			return fmt.Errorf("answer a question: %w", err)
		}
	}
}

// attested is how the last question for the member's standing went.
type attested struct {
	on   string // the connection
	at   time.Time
	well bool
}

// attest asks the member for its standing when the connection is new, and now and then.
func (l *link) attest() (again time.Duration) {
	c := l.newest()
	if l.x.o.Standing == nil || c == nil {
		return 0 // a new connection wakes it
	}
	if last := l.attested; last.well && last.on == c.ID() && time.Since(last.at) < standingEvery {
		return standingEvery
	}
	err := contained(func() error { return l.askStanding(c) })
	l.attested = attested{on: c.ID(), at: time.Now(), well: err == nil}
	if err != nil {
		l.fault(comparing, fmt.Errorf("ask for its standing: %w", err), standingAgain)
		return standingAgain
	}
	l.report.well(comparing, l.x.o.Now())
	return standingEvery
}

func (l *link) askStanding(c network.Conn) error {
	asked, ask, err := l.x.o.Standing.AskStanding(l.life, l.country)
	if err != nil {
		return err
	}
	// A member answers, and greets, when it has looked what it sent and received; a node that was restored then fetches what came after its backup.
	return l.visit(l.life, c, StandingProtocol, []byte(ask), l.x.pace.answer, func(s pipe) error {
		answer, err := protocol.ReadFrame(within(s, l.x.pace.answer), maxStanding)
		if err != nil {
			return fmt.Errorf("wait for the answer: %w", noEOF(err))
		}
		more, err := l.x.o.Standing.TakeStanding(l.life, asked, string(answer))
		for err == nil && more {
			more, err = l.fetchPage(s, asked)
		}
		return err
	})
}

// fetchPage asks for one page of what came after this node's backup.
func (l *link) fetchPage(s pipe, asked *dispatch.Asked) (more bool, err error) {
	ask, err := l.x.o.Standing.AskPage(asked)
	if err != nil {
		return false, err
	}
	p := patient{pipe: s, progress: l.x.pace.answer, until: time.Now().Add(l.x.pace.batch)}
	if err := protocol.WriteFrame(p, ask); err != nil {
		return false, fmt.Errorf("ask for what came after the backup: %w", err)
	}
	page, err := protocol.ReadFrame(p, protocol.MaxRestorePage)
	if err != nil {
		return false, fmt.Errorf("what came after the backup: %w", noEOF(err))
	}
	return l.x.o.Standing.TakePage(l.life, asked, page)
}
