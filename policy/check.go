package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// compile parses one policy and checks it: its annotations, its names, and its
// types in the strict mode of Cedar's validator, which refuses an optional
// attribute that is read without asking for it first.
func (x *schemaIndex) compile(s statement, ref Ref) (*rule, *Problem) {
	list, err := cedar.NewPolicyListFromBytes(ref.File, []byte(s.text))
	if err != nil {
		return nil, parseProblem(ref, err)
	}
	if len(list) != 1 {
		return nil, &Problem{ref.File, ref.Line, "a semicolon without a policy"}
	}
	policy := list[0]
	annotations := make(map[string]string)
	for key, text := range policy.Annotations() {
		annotations[string(key)] = string(text)
	}
	obligations, err := obligationsOf(annotations)
	if err == nil && policy.Effect() == cedar.Forbid && !obligations.empty() {
		err = fmt.Errorf("a forbid imposes no obligations; write them on a permit")
	}
	if err != nil {
		return nil, &Problem{ref.File, ref.Line, err.Error()}
	}
	tree := (*ast.Policy)(policy.AST())
	if err := x.names(tree); err != nil {
		return nil, &Problem{ref.File, ref.Line, err.Error()}
	}
	if err := x.validator.Policy("", tree); err != nil {
		return nil, &Problem{ref.File, ref.Line, explainType(err)}
	}
	if id, ok := annotations["id"]; ok {
		ref.ID = id
	}
	return &rule{ref: ref, policy: policy, obligations: obligations, operations: operationsOf(tree)}, nil
}

// parsePosition is how Cedar's parser and scanner write a place in the text.
var parsePosition = regexp.MustCompile(`<input>:(\d+):(\d+):? ?`)

// parseProblem gives a parser's error its line in the file. Some of the parser's
// errors (a number too large, a bad escape) carry no place; they get the line
// where the policy starts.
func parseProblem(ref Ref, err error) *Problem {
	line, message := ref.Line, err.Error()
	if m := parsePosition.FindStringSubmatch(message); m != nil {
		if n, convErr := strconv.Atoi(m[1]); convErr == nil && n > 0 {
			line = ref.Line + n - 1
		}
		message = strings.Replace(message, m[0], "", 1)
	}
	message = strings.TrimPrefix(message, "parser error: ")
	message = strings.Replace(message, "parse error at ", "near ", 1)
	return &Problem{ref.File, line, "not a Cedar policy: " + bound(message)}
}

// explainType keeps the first of a type checker's messages (it repeats itself
// for every type of resource) and adds what to do about the commonest one.
func explainType(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	if m := optionalAttribute.FindStringSubmatch(first); m != nil {
		return fmt.Sprintf("%s; it may be missing, so ask first: … has %s && …", bound(first), m[1])
	}
	return bound(first)
}

var optionalAttribute = regexp.MustCompile("optional attribute `([^`]{1,60})`")

func bound(message string) string {
	const most = 400
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most], "") + "…"
}

// names checks what the type checker lets pass: `has` with an attribute that
// nothing has is merely false to it, and the ids of entities are free text.
func (x *schemaIndex) names(p *ast.Policy) error {
	var first error
	report := func(err error) {
		if first == nil {
			first = err
		}
	}
	switch s := p.Principal.(type) {
	case ast.ScopeTypeEq:
		report(x.entityName(s.Entity))
	case ast.ScopeTypeIn:
		report(x.entityName(s.Entity))
	case ast.ScopeTypeIsIn:
		report(x.entityName(s.Entity))
	}
	switch s := p.Resource.(type) {
	case ast.ScopeTypeEq:
		report(x.entityName(s.Entity))
	case ast.ScopeTypeIn:
		report(x.entityName(s.Entity))
	case ast.ScopeTypeIsIn:
		report(x.entityName(s.Entity))
	}
	for _, c := range p.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			switch n := n.(type) {
			case ast.NodeValue:
				if uid, ok := n.Value.(types.EntityUID); ok {
					report(x.entityName(uid))
				}
			case ast.NodeTypeHas:
				report(x.attributeName(n.Arg, n.Value))
			case ast.NodeTypeAccess:
				report(x.attributeName(n.Arg, n.Value))
			case ast.NodeTypeIs:
				report(x.typeName(n.EntityType))
			case ast.NodeTypeIsIn:
				report(x.typeName(n.EntityType))
			}
			return first == nil
		})
	}
	return first
}

// entityName checks the id of an entity that a policy names.
func (x *schemaIndex) entityName(uid types.EntityUID) error {
	id := string(uid.ID)
	switch uid.Type {
	case countryType:
		if !validCountry(id) {
			return fmt.Errorf("the country %q is not a code of two capital letters", shorten(id))
		}
	case operationType:
		if !validOperation(id) {
			return fmt.Errorf("the operation %q is not the number of one, such as PT-O-2026-000001 (proofmark operation list)", shorten(id))
		}
	case roleType:
		if !slices.Contains(Roles(), id) {
			return fmt.Errorf("unknown role %q; known are %s", shorten(id), strings.Join(Roles(), ", "))
		}
	case kindType:
		if !knownKinds[id] {
			return fmt.Errorf("unknown kind %q; known are %s", shorten(id), strings.Join(slices.Sorted(maps.Keys(knownKinds)), ", "))
		}
	case standingType:
		if id != suspended {
			return fmt.Errorf("unknown standing %q; the one known is %q", shorten(id), suspended)
		}
	}
	return nil
}

func (x *schemaIndex) typeName(name types.EntityType) error {
	if _, ok := x.resolved.Entities[name]; !ok {
		return fmt.Errorf("unknown type %q", shorten(string(name)))
	}
	return nil
}

// attributeName checks an attribute of principal, resource or context against
// everything that these can be.
func (x *schemaIndex) attributeName(of ast.IsNode, name types.String) error {
	variable, ok := of.(ast.NodeTypeVariable)
	if !ok {
		return nil
	}
	for _, action := range x.resolved.Actions {
		if action.AppliesTo == nil {
			continue
		}
		var candidates []types.EntityType
		switch variable.Name {
		case "principal":
			candidates = action.AppliesTo.Principals
		case "resource":
			candidates = action.AppliesTo.Resources
		case "context":
			if _, known := action.AppliesTo.Context[name]; known {
				return nil
			}
		}
		for _, c := range candidates {
			if _, known := x.resolved.Entities[c].Shape[name]; known {
				return nil
			}
		}
	}
	return fmt.Errorf("unknown attribute %q: no %s has it", shorten(string(name)), variable.Name)
}
