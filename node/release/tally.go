package release

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// tallyWindow is the time within which refusals of one kind share an entry in the log: a hostile member cannot make it grow without bound.
const tallyWindow = time.Minute

// tally counts refusals that leave no entry of their own.
type tally struct {
	mu sync.Mutex
	n  map[tallied]*times
}

type tallied struct {
	from   protocol.Country
	ground string
}

type times struct {
	since time.Time
	n     int
	last  string
}

// note counts one refusal; last says what the latest of its kind was about.
func (t *tally) note(from protocol.Country, ground, last string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[tallied]*times{}
	}
	k := tallied{from, ground}
	if t.n[k] == nil {
		t.n[k] = &times{since: now}
	}
	t.n[k].n++
	t.n[k].last = last
}

// take returns the entries of windows that have ended, of all with final, and forgets them.
func (t *tally) take(now time.Time, final bool) []protocol.AuditEntry {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []protocol.AuditEntry
	for k, v := range t.n {
		if !final && now.Sub(v.since) < tallyWindow {
			continue
		}
		delete(t.n, k)
		out = append(out, protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Counterpart: string(k.from), Decision: "deny", Ground: k.ground},
			AuditBody: protocol.AuditBody{Actor: "node", Kind: policy.Scan, Object: string(k.from), Event: "refused: " + v.last,
				Details: map[string]string{"times": strconv.Itoa(v.n), "since": v.since.UTC().Format(time.RFC3339)}},
		})
	}
	slices.SortFunc(out, func(a, b protocol.AuditEntry) int {
		return cmp.Or(cmp.Compare(a.Counterpart, b.Counterpart), cmp.Compare(a.Ground, b.Ground))
	})
	return out
}

// FlushRefusals writes the entries of refusals that are counted together, of windows that have ended; of all with final. The node calls it every minute
// and before it stops.
func (s *Service) FlushRefusals(ctx context.Context, final bool) error {
	entries := s.tally.take(s.now(), final)
	if len(entries) == 0 {
		return nil
	}
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		for _, e := range entries {
			tx.Audit(e)
		}
		return nil
	})
}
