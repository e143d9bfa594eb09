package policy

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Operation is a regional operation that runs: its number, when it ends, and the codes under which everything travels that is shared for it.
type Operation struct {
	Number   string
	Until    time.Time
	Handling []string
}

const operationsName = "operations" // the attribute, of context and of resources

// operationNumber is the form of an operation's number: the founder's code, the
// series, the year, a running number. Numbers and not names stand in policies,
// because any member may give its own operation any name.
var operationNumber = regexp.MustCompile(`^[A-Z]{2}-O-[0-9]{4}-[0-9]{6}$`)

func validOperation(number string) bool { return operationNumber.MatchString(number) }

// mentions is what a policy says of operations.
type mentions struct {
	named []string // by number, sorted
	all   bool     // by context.operations
}

// operationsOf finds what a policy says of operations, anywhere in it.
func operationsOf(p *ast.Policy) mentions {
	var m mentions
	see := func(uid types.EntityUID) {
		if uid.Type == operationType {
			m.named = append(m.named, string(uid.ID))
		}
	}
	switch s := p.Principal.(type) {
	case ast.ScopeTypeIn:
		see(s.Entity)
	case ast.ScopeTypeIsIn:
		see(s.Entity)
	}
	for _, c := range p.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			switch n := n.(type) {
			case ast.NodeValue:
				if uid, ok := n.Value.(types.EntityUID); ok {
					see(uid)
				}
			case ast.NodeTypeAccess:
				if v, ok := n.Arg.(ast.NodeTypeVariable); ok && v.Name == "context" && n.Value == operationsName {
					m.all = true
				}
			}
			return true
		})
	}
	slices.Sort(m.named)
	m.named = slices.Compact(m.named)
	return m
}

// within chooses, of the operations that run, those for which a policy permits: the ones it names; by context.operations, those that the object is
// tagged with, or all where it is tagged with none of them. Nothing where it speaks of none.
func (m mentions) within(running []Operation, tags []string) []Operation {
	var out []Operation
	tagged := m.all && slices.ContainsFunc(running, func(o Operation) bool { return slices.Contains(tags, o.Number) })
	for _, o := range running {
		if slices.Contains(m.named, o.Number) || m.all && (!tagged || slices.Contains(tags, o.Number)) {
			out = append(out, o)
		}
	}
	return out
}

// bind ends what is permitted for operations with them. One permit lasts as long as the last of its operations; of several permits the shortest counts,
// as with every other restriction.
func bind(d *Decision, deciding []*rule, q Request) {
	tags, _ := q.Resource.Attributes[operationsName].([]string)
	for _, r := range deciding {
		ops := r.operations.within(q.Principal.Operations, tags)
		if len(ops) == 0 {
			continue
		}
		var until time.Time
		for _, o := range ops {
			d.Obligations.Operations = append(d.Obligations.Operations, o.Number)
			key := fmt.Sprintf("operation:%s", o.Number)
			d.Sources[key] = append(d.Sources[key], r.ref)
			for _, code := range o.Handling {
				d.Obligations.Handling = append(d.Obligations.Handling, code)
				d.Sources["handling:"+code] = append(d.Sources["handling:"+code], r.ref)
			}
			if o.Until.After(until) {
				until = o.Until
			}
		}
		if d.Obligations.Until.IsZero() || until.Before(d.Obligations.Until) {
			d.Obligations.Until = until
		}
	}
	slices.Sort(d.Obligations.Handling)
	d.Obligations.Handling = slices.Compact(d.Obligations.Handling)
	slices.Sort(d.Obligations.Operations)
	d.Obligations.Operations = slices.Compact(d.Obligations.Operations)
}

// numbers writes operations as the set that policies read.
func numbers(ops []Operation) types.Set {
	values := make([]types.Value, len(ops))
	for i, o := range ops {
		values[i] = types.String(o.Number)
	}
	return types.NewSet(values...)
}
