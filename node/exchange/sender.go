package exchange

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"proofmark/protocol"
)

var (
	errNotConnected = errors.New("not connected")
	errNoProgress   = errors.New("the other node answers but acknowledges nothing new")
)

// sender delivers one channel to one member. It is woken by what is queued, by contact with the member, and by its own retries.
type sender struct {
	l       *link
	ch      protocol.Channel
	queued  chan struct{}
	contact chan struct{} // a connection came up
	alive   chan struct{} // the member greeted us while we were failing
	failing atomic.Bool
	current atomic.Pointer[session] // the open stream

	// Numbers of messages, for the count of what was delivered: the first ever handed out, and the last.
	first, last uint64
}

func newSender(l *link, ch protocol.Channel) *sender {
	return &sender{l: l, ch: ch, queued: make(chan struct{}, 1), contact: make(chan struct{}, 1), alive: make(chan struct{}, 1)}
}

// move ends a stream that runs on an older connection than the one that has come up: if the member was restarted, the older one is dead and
// does not show it. deliver begins again on the younger.
func (s *sender) move(c network.Conn) {
	if ses := s.current.Load(); ses != nil && ses.stream.Conn().Stat().Opened.Before(c.Stat().Opened) {
		ses.moved.Store(true)
		ses.reset()
	}
}

func (s *sender) wake() {
	if s.ch == protocol.Urgent && !s.failing.Load() && s.l.newest() != nil {
		s.l.urgent.want()
	}
	signal(s.queued)
}

// run works until the link ends. Between deliveries the stream stays open for a while: what is queued next needs no new greeting.
func (s *sender) run() {
	var (
		ses      *session
		need     = true // a restart may have left batches that were never acknowledged
		failures int
		tried    time.Time
		retry    time.Time
		linger   time.Time
	)
	defer func() { s.leave(ses).reset() }()
	p := s.l.x.pace
	for s.l.life.Err() == nil {
		if need && !time.Now().Before(retry) && s.l.newest() != nil {
			var err error
			tried = time.Now()
			ses, err = s.deliver(ses)
			if err == nil {
				need, failures, linger = false, 0, time.Now().Add(p.linger)
				s.l.report.well(source(s.ch), s.l.x.o.Now())
			} else if s.l.life.Err() == nil && !errors.Is(err, errNotConnected) {
				failures++
				wait := backoff(failures, p.retryMin, p.retryMax, rand.Float64())
				retry = time.Now().Add(wait)
				s.note(err, wait)
			}
			s.failing.Store(err != nil)
		}
		var timer *time.Timer
		switch {
		case need && s.l.newest() != nil:
			timer = time.NewTimer(time.Until(retry))
		case ses != nil:
			timer = time.NewTimer(time.Until(linger))
		default:
			timer = time.NewTimer(p.retryMax)
		}
		select {
		case <-s.l.life.Done():
		case <-s.queued:
			need = true
		case <-s.contact:
			need, failures, retry = true, 0, tried.Add(p.retryMin) // a member that reconnects in a loop must not make us spin
		case <-s.alive:
			retry = earlier(retry, tried.Add(p.nudge))
		case <-timer.C:
			if !need && ses != nil {
				s.leave(ses).close()
				ses = nil
			}
		}
		timer.Stop()
	}
}

