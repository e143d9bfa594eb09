package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Of a law of hundreds of rules most speak of one country, one action and one
// kind of object each. A policy's scope (its head, before the conditions) cannot
// fail to evaluate, so leaving out the policies whose scope does not admit the
// question changes no decision, no reason and no error.

// shelfKey is what every question says exactly: the action, and the type of the object.
type shelfKey struct {
	action   types.EntityUID
	resource types.EntityType
}

// shelf holds the policies whose scope admits an action on a type of object: those for any principal, and those for one or a group that it is in.
type shelf struct {
	any rules
	of  map[types.EntityUID]rules
}

// shelve puts policies where a question finds them, in their order.
func (x *schemaIndex) shelve(all []*rule) map[shelfKey]*shelf {
	out := make(map[shelfKey]*shelf)
	for action, def := range x.resolved.Actions {
		if def.AppliesTo == nil {
			continue
		}
		for _, resource := range def.AppliesTo.Resources {
			s := &shelf{of: make(map[types.EntityUID]rules)}
			out[shelfKey{action, resource}] = s
			for _, r := range all {
				if !x.mayApply(r.policy, action) || !mayConcern(r.policy, resource) {
					continue
				}
				if who, named := principalOf(r.policy); named {
					s.of[who] = append(s.of[who], r)
				} else {
					s.any = append(s.any, r)
				}
			}
		}
	}
	return out
}

// candidates are the policies whose scope may admit a question, in their order. Countries and people are in groups directly, so that the parents are all
// the groups there are.
func (e *Engine) candidates(q cedar.Request, w *world) rules {
	s := e.shelves[shelfKey{q.Action, q.Resource.Type}]
	if s == nil {
		return nil
	}
	out := slices.Clip(s.any)
	found := s.of[q.Principal]
	out = append(out, found...)
	some := len(found) > 0
	for group := range w.principal.Parents.All() {
		found := s.of[group]
		out = append(out, found...)
		some = some || len(found) > 0
	}
	if some {
		slices.SortFunc(out, func(a, b *rule) int { return a.place - b.place })
	}
	return out
}

// mayApply tells whether a policy's scope admits an action.
func (x *schemaIndex) mayApply(p *cedar.Policy, action types.EntityUID) bool {
	switch scope := p.AST().Action.(type) {
	case ast.ScopeTypeEq:
		return scope.Entity == action
	case ast.ScopeTypeIn:
		return x.ancestors[action][scope.Entity]
	case ast.ScopeTypeInSet:
		for _, e := range scope.Entities {
			if x.ancestors[action][e] {
				return true
			}
		}
		return false
	default:
		return true
	}
}

// mayConcern tells whether a policy's scope admits a type of object.
func mayConcern(p *cedar.Policy, resource types.EntityType) bool {
	switch scope := p.AST().Resource.(type) {
	case ast.ScopeTypeIs:
		return scope.Type == resource
	case ast.ScopeTypeIsIn:
		return scope.Type == resource
	case ast.ScopeTypeEq:
		return scope.Entity.Type == resource
	default:
		return true
	}
}

// principalOf is the one principal, or the group, that a policy's scope is for.
func principalOf(p *cedar.Policy) (types.EntityUID, bool) {
	switch scope := p.AST().Principal.(type) {
	case ast.ScopeTypeEq:
		return scope.Entity, true
	case ast.ScopeTypeIn:
		return scope.Entity, true
	case ast.ScopeTypeIsIn:
		return scope.Entity, true
	}
	return types.EntityUID{}, false
}
