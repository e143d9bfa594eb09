package exchange

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

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
	contact chan struct{} // a connection came up, or the member greeted us while we were failing
	failing atomic.Bool
}

func newSender(l *link, ch protocol.Channel) *sender {
	return &sender{l: l, ch: ch, queued: make(chan struct{}, 1), contact: make(chan struct{}, 1)}
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
		retry    time.Time
		linger   time.Time
	)
	defer func() { ses.reset() }()
	p := s.l.x.pace
	for s.l.life.Err() == nil {
		if need && !time.Now().Before(retry) && s.l.newest() != nil {
			var err error
			ses, err = s.deliver(ses)
			if err == nil {
				need, failures, linger = false, 0, time.Now().Add(p.linger)
			} else if s.l.life.Err() == nil {
				failures++
				retry = time.Now().Add(backoff(failures, p.retryMin, p.retryMax, rand.Float64()))
				s.note(err, retry)
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
			need, failures, retry = true, 0, time.Time{}
		case <-timer.C:
			if !need && ses != nil {
				ses.close()
				ses = nil
			}
		}
		timer.Stop()
	}
}

func (s *sender) note(err error, next time.Time) {
	var p panicError
	if errors.As(err, &p) {
		s.l.x.o.Log.Error("panic while delivering", "peer", s.l.country, "channel", s.ch, "panic", p.value, "stack", string(p.stack))
	} else {
		s.l.x.o.Log.Debug("delivery failed", "peer", s.l.country, "channel", s.ch, "err", err, "next", next)
	}
	s.l.report.fault(err)
	s.l.report.next(next)
}

// deliver sends everything that waits. A stream that was left open may have died unnoticed, so its failure is followed by one new attempt
// at once. It returns the stream to go on with, nil after an error.
func (s *sender) deliver(ses *session) (*session, error) {
	if s.ch == protocol.Urgent {
		s.l.urgent.want()
		defer s.l.urgent.done()
	}
	for {
		reused := ses != nil
		err := contained(func() error {
			var err error
			if ses == nil {
				if ses, err = s.l.open(s.ch); err != nil {
					return err
				}
			}
			return s.drain(ses)
		})
		if err == nil {
			return ses, nil
		}
		ses.reset()
		ses = nil
		if !reused || s.l.life.Err() != nil {
			return nil, err
		}
	}
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
		s.l.urgent.yield(ctx, s.l.x.pace.yield)
		leave, err := s.l.x.lanes.enter(ctx, s.l.report.isSlow())
		if err != nil {
			return false, err
		}
		defer leave()
	}
	b, err := mail.NextBatch(ctx, s.l.country, s.ch)
	if err != nil || b == nil {
		return false, err
	}
	if b.Last <= *last {
		return false, errNoProgress
	}
	begun := time.Now()
	a, err := ses.send(b)
	if s.ch == protocol.Bulk {
		s.l.report.took(time.Since(begun), s.l.x.pace.slow)
	}
	if err != nil {
		return false, err
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
	s.l.report.delivered(s.ch, b.Last-b.First+1, s.l.x.o.Now())
	return true, nil
}
