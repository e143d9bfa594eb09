package ballistics

import (
	"context"
	"errors"
	"sync"
	"time"

	"proofmark/store"
)

// How the queue is worked off. Searches at once share the cores evenly (correlate.Gallery); several of them fill the moments in which one alone leaves
// cores idle, and one that takes long keeps nobody waiting.
const (
	searchesAtOnce = 4
	searchLimit    = 2 * time.Minute // a search of a million takes seconds
	searchTries    = 3               // each with four times the time of the one before
	roomAgain      = 5 * time.Second // between looks whether there is disk space again
)

// queue is what is known in memory of the jobs; the jobs themselves are in the database.
type queue struct {
	limit time.Duration

	mu      sync.Mutex
	workers int
	running map[string]bool // by signature
	late    map[string]int  // how often the time did not suffice: such jobs come after all others
	failed  map[string]bool // they are tried again after a restart
	full    bool            // the disk has no room for what is found: nothing is searched for the moment
}

func newQueue() queue {
	return queue{limit: searchLimit, running: map[string]bool{}, late: map[string]int{}, failed: map[string]bool{}}
}

// nudge tells the correlation that there may be work.
func (s *Service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run fills the index and correlates every signature that has not been, until ctx ends. It survives being killed at any moment: a
// job leaves the queue in the transaction that writes its candidates. While the index is being filled, commands and exchange go on and jobs wait: a search
// of a part would miss pairs that no later search looks for again.
func (s *Service) Run(ctx context.Context) error {
	if err := s.Load(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	s.saved.Store(s.now().UnixNano())
	var others sync.WaitGroup
	others.Go(func() { s.upkeep(ctx) })
	defer func() {
		others.Wait()
		if s.index.Changes() > 0 {
			s.saveIndex()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			for s.queue.hire() {
				others.Go(func() { s.workOff(ctx) })
			}
		}
	}
}

// upkeep writes snapshots that are due, and has the queue go on where the disk was full.
func (s *Service) upkeep(ctx context.Context) {
	sweep, room := time.NewTicker(time.Minute), time.NewTicker(roomAgain)
	defer sweep.Stop()
	defer room.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-room.C:
			if s.queue.tryAgain() {
				s.nudge()
			}
		case <-sweep.C:
			held, _ := s.index.Len("", "")
			if due(held, s.index.Changes(), time.Duration(s.now().UnixNano()-s.saved.Load())) {
				s.saveIndex()
			}
		}
	}
}

// hire says whether one more may work; take gives the place back.
func (q *queue) hire() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.workers == searchesAtOnce {
		return false
	}
	q.workers++
	return true
}

// tryAgain has what the full disk held up searched once more, and says whether anything was.
func (q *queue) tryAgain() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.full
	q.full = false
	return held
}

// correlateAll works off the queue until it is empty.
func (s *Service) correlateAll(ctx context.Context) error {
	var wg sync.WaitGroup
	for s.queue.hire() {
		wg.Go(func() { s.workOff(ctx) })
	}
	wg.Wait()
	return ctx.Err()
}

// workOff correlates one signature after the other until none waits.
func (s *Service) workOff(ctx context.Context) {
	for {
		next, err := s.take(ctx)
		if err != nil {
			s.desk.Log.Error("read the queue of correlations", "error", err)
		}
		if next == nil {
			return
		}
		s.work(ctx, next)
	}
}

// take takes a job; nil where there is none, and once ctx has ended. Whoever gets none works no more: the place is given back under the same lock, so that the
// nudge for a job that is queued a moment later finds it free.
func (s *Service) take(ctx context.Context) (next *Signature, err error) {
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() == nil {
		next, err = s.next()
	}
	if next == nil {
		q.workers--
	}
	return next, err
}

// next is the oldest job that nobody works on, from now on worked on; those that ran out of their time come after all others. nil where none is left. The
// caller has the queue's lock.
func (s *Service) next() (*Signature, error) {
	q := &s.queue
	if q.full {
		return nil, nil
	}
	var next *Signature
	err := s.desk.Store.View(func(tx *store.Tx) error {
		best, tries := "", searchTries
		for id := range jobs.All(tx) {
			if q.running[id] || q.failed[id] || q.late[id] >= tries {
				continue
			}
			if best, tries = id, q.late[id]; tries == 0 {
				break
			}
		}
		if err := tx.Err(); err != nil || best == "" {
			return err
		}
		var err error
		next, err = signatures.Get(tx, best)
		return err
	})
	if next != nil {
		q.running[next.ID] = true
	}
	return next, err
}

// work correlates one signature within its time.
func (s *Service) work(ctx context.Context, sig *Signature) {
	q := &s.queue
	q.mu.Lock()
	limit := q.limit << (2 * q.late[sig.ID])
	q.mu.Unlock()
	timed, stop := context.WithTimeout(ctx, limit)
	err := s.correlate(timed, sig)
	stop()
	s.ended(sig, err, ctx.Err() != nil, limit)
}

// ended decides what becomes of a job: it is done, or tried again now, later, or after a restart.
func (s *Service) ended(sig *Signature, err error, stopping bool, limit time.Duration) {
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.running, sig.ID)
	switch {
	case err == nil:
		delete(q.late, sig.ID)
	case stopping:
	case errors.Is(err, store.ErrDiskReserve):
		if !q.full {
			q.full = true
			s.desk.Log.Warn("a correlation waits for free disk space", "signature", sig.ID, "error", err)
		}
	case errors.Is(err, context.DeadlineExceeded) && q.late[sig.ID]+1 < searchTries:
		q.late[sig.ID]++
		s.desk.Log.Warn("a correlation took too long and is tried again with more time, after all others", "signature", sig.ID, "limit", limit.String())
	default:
		q.failed[sig.ID] = true
		s.desk.Log.Error("correlation failed; it is tried again when the node restarts", "signature", sig.ID, "error", err)
	}
}

// Idle reports whether every signature held has been correlated.
func (s *Service) Idle() (bool, error) {
	n, err := s.Waiting()
	return n == 0, err
}
