package exchange

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// errandOn returns an errand of a link that is nobody's.
func errandOn(t *testing.T, do func() time.Duration) (*errand, context.CancelFunc) {
	x := new(Exchange)
	l := &link{x: x}
	l.life, l.stop = context.WithCancel(t.Context())
	t.Cleanup(func() {
		l.stop()
		x.works.Wait()
	})
	return &errand{l: l, do: do}, l.stop
}

func TestErrandLooksAgainWhenWokenAtWork(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	e, _ := errandOn(t, func() time.Duration {
		begun <- struct{}{}
		<-goOn
		return 0
	})
	e.wake()
	<-begun
	for range 5 { // however often: it looks once more
		e.wake()
	}
	goOn <- struct{}{}
	<-begun
	goOn <- struct{}{}
	e.l.x.works.Wait() // it has no goroutine now
	e.wake()
	<-begun
	goOn <- struct{}{}
}

func TestErrandLooksByItself(t *testing.T) {
	looks := make(chan struct{})
	e, _ := errandOn(t, func() time.Duration {
		looks <- struct{}{}
		return time.Microsecond
	})
	e.wake()
	for range 3 {
		<-looks
	}
	e.l.stop()
	for ended := false; !ended; { // a look may have begun
		e.mu.Lock()
		ended = !e.busy
		e.mu.Unlock()
		select {
		case <-looks:
		case <-time.After(time.Millisecond):
		}
	}
}

func TestErrandEndsWithItsLink(t *testing.T) {
	var looks atomic.Int32
	e, stop := errandOn(t, func() time.Duration { looks.Add(1); return 0 })
	stop()
	e.wake()
	e.l.x.works.Wait()
	if n := looks.Load(); n != 0 {
		t.Fatalf("%d looks after the end of the link", n)
	}
}

func TestErrandEndsWithItsExchange(t *testing.T) {
	var looks atomic.Int32
	e, _ := errandOn(t, func() time.Duration { looks.Add(1); return 0 })
	e.l.x.closed = true
	e.wake()
	e.l.x.works.Wait()
	if n := looks.Load(); n != 0 {
		t.Fatalf("%d looks of a closed exchange", n)
	}
}
