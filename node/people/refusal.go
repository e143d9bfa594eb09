package people

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"proofmark/store"
)

// refusals counts what is refused to one account, or to all unknown names together, so that whoever keeps trying adds one audit entry
// a minute and not one for each attempt. What was typed as an unknown name is kept nowhere: it may be a secret in the wrong field.
type refusals struct {
	Reported time.Time `json:"reported"`         // when the last entry was written
	Pending  int       `json:"pending"`          // attempts since
	Event    string    `json:"event,omitempty"`  // of the last attempt
	Ground   string    `json:"ground,omitempty"` // of the last attempt
}

var refused = store.NewCollection[refusals]("login-refusal")

const (
	refusalWindow = time.Minute
	unknownNames  = "?"  // no account's name
	strangers     = "??" // who came without a session
)

// refuse counts one refused attempt; a is nil for an unknown name.
func refuse(tx *store.Tx, a *Account, event, ground string) error {
	id := unknownNames
	if a != nil {
		id = a.Name
	}
	return count(tx, id, event, ground)
}

// count adds one to what is refused to an account, or to nobody's.
func count(tx *store.Tx, id, event, ground string) error {
	r, err := refused.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		r, err = &refusals{}, nil
	}
	if err != nil {
		return err
	}
	r.Pending, r.Event, r.Ground = r.Pending+1, event, ground
	report(tx, id, r)
	return refused.Put(tx, id, r)
}

// report writes the entry of what was refused once its minute is over.
func report(tx *store.Tx, id string, r *refusals) bool {
	since := tx.Now().Sub(r.Reported)
	if r.Pending == 0 || since >= 0 && since < refusalWindow {
		return false
	}
	e := denial(id, r.Event, r.Ground)
	if id == unknownNames || id == strangers {
		e.Actor, e.Object = "unknown", ""
	}
	e.Details = map[string]string{"attempts": strconv.Itoa(r.Pending)}
	tx.Audit(e)
	r.Reported, r.Pending = tx.Now(), 0
	return true
}

// Sweep deletes sessions that are over and writes the audit entries of refusals counted since the last ones. The node calls it every
// minute; it writes nothing when there is nothing to do.
func (s *Service) Sweep(ctx context.Context) error {
	var todo bool
	err := s.desk.Store.View(func(tx *store.Tx) error {
		for _, r := range sessions.All(tx) {
			todo = todo || r.over(tx.Now())
		}
		for _, r := range refused.All(tx) {
			todo = todo || r.Pending > 0
		}
		return nil
	})
	if err != nil || !todo {
		return err
	}
	err = s.desk.Store.Update(ctx, sweep)
	if err != nil {
		return fmt.Errorf("sweep sessions: %w", err)
	}
	return nil
}

func sweep(tx *store.Tx) error {
	var over []string
	for id, r := range sessions.All(tx) {
		if r.over(tx.Now()) {
			over = append(over, id)
		}
	}
	if err := endSessions(tx, over); err != nil {
		return err
	}
	due := map[string]*refusals{}
	for id, r := range refused.All(tx) {
		due[id] = r
	}
	if err := tx.Err(); err != nil {
		return err
	}
	for id, r := range due {
		if report(tx, id, r) {
			if err := refused.Put(tx, id, r); err != nil {
				return err
			}
		}
	}
	return nil
}
