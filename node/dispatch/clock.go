package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// What makes the node's clock credible. Erasing cannot be undone: a clock that jumped, after an empty battery or by somebody's hand, must not do it.
const (
	clockLeap  = 7 * 24 * time.Hour // a jump beyond this, since the last sweep, needs more than the clock's own word
	clockStep  = time.Hour          // sweeps of a steady clock are closer together than this
	clockProof = 24 * time.Hour     // a jumped clock that then went steadily for so long is believed
	clockNotes = time.Hour          // how often the time of a sweep is kept
)

const clockKey = "dispatch/clock"

// clockWatch is what is known of the node's clock since the start.
type clockWatch struct {
	mu      sync.Mutex
	witness time.Time // the node's time when a member's signed time last agreed with it
	leapt   time.Time // the clock's time when its jump was first seen; zero while it is credible
	last    time.Time // of the sweep before
	doubted bool      // the doubt is in the log
}

// witnessed takes note of the time in something that a member signed just now.
func (d *Dispatch) witnessed(signed time.Time) {
	now := d.Now()
	if diff := signed.Sub(now); diff > protocol.MaxClockSkew || diff < -protocol.MaxClockSkew {
		return // an old bundle, or clocks that differ
	}
	d.clock.mu.Lock()
	d.clock.witness = now
	d.clock.mu.Unlock()
}

// doubt says why a clock is not believed; "" where it is. mark is the time of the last sweep that was kept (zero: none was), witness when a member's
// signed time agreed, steady for how long the clock has gone without a jump since one was seen.
func doubt(mark, now, witness time.Time, steady time.Duration) string {
	agreed := !witness.IsZero() && now.Sub(witness).Abs() <= clockStep
	switch {
	case mark.IsZero(), agreed:
		return ""
	case now.Before(mark.Add(-protocol.MaxClockSkew)):
		return fmt.Sprintf("the clock shows %s, and %s was reached before", now.UTC().Format(time.RFC3339), mark.UTC().Format(time.RFC3339))
	case now.After(mark.Add(clockLeap)) && steady < clockProof:
		return fmt.Sprintf("the clock shows %s, %d days after it was last seen (%s), and no member has confirmed it", now.UTC().Format(time.RFC3339),
			int(now.Sub(mark)/(24*time.Hour)), mark.UTC().Format(time.RFC3339))
	}
	return ""
}

// ClockCredible tells whether what cannot be undone may go by the clock, and keeps the time of the sweep.
func (d *Dispatch) ClockCredible(ctx context.Context) (bool, error) { return d.credible(ctx, d.Now()) }

// credible judges one sight of the clock: whoever erases by it goes by this time and by none that the clock shows a moment later.
func (d *Dispatch) credible(ctx context.Context, now time.Time) (bool, error) {
	var mark time.Time
	err := d.Store.View(func(tx *store.Tx) error {
		b, err := tx.Get(clockKey)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil {
			mark, err = time.Parse(time.RFC3339, string(b))
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("when documents were last swept: %w", err)
	}
	why, news := d.clock.judge(mark, now)
	if why == "" && (mark.IsZero() || now.Sub(mark).Abs() >= clockNotes) || news {
		err = d.Store.Update(ctx, func(tx *store.Tx) error {
			if news {
				tx.Audit(clockEntry(why))
			}
			if why != "" {
				return nil
			}
			return tx.Put(clockKey, []byte(now.UTC().Format(time.RFC3339)))
		})
	}
	if news {
		d.Log.Warn("expiry: "+clockEntry(why).Event, "clock", now)
	}
	return why == "", err
}

// judge applies doubt to what was seen of the clock; news tells that the answer is another than the last time.
func (c *clockWatch) judge(mark, now time.Time) (why string, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if step := now.Sub(c.last); c.leapt.IsZero() || step < 0 || step > clockStep {
		c.leapt = now
	}
	c.last = now
	why = doubt(mark, now, c.witness, now.Sub(c.leapt))
	if why == "" {
		c.leapt = time.Time{}
	}
	news = c.doubted != (why != "")
	c.doubted = why != ""
	return why, news
}

func clockEntry(why string) protocol.AuditEntry {
	e := protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Decision: "permit", Ground: "clock"},
		AuditBody:   protocol.AuditBody{Actor: desk.Node.Name, Kind: "retention", Event: "the clock is believed again: retention goes on"},
	}
	if why != "" {
		e.Decision, e.Event = "deny", "nothing is erased for its retention: "+why+". Set the clock; a member that is reached, or a day, confirms it"
	}
	return e
}
