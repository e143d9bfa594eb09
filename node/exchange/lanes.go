package exchange

import (
	"context"
	"sync"
	"time"
)

// How many bulk batches are held in memory at once, of at most 4 MiB each, whatever the backlog: for members that take them promptly, and
// apart for those that do not, so that slow members wait for one another only.
const (
	fastLane = 32
	slowLane = 8
)

// How many batches from all members together are verified and applied at once; each member has at most one for each channel.
const verifyLane = 32

type lanes struct{ fast, slow, verify chan struct{} }

func newLanes() lanes {
	return lanes{fast: make(chan struct{}, fastLane), slow: make(chan struct{}, slowLane), verify: make(chan struct{}, verifyLane)}
}

// enter takes a place in a lane; leave gives it back and must be called once.
func enter(ctx context.Context, lane chan struct{}) (leave func(), err error) {
	select {
	case lane <- struct{}{}:
		return func() { <-lane }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// tryEnter takes a place in a lane if one is free.
func tryEnter(lane chan struct{}) bool {
	select {
	case lane <- struct{}{}:
		return true
	default:
		return false
	}
}

// precedence lets a member's urgent channel go before its bulk channel.
type precedence struct {
	mu     sync.Mutex
	wanted bool
	clear  chan struct{} // closed while nothing urgent is wanted
}

func (p *precedence) init() {
	p.clear = make(chan struct{})
	close(p.clear)
}

func (p *precedence) want() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wanted {
		p.wanted, p.clear = true, make(chan struct{})
	}
}

func (p *precedence) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted {
		p.wanted = false
		close(p.clear)
	}
}

// waits tells whether something urgent is on its way.
func (p *precedence) waits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted
}

// yield waits until nothing urgent is on its way, at most the given time: a stuck urgent channel must not stop the other for good.
func (p *precedence) yield(ctx context.Context, most time.Duration) {
	p.mu.Lock()
	clear := p.clear
	p.mu.Unlock()
	select {
	case <-clear:
		return
	default:
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-clear:
	case <-t.C:
	case <-ctx.Done():
	}
}
