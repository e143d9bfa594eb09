// Package desk owns what every act of a person has in common: it is authorised by policy, done exactly once, and leaves its audit
// entry in the transaction of the act itself. It knows no workflow.
package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"proofmark/node/budget"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Actor is who acts. It comes from a session, never from a flag.
type Actor struct {
	Name  string
	Roles []string

	// Justification is why the person acts, in the person's own words; policy may require one.
	Justification string

	// Account: name and roles are an account's, as they were when the command came. What a command prepares may take minutes; see Desk.Standing.
	Account bool
}

// Node is the actor of what the node does by itself: deliveries, correlations, expiry.
var Node = Actor{Name: "node"}

// Desk is where acts are taken.
type Desk struct {
	Store   *store.Store
	Policy  func() *policy.Engine
	Country protocol.Country
	Log     *slog.Logger

	// Standing refuses an actor of an account that is no more as it was: asked in the transaction of each act. Nil: nothing is refused.
	Standing func(tx *store.Tx, a Actor) error
}

func (d *Desk) standing(tx *store.Tx, a Actor) error {
	if d.Standing == nil || !a.Account {
		return nil
	}
	return d.Standing(tx, a)
}

// Act says who wants to do what with which object.
type Act struct {
	Actor    Actor
	Key      string // idempotency key of the command; empty for acts that are idempotent by nature
	Action   policy.Action
	Resource policy.Resource
	Purpose  string
	Request  any // the command's content, hashed with the command's name and the actor's roles, action, object and purpose: the same key with another content is refused

	// Small: possible below the disk reserve, see store.UpdateSmall. For acts on which it depends that something comes to an end.
	Small bool

	// TwoPeople: two different people approved the act before, which meets a two-person approval that policy asks for.
	TwoPeople bool

	// Describe reads what policy must know of the object (who reviewed it, whose it is); it replaces Resource, which names what was asked for where the
	// object is not there.
	Describe func(tx *store.Tx) (policy.Resource, error)

	// Hidden: nil where a refusal may tell that the object is there.
	Hidden *Hidden
}

// Do authorises an act and runs fn in one transaction, once for each actor and key: a repeated key returns the first result, which therefore goes
// through JSON. A refusal is itself audited, and returns ErrForbidden; it is not remembered under the key.
//
// A repetition does not ask policy again: the act has changed the very object that policy would be asked about (whoever gave the first review could
// not give it again). So that a result is not handed to somebody who has lost the role for it meanwhile, the roles are part of the request: under
// other roles the key counts as used for something else.
func Do[T any](ctx context.Context, d *Desk, a Act, fn func(tx *store.Tx) (T, error)) (T, error) {
	var zero, out T
	request, err := json.Marshal(struct {
		Command           string `json:",omitempty"`
		Roles             []string
		Action            policy.Action
		Type, ID, Purpose string
		Request           any
	}{commandOf(ctx), slices.Sorted(slices.Values(a.Actor.Roles)), a.Action, a.Resource.Type, a.Resource.ID, a.Purpose, a.Request})
	if err != nil {
		return zero, fmt.Errorf("%s: %w", a.Action, err)
	}
	var refusal error
	update := d.Store.Update
	if a.Small {
		update = d.Store.UpdateSmall
	}
	err = update(ctx, func(tx *store.Tx) error {
		if err := d.standing(tx, a.Actor); err != nil {
			return err
		}
		result, _, err := tx.Once(a.Actor.Name, a.Key, request, func() ([]byte, error) {
			dec, no, err := d.authorise(tx, a)
			if refusal = no; err != nil || refusal != nil {
				return nil, errors.Join(err, refusal)
			}
			if refusal, err = d.spend(tx, a); err != nil || refusal != nil {
				return nil, errors.Join(err, refusal)
			}
			version := d.Policy().Version() // the act may put another in force
			tx.Complete(func(e *protocol.AuditEntry) { d.complete(e, a, dec, version) })
			v, err := fn(tx)
			if err != nil {
				return nil, err
			}
			if tx.Audited() == 0 { // what was done before is shown again
				of := a
				if _, err := of.describe(tx); err != nil { // named as the act's own entry would, not as the person typed it
					return nil, err
				}
				tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActConsult, Decision: "permit", Ground: "unchanged"},
					AuditBody: protocol.AuditBody{Actor: a.Actor.Name, Kind: of.Resource.Type, Object: of.Resource.ID, Event: string(a.Action) + ": nothing changed", Purpose: a.Purpose}})
			}
			return json.Marshal(v)
		})
		if refusal != nil {
			return nil // the audit entry of the refusal is committed, and nothing else was written
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(result, &out)
	})
	logged(ctx)
	if err == nil && refusal != nil {
		return zero, asPerson(refusal)
	}
	switch err = asPerson(err); {
	case errors.Is(err, ErrNotFound):
		err = and(err, d.FoundNothing(ctx, a, err))
	case errors.Is(err, ErrForbidden): // by the workflow; nothing of the act is kept but this
		err = and(err, d.Store.UpdateSmall(ctx, func(tx *store.Tx) error {
			d.refusedWithin(tx, a, err)
			return nil
		}))
	}
	if err != nil {
		return zero, err
	}
	return out, nil
}

