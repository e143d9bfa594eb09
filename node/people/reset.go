package people

import (
	"fmt"
	"slices"
	"time"

	"proofmark/store"
)

// Reset says that a new secret took the place of one that the person had. An administrator who keeps a code to himself can act under the person's
// name until the person notices; so the log names who handed the code out, and the person is told.
type Reset struct {
	At time.Time `json:"at"`
	By string    `json:"by"` // administrator who handed out the code
}

const (
	// resetTold is for how long a person is told. Not until the next log-in alone: after a takeover that would be the log-in of whoever took over.
	resetTold = 30 * 24 * time.Hour
	// resetsMost bounds what an account keeps; the log has all.
	resetsMost = 8
)

// enrolled notes that the account's code was used, and gives event and details of the audit entry.
func enrolled(a *Account, now time.Time) (event string, details map[string]string) {
	event = "enrolled with own secret"
	if a.CodeBy == "" { // a code from before its giver was written down
		return event, nil
	}
	if a.CodeReset {
		event = "secret reset with a new code"
		a.Resets = append(a.Resets, Reset{At: now, By: a.CodeBy})
		a.Resets = slices.Clone(a.Resets[max(0, len(a.Resets)-resetsMost):])
		a.CodeReset = false
	}
	return event, map[string]string{"code_by": a.CodeBy}
}

// resetsToTell are the resets that the person is told of at a time.
func (a *Account) resetsToTell(now time.Time) []Reset {
	var out []Reset
	for _, r := range a.Resets {
		if now.Sub(r.At) < resetTold {
			out = append(out, r)
		}
	}
	return out
}

// Resets tells a person of the resets of the own secret in the last 30 days.
func (s *Service) Resets(name string) (out []Reset, err error) {
	err = s.desk.Store.View(func(tx *store.Tx) error {
		a, err := find(tx, name)
		if a != nil {
			out = a.resetsToTell(tx.Now())
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up resets of %s: %w", name, err)
	}
	return out, nil
}
