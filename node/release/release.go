// Package release owns the way of a full scan from one country to another: who asks for what and why, what policy and two people decide, the answers that
// leave on a fixed tick so that they tell nothing by their time, the right to fetch, and what is fetched. It refuses to know how bytes travel and what a
// scan shows.
package release

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// Purpose for which scans are asked for unless a person names another.
const Purpose = "criminal-investigation"

// The usual measures.
const (
	UsualTick  = 15 * time.Second    // every answer that releases nothing leaves on a whole multiple of it
	UsualChunk = 256 << 10           // bytes of a scan that are checked and kept at once
	UsualValid = 30 * 24 * time.Hour // a release can be used so long
	answered   = 4                   // times the budget: what comes beyond it is refused without an answer
	maxOpened  = 512                 // streams for one scan of one release
)

// Fetch gets the bytes of a released scan from its owner, beginning at offset: take is given them in their order, done is called when all have been
// taken. An error of take or done ends it and is returned.
type Fetch func(ctx context.Context, from protocol.Country, release string, scan protocol.ReleasedScan, offset int64, take func([]byte) error, done func() error) error

// ErrRefused: the owner's node said that it does not send the scan; Fetch returns it so that one waits longer before the next try.
var ErrRefused = errors.New("refused by the owner's node")

// ErrNotReleased: there is no release under which this country may have the scan now. Nothing else is told, whatever the reason; the log knows it.
var ErrNotReleased = errors.New("no release of this scan stands for that country")

// Options assemble a Service. Zero measures are the usual ones.
type Options struct {
	Desk  *desk.Desk
	Out   *dispatch.Dispatch
	Now   func() time.Time
	Fetch Fetch // nil: nothing is fetched (no network)

	Tick  time.Duration
	Quota int // requests of one country within the span of its budget; 0: as many as the policy's budgets say
	Chunk int64
	Valid time.Duration
}

// Service does the release of scans for one node.
type Service struct {
	desk  *desk.Desk
	out   *dispatch.Dispatch
	now   func() time.Time
	fetch Fetch

	tick  time.Duration
	quota int
	chunk int64
	valid time.Duration

	filed  chan struct{} // there is something to judge
	wake   chan struct{} // a refusal was settled
	come   chan struct{} // something can be fetched
	tally  tally
	carts  carts
	whole  chan struct{} // one scan at a time is put together
	looked func(step string)
}

// New returns the service and registers its handlers.
func New(o Options) *Service {
	s := &Service{desk: o.Desk, out: o.Out, now: o.Now, fetch: o.Fetch, tick: o.Tick, quota: o.Quota, chunk: o.Chunk, valid: o.Valid,
		filed: make(chan struct{}, 1), wake: make(chan struct{}, 1), come: make(chan struct{}, 1), whole: make(chan struct{}, 1), looked: func(string) {}}
	if s.tick <= 0 {
		s.tick = UsualTick
	}
	if s.chunk <= 0 {
		s.chunk = UsualChunk
	}
	if s.valid <= 0 {
		s.valid = UsualValid
	}
	o.Out.Handle(protocol.TypeScanRequest, s.receiveRequest)
	o.Out.Handle(protocol.TypeScanRelease, s.receiveRelease)
	o.Out.Handle(protocol.TypeScanRefusal, s.receiveRefusal)
	o.Out.HandleEnding(protocol.TypeSignature, s.endSignature)
	o.Out.HandleEnding(protocol.TypeScanRelease, s.endRelease)
	o.Out.HandleEnding(protocol.TypeScanRequest, s.endRequest)
	return s
}

// Run judges what is filed, sends what is due and fetches what was released, until ctx ends. These three wait for nothing of each other: an answer that
// is due must not tell by its delay what was found for another request.
func (s *Service) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { s.fetchAll(ctx) })
	all.Go(func() {
		s.loop(ctx, s.filed, func() (time.Duration, error) { return retryMost, s.Judge(ctx) })
	})
	all.Go(func() {
		s.loop(ctx, s.wake, func() (time.Duration, error) {
			if err := s.Answer(ctx); err != nil {
				return s.tick, err
			}
			return s.rested()
		})
	})
	all.Wait()
	return nil
}

// loop takes a turn whenever it is woken, and after the time that the last turn named.
func (s *Service) loop(ctx context.Context, woken chan struct{}, turn func() (time.Duration, error)) {
	for ctx.Err() == nil {
		wait, err := turn()
		if err != nil && ctx.Err() == nil {
			s.desk.Log.Error("scan requests", "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// rested is how long no answer is due; not longer than a tick, because the clock may be set.
func (s *Service) rested() (time.Duration, error) {
	var next time.Time
	err := s.desk.Store.View(func(tx *store.Tx) error {
		for _, r := range requests.ByPrefix(tx, "due", "") {
			next = r.Due
			break
		}
		return tx.Err()
	})
	if err != nil {
		return s.tick, fmt.Errorf("find the next answer that is due: %w", err)
	}
	if next.IsZero() {
		return s.tick, nil
	}
	return max(0, min(s.tick, next.Sub(s.now()))), nil
}

// due is the tick on which an answer leaves that is settled at a time: the first whole multiple of the tick that is at least one tick away.
func (s *Service) due(settled time.Time) time.Time {
	at := settled.Add(s.tick).UTC()
	due := at.Truncate(s.tick)
	if due.Before(at) {
		due = due.Add(s.tick)
	}
	return due
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
