package policy

import (
	"context"
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/batch"
)

// Ever answers whether there is any object and any purpose with which a person may do the action. It is asked before a request is looked at: whoever may
// never do it is told so without anything being read, and in the same words whatever is asked for. A denial is as Decide would give for every object;
// where Ever allows, Decide has the last word.
func (e *Engine) Ever(who Principal, action Action) Decision {
	sch, err := loadSchema()
	if err != nil {
		return Decision{Errors: []string{err.Error()}}
	}
	request, w, problems := sch.question(Request{Principal: who, Action: action})
	if len(problems) > 0 {
		return Decision{Errors: problems}
	}
	all := rules{}
	for key := range e.shelves {
		if key.action == request.Action {
			all = append(all, e.candidates(cedar.Request{Principal: request.Principal, Action: key.action, Resource: types.NewEntityUID(key.resource, "")}, w)...)
		}
	}
	slices.SortFunc(all, func(a, b *rule) int { return a.place - b.place })
	all = slices.Compact(all)

	// What a policy says of object and context is left out: a permit then permits, a forbid forbids nothing.
	var d Decision
	var deciding []*rule
	unknown := batch.Request{Principal: request.Principal, Action: request.Action, Resource: batch.Ignore(), Context: batch.Ignore()}
	err = batch.Authorize(context.Background(), all, w, unknown, func(r batch.Result) error {
		d.Allow = r.Decision == cedar.Allow && len(r.Diagnostic.Errors) == 0
		for _, failed := range r.Diagnostic.Errors {
			deciding = append(deciding, e.byID[failed.PolicyID])
			d.Errors = append(d.Errors, e.byID[failed.PolicyID].failure(failed.Message))
		}
		if len(d.Errors) == 0 || r.Decision == cedar.Deny {
			for _, reason := range r.Diagnostic.Reasons {
				deciding = append(deciding, e.byID[reason.PolicyID])
			}
		}
		return nil
	})
	if err != nil {
		return Decision{Errors: []string{err.Error()}}
	}
	slices.SortFunc(deciding, func(a, b *rule) int { return a.place - b.place }) // batch gives them in no order
	for _, r := range deciding {
		d.Policies = append(d.Policies, r.ref)
	}
	slices.Sort(d.Errors)
	return d
}

// Kind is the kind of record that a person's action is about where nothing else is said.
func Kind(action Action) string { return homeKind[action] }
