package exchange

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
	errand  errand
	l       *link
	ch      protocol.Channel
	queued  chan struct{}
	contact chan struct{} // a connection came up
	alive   chan struct{} // the member greeted us while we were failing
	failing atomic.Bool
	current atomic.Pointer[session] // the open stream

	// Of run alone.
	need     bool // something may wait, or was never acknowledged
	failures int
	tried    time.Time
	retry    time.Time

	// Numbers of messages, for the count of what was delivered: the first ever handed out, and the last.
	first, last uint64
}

func newSender(l *link, ch protocol.Channel) *sender {
	s := &sender{l: l, ch: ch, queued: make(chan struct{}, 1), contact: make(chan struct{}, 1), alive: make(chan struct{}, 1), need: true}
	s.errand = errand{l: l, do: s.run}
	return s
}

// move ends a stream that runs on an older connection than the one that has come up: if the member was restarted, the older one is dead and
// does not show it. deliver begins again on the younger.
func (s *sender) move(c network.Conn) {
	if ses := s.current.Load(); ses != nil && ses.stream.Conn().Stat().Opened.Before(c.Stat().Opened) {
		ses.moved.Store(true)
		ses.reset()
	}
}

func (s *sender) bulk() bool { return s.ch == protocol.Bulk }

func (s *sender) wake() {
	if s.ch == protocol.Urgent && !s.failing.Load() && s.l.newest() != nil {
		s.l.urgent.want()
	}
	signal(s.queued)
	s.errand.wake()
}

// run works until nothing is left to do: everything is acknowledged and the stream closed, or the member is not there. Between deliveries the stream stays
// open for a while: what is queued next needs no new greeting.
func (s *sender) run() (again time.Duration) {
	var (
		ses    *session
		linger time.Time
	)
	p := s.l.x.pace
	for s.l.life.Err() == nil {
		if s.need && !time.Now().Before(s.retry) && s.l.newest() != nil {
			var err error
			s.tried = time.Now()
			ses, err = s.deliver(ses)
			if err == nil {
				s.need, s.failures, linger = false, 0, time.Now().Add(p.linger)
				s.l.report.well(source(s.ch), s.l.x.o.Now())
			} else if s.l.life.Err() == nil && !errors.Is(err, errNotConnected) {
				s.failures++
				wait := backoff(s.failures, p.retryMin, p.retryMax, rand.Float64())
				s.retry = time.Now().Add(wait)
				s.note(err, wait)
			}
			s.failing.Store(err != nil)
		}
		there := s.l.newest() != nil
		if !there && ses != nil { // it died with the connection
			s.leave(ses).reset()
			ses = nil
		}
		timer := time.NewTimer(p.retryMax)
		switch {
		case s.need && there:
			timer.Reset(time.Until(s.retry))
		case ses != nil:
			timer.Reset(time.Until(linger))
		case len(s.queued)+len(s.contact)+len(s.alive) == 0:
			timer.Stop()
			return 0
		}
		select {
		case <-s.l.life.Done():
		case <-s.queued:
			s.need = true
		case <-s.contact:
			s.need, s.failures, s.retry = true, 0, s.tried.Add(p.retryMin) // a member that reconnects in a loop must not make us spin
		case <-s.alive:
			s.retry = earlier(s.retry, s.tried.Add(p.nudge))
		case <-timer.C:
			if !s.need && ses != nil {
				s.leave(ses).close()
				ses = nil
			}
		}
		timer.Stop()
	}
	if ses != nil {
		s.leave(ses).reset()
	}
	return 0
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
