package exchange

import (
	"sync"
	"time"
)

// errand is a piece of a link's work that comes up now and then. It has a goroutine while it is done, and none while there is nothing to do: two hundred links
// would else keep a thousand goroutines with their stacks.
type errand struct {
	l  *link
	do func() (again time.Duration) // does what there is to do, and says after which time it looks by itself (0: not before it is woken)

	mu    sync.Mutex
	busy  bool
	woken bool // while it was busy: it looks once more
	timer *time.Timer
}

// wake has the errand look at what there is to do. It does not block; the exchange's lock must not be held.
func (e *errand) wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy {
		e.woken = true
		return
	}
	if e.timer != nil {
		e.timer.Stop()
	}
	if e.l.life.Err() != nil || !e.l.x.begin() {
		return
	}
	e.busy = true
	go e.run()
}

func (e *errand) run() {
	defer e.l.x.works.Done()
	for {
		if e.rest(e.do()) {
			return
		}
	}
}

// rest ends the goroutine, unless the errand was woken while it was busy or the link has ended.
func (e *errand) rest(again time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	over := e.l.life.Err() != nil
	if e.woken && !over {
		e.woken = false
		return false
	}
	e.busy, e.woken = false, false
	switch {
	case again <= 0 || over:
	case e.timer == nil:
		e.timer = time.AfterFunc(again, e.wake)
	default:
		e.timer.Reset(again)
	}
	return true
}
