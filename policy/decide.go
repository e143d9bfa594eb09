package policy

import (
	"fmt"
	"time"

	"github.com/cedar-policy/cedar-go"

	"proofmark/protocol"
)

// Principal is who asks: a member country in an exchange, or a person with roles
// at a console. A Principal with a User is a person, its Country then the
// person's own.
type Principal struct {
	Country string   // ISO 3166-1 alpha-2, upper case
	User    string   // account name; "" for a country
	Roles   []string // a person's roles, see Roles

	Operations []Operation // that run now and in which the country takes part together with this one
	Suspended  bool        // the roster has suspended the country
}

// Resource is the object of a question. Attributes hold a string, bool, int64 or
// []string each; the schema says which attributes a type has and which of them
// must be there. A person's question may leave Type empty: it is then about the
// kind of record that the action is named after.
type Resource struct {
	Type       string // document type or kind of record
	ID         string
	Attributes map[string]any
}

// Request is one question.
type Request struct {
	Principal Principal
	Action    Action
	Resource  Resource
	Purpose   string
	Now       time.Time

	// Foreign is what other countries demand of the information that the object is made of, and Permissions by which document one of them has
	// permitted the very transfer that is asked about. No policy of this country can lift what they demand.
	Foreign     protocol.Handling
	Permissions map[protocol.Country]string
}

// Ref names a policy: its id, and the file and line where it starts. A rule that is
// built in, and a permission on file, have no line.
type Ref struct {
	ID   string
	File string
	Line int // starting at 1
}

func (r Ref) String() string {
	if r.Line == 0 {
		return fmt.Sprintf("%s (%s)", r.ID, r.File)
	}
	return fmt.Sprintf("%s (%s:%d)", r.ID, r.File, r.Line)
}

// Decision is the answer, with its reasons.
type Decision struct {
	Allow bool
	// Policies decided: the permits of an allowed question, the forbids of a
	// forbidden one, the policies that failed where an error denied. A denial
	// without policies found no permit.
	Policies    []Ref
	Obligations Obligations // zero unless Allow
	// Sources names for each restriction the policies that imposed it; the keys
	// are "handling:H2", "redact:agency", "retain:P365D", "approval:two-person",
	// and "onward:PT" for the permission of PT without which nothing went.
	Sources map[string][]Ref
	// Owners says in sentences which countries' permission is wanting.
	Owners []string
	// Errors say why the question or a policy could not be evaluated. One is
	// enough to deny.
	Errors []string
}

// Decide answers one question: denied unless a policy permits it, denied if any
// policy forbids it, denied if any policy or the question itself is in error, and
// denied whatever the policies say where another country's H2 stands against it.
func (e *Engine) Decide(q Request) Decision {
	d := e.ask(q)
	forbid, sentences, permits := onward(q)
	if len(forbid) > 0 {
		if d.Allow {
			d.Policies = nil
		}
		return Decision{Policies: append(forbid, d.Policies...), Errors: d.Errors, Owners: sentences}
	}
	if d.Allow {
		for key, refs := range permits {
			d.Sources[key] = refs
		}
	}
	return d
}

// ask puts a question to the policies.
func (e *Engine) ask(q Request) Decision {
	sch, err := loadSchema()
	if err != nil {
		return Decision{Errors: []string{err.Error()}}
	}
	request, entities, problems := sch.question(q)
	if len(problems) > 0 {
		return Decision{Errors: problems}
	}
	allow, diagnostic := cedar.Authorize(e.candidates(request, entities), entities, request)

	var d Decision
	var deciding []*rule
	for _, reason := range diagnostic.Reasons {
		deciding = append(deciding, e.byID[reason.PolicyID])
	}
	// Cedar skips a policy that fails and may allow by another; here one failure
	// denies, since the policy that failed might have been the one to forbid.
	if len(diagnostic.Errors) > 0 {
		if allow == cedar.Allow {
			deciding = nil
		}
		for _, failed := range diagnostic.Errors {
			r := e.byID[failed.PolicyID]
			d.Errors = append(d.Errors, r.failure(failed.Message))
			deciding = append(deciding, r)
		}
		allow = cedar.Deny
	}
	for _, r := range deciding {
		d.Policies = append(d.Policies, r.ref)
	}
	if allow == cedar.Allow {
		d.Allow = true
		d.Obligations, d.Sources = combine(deciding)
		bind(&d, deciding, q)
	}
	return d
}

// failure says where a policy is that could not be evaluated.
func (r *rule) failure(message string) string {
	return fmt.Sprintf("%s:%d: policy %s could not be evaluated: %s", r.ref.File, r.ref.Line, r.ref.ID, message)
}
