package desk

import (
	"context"
	"errors"
	"strings"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Hidden makes what is not there and what a person may not know of the same to that person: the same words, and an entry in the log for both.
type Hidden struct {
	Absent error           // the answer, an ErrNotFound that names what was asked for and nothing else
	View   policy.Action   // whoever may do this with an object may know that it is there, and why an act on it is refused
	Any    []policy.Action // what the act may turn out to be, where the object decides that; empty: the act's Action alone
}

// describe finds out what an act is about. What is not there, or what a name says of more than one, stays as the act itself names it; missing says so.
func (a *Act) describe(tx *store.Tx) (missing, err error) {
	if a.Describe == nil {
		return nil, nil
	}
	described, err := a.Describe(tx)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, store.ErrNotFound), errors.Is(err, ErrConflict), errors.Is(err, ErrInvalid):
		return err, nil
	case err != nil:
		return nil, err
	}
	a.Resource = described
	return nil, nil
}

// admitted tells whether a person may do, with some object of the kind, what the act may turn out to be. Whoever may not is refused in the same words
// whatever the object is.
func (d *Desk) admitted(tx *store.Tx, a Act, asked policy.Resource) bool {
	actions := a.Hidden.Any
	if len(actions) == 0 {
		actions = []policy.Action{a.Action}
	}
	a.Resource = asked
	for _, action := range actions {
		a.Action = action
		if d.decide(tx, a).Allow {
			return true
		}
	}
	return false
}

// Allowed asks policy ahead of an act whose preparation takes long or tells something of its object; a refusal is recorded as the act's own would be.
func (d *Desk) Allowed(ctx context.Context, a Act) error {
	allowed := false
	err := d.Store.View(func(tx *store.Tx) error {
		missing, err := a.describe(tx)
		allowed = missing == nil && d.decide(tx, a).Allow
		return err
	})
	if err != nil || allowed {
		return err
	}
	a.Key = ""
	_, err = Do(ctx, d, a, func(*store.Tx) (struct{}, error) { return struct{}{}, nil })
	return err
}

// sees tells whether a person may know that the object of an act is there.
func (d *Desk) sees(tx *store.Tx, a Act) bool {
	a.Action = a.Hidden.View
	return d.decide(tx, a).Allow
}

// FoundNothing records that somebody asked for an object that is not there.
func (d *Desk) FoundNothing(ctx context.Context, a Act, why error) error {
	logged(ctx)
	return d.Store.UpdateSmall(ctx, func(tx *store.Tx) error {
		tx.Audit(d.foundNothing(a, why))
		return nil
	})
}

// foundNothing is the entry of somebody's asking for an object that is not there, or that the act is not possible with: who tries names one after another
// is seen.
func (d *Desk) foundNothing(a Act, why error) protocol.AuditEntry {
	ground := "not-found"
	if errors.Is(why, ErrConflict) || errors.Is(why, ErrInvalid) {
		ground = "not-possible"
	}
	says := why.Error()
	says = strings.ToValidUTF8(says[:min(len(says), 300)], "")
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActConsult, Decision: "permit", Ground: ground},
		AuditBody: protocol.AuditBody{Actor: a.Actor.Name, Kind: a.Resource.Type, Object: a.Resource.ID, Event: "found nothing: " + string(a.Action),
			Purpose: a.Purpose, PolicyVer: d.Policy().Version(), Justification: a.Actor.Justification, Details: map[string]string{"says": says}},
	}
}
