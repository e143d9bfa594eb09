package desk

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// MayEver tells whether a person may do one of the actions with any object at all.
func (d *Desk) MayEver(who Actor, actions []policy.Action) bool {
	_, refused := d.ever(who, actions)
	return !refused
}

func (d *Desk) ever(who Actor, actions []policy.Action) (first policy.Decision, refused bool) {
	for i, action := range actions {
		dec := d.Policy().Ever(policy.Principal{User: who.Name, Roles: who.Roles, Country: string(d.Country)}, action)
		if dec.Allow {
			return dec, false
		}
		if i == 0 {
			first = dec
		}
	}
	return first, true
}

// Bar refuses a command to whoever may do none of the actions with any object, before anything is looked at: the answer is the same whatever is asked for,
// and also for a request that cannot be understood. object is what the request names; the refusal is in the log with it.
func (d *Desk) Bar(ctx context.Context, who Actor, actions []policy.Action, object string) error {
	dec, refused := d.ever(who, actions)
	if !refused {
		return nil
	}
	logged(ctx)
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = string(a)
	}
	a := Act{Actor: who, Action: policy.Action(strings.Join(words, " or ")), Resource: policy.Resource{Type: policy.Kind(actions[0]), ID: object}}
	err := d.Store.UpdateSmall(ctx, func(tx *store.Tx) error {
		d.refused(tx, a, "policy", dec)
		return nil
	})
	if err != nil {
		return asPerson(err) // what is not in the log is not answered
	}
	return forbidden(a, dec)
}

// refused leaves the entry of a refusal by policy.
func (d *Desk) refused(tx *store.Tx, a Act, ground string, dec policy.Decision) {
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Decision: "deny", Ground: ground},
		AuditBody: protocol.AuditBody{Actor: a.Actor.Name, Kind: a.Resource.Type, Object: a.Resource.ID, Event: "refused " + string(a.Action),
			Purpose: a.Purpose, Policies: PolicyRefs(dec), PolicyVer: d.Policy().Version(), Justification: a.Actor.Justification},
	})
}

// refusedWithin leaves the entry of an act that policy permitted and the workflow refused.
func (d *Desk) refusedWithin(tx *store.Tx, a Act, reason error) {
	if _, err := a.describe(tx); err != nil {
		d.Log.Warn("a refused act's object is named as it was asked for", "action", a.Action, "error", err)
	}
	e := protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Decision: "deny", Ground: "workflow"},
		AuditBody: protocol.AuditBody{Actor: a.Actor.Name, Kind: a.Resource.Type, Object: a.Resource.ID, Event: "refused " + string(a.Action), Purpose: a.Purpose,
			PolicyVer: d.Policy().Version(), Justification: a.Actor.Justification},
	}
	const most = 300 // of the words that the person reads
	text := reason.Error()
	e.Details = map[string]string{"reason": text[:min(len(text), most)]}
	if f, ok := errors.AsType[*fault](reason); ok {
		e.Ground, e.Counterpart, e.Policies = cmp.Or(f.ground, e.Ground), f.counterpart, f.policies
	}
	tx.Audit(e)
}

// command is what acts know of the command that they are part of.
type command struct {
	name   string
	logged atomic.Bool // an act or view of it has left its entry, or will
}

type commandKey struct{}

// InCommand names the command that acts are part of: an idempotency key that was used with another command is refused. logged tells afterwards whether the
// log knows of the command.
func InCommand(ctx context.Context, name string) (within context.Context, logged func() bool) {
	c := &command{name: name}
	return context.WithValue(ctx, commandKey{}, c), c.logged.Load
}

func commandOf(ctx context.Context) string {
	if c, ok := ctx.Value(commandKey{}).(*command); ok {
		return c.name
	}
	return ""
}

func logged(ctx context.Context) {
	if c, ok := ctx.Value(commandKey{}).(*command); ok {
		c.logged.Store(true)
	}
}