// and keeps an error as it is unless there is another one.
func and(err, other error) error {
	if other == nil {
		return err
	}
	return errors.Join(err, asPerson(other))
}

// Read authorises a view and makes its audit entry durable before fn reads anything: nothing is shown that the log does not know of.
func Read[T any](ctx context.Context, d *Desk, a Act, entry protocol.AuditEntry, fn func(tx *store.Tx) (T, error)) (T, error) {
	var zero, out T
	var refusal error
	logged(ctx)
	err := d.Store.UpdateSmall(ctx, func(tx *store.Tx) error { // people can still look while the disk is full
		if err := d.standing(tx, a.Actor); err != nil {
			return err
		}
		dec, no, err := d.authorise(tx, a)
		if refusal = no; err != nil || refusal != nil {
			return err
		}
		if refusal, err = d.spend(tx, a); err != nil || refusal != nil {
			return err
		}
		if entry.Action == "" {
			entry.Action = protocol.ActConsult
		}
		if entry.Purpose == "" {
			entry.Purpose = a.Purpose
		}
		entry.Actor, entry.Decision = a.Actor.Name, "permit"
		d.complete(&entry, a, dec, d.Policy().Version())
		tx.Audit(entry)
		return nil
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return zero, asPerson(err)
	}
	err = d.Store.View(func(tx *store.Tx) error {
		var err error
		out, err = fn(tx)
		return err
	})
	if err = asPerson(err); errors.Is(err, ErrNotFound) {
		err = and(err, d.FoundNothing(ctx, a, err))
	}
	if err != nil {
		return zero, err
	}
	return out, nil
}

// complete says of an entry under which decision its person acted and why, unless it is of another actor. What the entry says already of a decision about a
// country stays; where that is all that it is about, a disclosure or what policy refused, it stays alone.
func (d *Desk) complete(e *protocol.AuditEntry, a Act, dec policy.Decision, version string) {
	if e.Actor != a.Actor.Name {
		return
	}
	alone := e.Action == protocol.ActDisclose || e.Action == protocol.ActDeny && e.Ground == "policy"
	if len(e.Policies) == 0 && e.PolicyVer == "" || !alone && (e.PolicyVer == "" || e.PolicyVer == version) {
		for _, ref := range PolicyRefs(dec) {
			if !slices.Contains(e.Policies, ref) {
				e.Policies = append(slices.Clip(e.Policies), ref)
			}
		}
		e.PolicyVer = version
	}
	if e.Justification == "" {
		e.Justification = a.Actor.Justification
	}
}

func (d *Desk) decide(tx *store.Tx, a Act) policy.Decision {
	return d.Policy().Decide(policy.Request{
		Principal: policy.Principal{User: a.Actor.Name, Roles: a.Actor.Roles, Country: string(d.Country)},
		Action:    a.Action,
		Resource:  a.Resource,
		Purpose:   a.Purpose,
		Now:       tx.Now(),
	})
}

// authorise asks policy and leaves the audit entry of a refusal in tx. An object that is not there is a refusal too, for those who may be told so.
func (d *Desk) authorise(tx *store.Tx, a Act) (dec policy.Decision, refusal, err error) {
	asked := a.Resource
	missing, err := a.describe(tx)
	if err != nil {
		return dec, nil, err
	}
	dec = d.decide(tx, a)
	ground := "policy"
	if dec.Allow && dec.Obligations.Approval == policy.TwoPerson && !a.TwoPeople {
		dec.Allow, ground = false, "approval"
	}
	if dec.Allow && dec.Obligations.Justification == policy.Required && strings.TrimSpace(a.Actor.Justification) == "" {
		dec.Allow, ground = false, "justification"
	}
	admitted := dec.Allow || a.Hidden != nil && d.admitted(tx, a, asked)
	if missing != nil && admitted {
		tx.Audit(d.foundNothing(a, missing))
		if a.Hidden != nil && !d.sees(tx, a) {
			missing = a.Hidden.Absent
		}
		return dec, missing, nil
	}
	if dec.Allow {
		return dec, nil, nil
	}
	d.refused(tx, a, ground, dec)
	if ground == "approval" {
		return dec, Forbidden("%s needs the approval of two people (%s). Ask a second person to approve it.", a.Action, strings.Join(PolicyRefs(dec), ", ")), nil
	}
	if ground == "justification" {
		return dec, Forbidden("%s is done for a stated reason only (%s). Say why: --why TEXT; the log keeps it.", a.Action, strings.Join(PolicyRefs(dec), ", ")), nil
	}
	switch {
	case a.Hidden == nil:
	case !admitted:
		if a.Resource = asked; len(a.Hidden.Any) > 0 {
			a.Action = a.Hidden.Any[0]
		}
		return dec, forbidden(a, d.decide(tx, a)), nil
	case !d.sees(tx, a):
		return dec, a.Hidden.Absent, nil
	}
	return dec, forbidden(a, dec), nil
}

// spend counts an act that asks about somebody's object against the person's budget; the refusal says when something is free again.
func (d *Desk) spend(tx *store.Tx, a Act) (refusal, err error) {
	b, counted := d.Policy().PersonBudget(a.Action, a.Purpose)
	if !counted {
		return nil, nil
	}
	s, ok, err := budget.Spend(tx, budget.Who{Person: a.Actor.Name}, string(a.Action), b)
	if err != nil || ok {
		return nil, err
	}
	when := ""
	if !s.Frees.IsZero() {
		when = " The next is free on " + s.Frees.Format("2006-01-02 at 15:04 UTC") + "."
	}
	return Forbidden("you have used all %d %s that one person has in %s.%s The budgets stand in %s of the policy: proofmark budget show", b.Limit, a.Action, budget.Span(b.Per),
		when, policy.BudgetsFile), nil
}

// PolicyRefs writes the deciding policies of a decision as an audit entry names them.
func PolicyRefs(dec policy.Decision) []string {
	out := make([]string, len(dec.Policies))
	for i, p := range dec.Policies {
		out[i] = p.String()
	}
	return out
}

// Refuse records that an act was refused for a reason of the workflow (the second reviewer is the first, the scan is unusable) and returns the
// error to give to the person. It opens a transaction of its own; an object that is not there is recorded by what the act calls it.
func (d *Desk) Refuse(ctx context.Context, a Act, ground string, reason error) error {
	err := d.Store.Update(ctx, func(tx *store.Tx) error {
		if a.Describe != nil {
			switch r, err := a.Describe(tx); {
			case err == nil:
				a.Resource = r
			case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, ErrNotFound):
				return err
			}
		}
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Decision: "deny", Ground: ground},
			AuditBody: protocol.AuditBody{Actor: a.Actor.Name, Kind: a.Resource.Type, Object: a.Resource.ID, Event: "refused " + string(a.Action),
				Purpose: a.Purpose, Justification: a.Actor.Justification},
		})
		return nil
	})
	logged(ctx)
	return and(reason, err)
}
