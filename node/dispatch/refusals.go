package dispatch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// refusalWindow is the time within which refusals of one kind share an entry.
const refusalWindow = time.Minute

// refusals counts what was refused before it could become a message: forged batches, forked channels, receipts that lie. The first of a kind leaves its
// audit entry at once, those that follow within the window are counted into one more: a member that sends rubbish all day cannot fill the log.
type refusals struct {
	mu    sync.Mutex
	count map[refusal]*repeated
	total map[string]uint64 // by ground, since the start
}

type refusal struct {
	from   protocol.Country
	ground string
}

type repeated struct {
	since time.Time
	more  int
	last  string
}

// groundOf names what a batch or receipt is refused for; empty where nobody is to blame: gaps, faults of this node.
func groundOf(err error) string {
	for _, g := range []struct {
		class  error
		ground string
	}{{ErrFork, "fork"}, {store.ErrReceipt, "false-receipt"}, {ErrForged, "forged"}, {protocol.ErrBadMessage, "malformed"}, {ErrQuota, "quota"}, {ErrClock, "clock"}} {
		if errors.Is(err, g.class) {
			return g.ground
		}
	}
	return ""
}

// refused leaves the trace of a refusal and returns err with whatever kept the trace from being left.
func (d *Dispatch) refused(ctx context.Context, from protocol.Country, what string, err error) error {
	ground := groundOf(err)
	if ground == "" || ctx.Err() != nil {
		return err
	}
	return errors.Join(err, d.trace(ctx, from, ground, what+": "+cut(err.Error())))
}

// Breach leaves the trace of a member that broke the protocol in its greeting or its frames, counted as every refusal is.
func (d *Dispatch) Breach(ctx context.Context, from protocol.Country, ground string, fault error) error {
	return d.trace(ctx, from, ground, "stream: "+cut(fault.Error()))
}

// trace counts a refusal, and writes its entry if it is the first of its kind within the window.
func (d *Dispatch) trace(ctx context.Context, from protocol.Country, ground, event string) error {
	now := d.Now()
	r := &d.refusals
	r.mu.Lock()
	if r.count == nil {
		r.count = map[refusal]*repeated{}
	}
	if r.total == nil {
		r.total = map[string]uint64{}
	}
	r.total[ground]++
	key := refusal{from, ground}
	known := r.count[key]
	if known != nil && now.Sub(known.since) < refusalWindow {
		known.more++
		known.last = event
		r.mu.Unlock()
		return nil
	}
	r.count[key] = &repeated{since: now}
	r.mu.Unlock()
	entries := []protocol.AuditEntry{refusalEntry(key, 1, event, now)}
	if known != nil && known.more > 0 {
		entries = append([]protocol.AuditEntry{refusalEntry(key, known.more, known.last, known.since)}, entries...)
	}
	return d.record(ctx, entries)
}

// FlushRefusals writes the entries of windows that have ended, all of them with final. The node calls it every minute and before it stops.
func (d *Dispatch) FlushRefusals(ctx context.Context, final bool) error {
	now := d.Now()
	r := &d.refusals
	r.mu.Lock()
	var entries []protocol.AuditEntry
	for key, n := range r.count {
		if !final && now.Sub(n.since) < refusalWindow {
			continue
		}
		if n.more > 0 {
			entries = append(entries, refusalEntry(key, n.more, n.last, n.since))
		}
		delete(r.count, key)
	}
	r.mu.Unlock()
	slices.SortFunc(entries, func(a, b protocol.AuditEntry) int {
		return strings.Compare(a.Counterpart+a.Ground, b.Counterpart+b.Ground)
	})
	return errors.Join(d.record(ctx, entries), d.flushQuota(ctx))
}

// Refused counts, by ground, what was refused since the node started.
func (d *Dispatch) Refused() map[string]uint64 {
	d.refusals.mu.Lock()
	defer d.refusals.mu.Unlock()
	return maps.Clone(d.refusals.total)
}

func (d *Dispatch) record(ctx context.Context, entries []protocol.AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	return d.Store.Update(ctx, func(tx *store.Tx) error {
		for _, e := range entries {
			tx.Audit(e)
		}
		return nil
	})
}

func refusalEntry(key refusal, times int, last string, since time.Time) protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Counterpart: string(key.from), Decision: "deny", Ground: key.ground},
		AuditBody: protocol.AuditBody{Actor: "node", Kind: "exchange", Object: string(key.from), Event: "refused: " + last,
			Details: map[string]string{"times": strconv.Itoa(times), "since": since.UTC().Format(time.RFC3339)}},
	}
}