func (s *sender) note(err error, wait time.Duration) {
	var broken panicError
	if errors.As(err, &broken) {
		s.l.x.o.Log.Error("panic while delivering", "peer", s.l.country, "channel", s.ch, "panic", broken.value, "stack", string(broken.stack))
	}
	s.l.fault(source(s.ch), fmt.Errorf("deliver on the %s channel: %w", s.ch, err), wait)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// deliver sends everything that waits. A stream that was left open may have died unnoticed, so its failure is followed by one new attempt
// at once. It returns the stream to go on with, nil after an error.
func (s *sender) deliver(ses *session) (*session, error) {
	if err := s.l.x.held(); err != nil {
		s.leave(ses).reset()
		return nil, err
	}
	if s.ch == protocol.Urgent {
		s.l.urgent.want()
		defer s.l.urgent.done()
	}
	for {
		again := ses != nil
		err := contained(func() error {
			var err error
			if ses == nil {
				if ses, err = s.open(); err != nil {
					return err
				}
				if err = s.l.x.o.Mail.Flow(s.l.life, s.l.country, s.ch); err != nil {
					return err
				}
			}
			return s.drain(ses)
		})
		if err == nil {
			return ses, nil
		}
		s.leave(ses).reset()
		again = again || ses != nil && ses.moved.Load()
		ses = nil
		if !again || s.l.life.Err() != nil {
			return nil, err
		}
	}
}

// leave takes the stream out of use; what is queued from here on waits for the next one. The stream, which may be nil, is the caller's to end.
func (s *sender) leave(ses *session) *session {
	s.l.x.o.Mail.Pause(s.l.country, s.ch)
	s.current.Store(nil)
	return ses
}

// drain sends batch after batch until nothing waits.
func (s *sender) drain(ses *session) error {
	mail, ctx := s.l.x.o.Mail, s.l.life
	var last uint64 // of the batch before
	for {
		more, err := s.step(ctx, ses, mail, &last)
		if err != nil || !more {
			return err
		}
	}
}

// step sends one batch. A bulk batch yields to urgent ones and takes its place among those that are held in memory at once.
func (s *sender) step(ctx context.Context, ses *session, mail Mail, last *uint64) (more bool, err error) {
	if s.ch == protocol.Bulk {
		leave, err := s.queue(ctx)
		if err != nil {
			return false, err
		}
		defer leave()
	}
	b, err := mail.NextBatch(ctx, s.l.country, s.ch)
	if err != nil {
		return false, err
	}
	if b == nil {
		s.acknowledged(s.last)
		return false, nil
	}
	if s.first == 0 {
		s.first = b.First
	}
	s.last = max(s.last, b.Last)
	s.acknowledged(b.First - 1) // also by the receipt of an earlier stream's end
	if b.Last <= *last {
		return false, errNoProgress
	}
	begun := time.Now()
	a, err := ses.send(b, func() {
		if err := mail.Prepare(ctx, s.l.country, s.ch, b.Last); err != nil && ctx.Err() == nil {
			s.l.x.o.Log.Debug("prepare the next batch", "peer", s.l.country, "channel", s.ch, "err", err) // NextBatch will meet it again
		}
	})
	if err != nil {
		return false, err
	}
	if s.ch == protocol.Bulk {
		s.l.report.setSlow(time.Since(begun) > s.l.x.pace.slow)
	}
	if a.Receipt != "" {
		if err := mail.AcceptReceipt(ctx, s.l.country, a.Receipt); err != nil {
			return false, err
		}
	}
	if a.Refusal != "" {
		return false, refusedError{a.Refusal}
	}
	*last = b.Last
	s.acknowledged(b.Last)
	return true, nil
}

// acknowledged notes how far the other side has the channel.
func (s *sender) acknowledged(upTo uint64) {
	if s.first > 0 && upTo >= s.first {
		s.l.report.delivered(s.ch, upTo-s.first+1, s.l.x.o.Now())
	}
}

// queue waits for a bulk batch's turn: after urgent ones, and in the lane for prompt members or for slow ones. Who holds a place among the
// prompt for too long loses it, and queues among the slow until a batch goes quickly again.
func (s *sender) queue(ctx context.Context) (leave func(), err error) {
	s.l.urgent.yield(ctx, s.l.x.pace.yield)
	if s.l.report.isSlow() {
		return enter(ctx, s.l.x.lanes.slow)
	}
	free, err := enter(ctx, s.l.x.lanes.fast)
	if err != nil {
		return nil, err
	}
	free = sync.OnceFunc(free)
	late := time.AfterFunc(s.l.x.pace.slow, func() {
		s.l.report.setSlow(true)
		free()
	})
	return func() {
		late.Stop()
		free()
	}, nil
}
