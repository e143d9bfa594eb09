package policy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

const (
	countryType   types.EntityType = "Country"
	operationType types.EntityType = "Operation"
	standingType  types.EntityType = "Standing"
	userType      types.EntityType = "User"
	roleType      types.EntityType = "Role"
	recordType    types.EntityType = "Record"
	kindType      types.EntityType = "Kind"
	actionType    types.EntityType = "Action"
	foreign                        = "Foreign"
)

// suspended is the one standing that policies can name.
const suspended = "suspended"

// world holds the entities of one question. Countries other than the principal
// are known by their code alone.
type world struct {
	principal, resource types.Entity
	actions             types.EntityMap
}

// Get implements types.EntityGetter.
func (w *world) Get(uid types.EntityUID) (types.Entity, bool) {
	switch {
	case uid == w.principal.UID:
		return w.principal, true
	case uid == w.resource.UID:
		return w.resource, true
	case uid.Type == countryType:
		return types.Entity{UID: uid, Attributes: types.NewRecord(types.RecordMap{"code": uid.ID})}, true
	}
	e, ok := w.actions[uid]
	return e, ok
}

// question puts a request into Cedar's terms. Whatever the schema does not admit
// is a problem, and a request with problems is never evaluated: a missing
// attribute could silence the policy that forbids.
func (x *schemaIndex) question(q Request) (cedar.Request, *world, []string) {
	uid := types.NewEntityUID(actionType, types.String(q.Action))
	action, ok := x.resolved.Actions[uid]
	if !ok || action.AppliesTo == nil {
		return cedar.Request{}, nil, []string{fmt.Sprintf("unknown action %q", shorten(string(q.Action)))}
	}
	w := &world{actions: x.actions}
	var problems []string
	if person := slices.Contains(action.AppliesTo.Principals, userType); person != (q.Principal.User != "") {
		problems = append(problems, fmt.Sprintf("the action %s is for %s", q.Action, map[bool]string{true: "a person, and the question names none", false: "a country, and the question comes from a person"}[person]))
	} else if err := w.setPrincipal(q.Principal); err != nil {
		problems = append(problems, err.Error())
	}
	resource, err := resourceType(q, action)
	if err != nil {
		return cedar.Request{}, nil, append(problems, err.Error())
	}
	shape := x.resolved.Entities[resource].Shape
	record, unfit := attributes(q.Resource, resource, shape, homeKind[q.Action])
	if problems = append(problems, unfit...); len(problems) > 0 {
		return cedar.Request{}, nil, problems
	}
	w.resource = types.Entity{UID: types.NewEntityUID(resource, types.String(q.Resource.ID)), Attributes: record}
	context := types.RecordMap{"purpose": types.String(q.Purpose), "now": types.NewDatetime(q.Now)}
	if _, known := action.AppliesTo.Context[operationsName]; known {
		context[operationsName] = numbers(q.Principal.Operations)
	}
	return cedar.Request{Principal: w.principal.UID, Action: uid, Resource: w.resource.UID, Context: types.NewRecord(context)}, w, nil
}

func (w *world) setPrincipal(p Principal) error {
	attributes := types.RecordMap{}
	var parents []types.EntityUID
	if p.User == "" {
		if !validCountry(p.Country) {
			return fmt.Errorf("the principal's country %q is not a code of two capital letters", shorten(p.Country))
		}
		attributes["code"] = types.String(p.Country)
		for _, o := range p.Operations {
			parents = append(parents, types.NewEntityUID(operationType, types.String(o.Number)))
		}
		if p.Suspended {
			parents = append(parents, types.NewEntityUID(standingType, suspended))
		}
		w.principal.UID = types.NewEntityUID(countryType, types.String(p.Country))
	} else {
		attributes["name"] = types.String(p.User)
		if p.Country != "" {
			if !validCountry(p.Country) {
				return fmt.Errorf("the principal's country %q is not a code of two capital letters", shorten(p.Country))
			}
			attributes["country"] = types.NewEntityUID(countryType, types.String(p.Country))
		}
		for _, role := range p.Roles {
			if !slices.Contains(Roles(), role) {
				return fmt.Errorf("unknown role %q", shorten(role))
			}
			parents = append(parents, types.NewEntityUID(roleType, types.String(role)))
		}
		w.principal.UID = types.NewEntityUID(userType, types.String(p.User))
	}
	w.principal.Attributes = types.NewRecord(attributes)
	w.principal.Parents = types.NewEntityUIDSet(parents...)
	return nil
}

// resourceType finds the entity type that an action uses for a document type. A
// document is another entity when it comes from abroad: less is known of it.
func resourceType(q Request, action resolved.Action) (types.EntityType, error) {
	allowed := action.AppliesTo.Resources
	if slices.Contains(allowed, recordType) {
		if kind := q.Resource.Type; kind != "" && !knownKinds[kind] {
			return "", fmt.Errorf("unknown kind of record %q", shorten(kind))
		}
		return recordType, nil
	}
	name, ok := cedarType[q.Resource.Type]
	if !ok {
		return "", fmt.Errorf("unknown document type %q", shorten(q.Resource.Type))
	}
	for _, t := range []types.EntityType{types.EntityType(name), types.EntityType(foreign + name)} {
		if slices.Contains(allowed, t) {
			return t, nil
		}
	}
	return "", fmt.Errorf("the action %s is not for a document of type %s", q.Action, q.Resource.Type)
}

// attributes converts what is said of a resource by the types of the schema.
func attributes(r Resource, name types.EntityType, shape resolved.RecordType, home string) (types.Record, []string) {
	var problems []string
	out := make(types.RecordMap, len(r.Attributes)+1)
	if name == recordType {
		kind := r.Type
		if kind == "" {
			kind = home
		}
		out["kind"] = types.NewEntityUID(kindType, types.String(kind))
	}
	for _, key := range slices.Sorted(maps.Keys(r.Attributes)) {
		attribute, ok := shape[types.String(key)]
		if !ok || name == recordType && key == "kind" {
			problems = append(problems, fmt.Sprintf("%s has no attribute %q", name, shorten(key)))
			continue
		}
		value, err := convert(r.Attributes[key], attribute.Type)
		if err != nil {
			problems = append(problems, fmt.Sprintf("attribute %s of %s: %v", key, name, err))
			continue
		}
		out[types.String(key)] = value
	}
	for _, key := range slices.Sorted(maps.Keys(shape)) {
		if _, given := r.Attributes[string(key)]; !given && !shape[key].Optional && key != "kind" {
			problems = append(problems, fmt.Sprintf("attribute %s of %s is missing", key, name))
		}
	}
	return types.NewRecord(out), problems
}

func convert(value any, want resolved.IsType) (types.Value, error) {
	switch want := want.(type) {
	case resolved.StringType:
		if s, ok := value.(string); ok {
			return types.String(s), nil
		}
		return nil, fmt.Errorf("want a string, have %T", value)
	case resolved.BoolType:
		if b, ok := value.(bool); ok {
			return types.Boolean(b), nil
		}
		return nil, fmt.Errorf("want a bool, have %T", value)
	case resolved.LongType:
		switch n := value.(type) {
		case int64:
			return types.Long(n), nil
		case int:
			return types.Long(n), nil
		}
		return nil, fmt.Errorf("want an int64, have %T", value)
	case resolved.SetType:
		list, ok := value.([]string)
		if !ok {
			return nil, fmt.Errorf("want a []string, have %T", value)
		}
		values := make([]types.Value, 0, len(list))
		for _, s := range list {
			values = append(values, types.String(s))
		}
		return types.NewSet(values...), nil
	case resolved.EntityType:
		code, ok := value.(string)
		if !ok || types.EntityType(want) != countryType {
			return nil, fmt.Errorf("want a country code, have %T", value)
		}
		if !validCountry(code) {
			return nil, fmt.Errorf("%q is not a country code of two capital letters", shorten(code))
		}
		return types.NewEntityUID(countryType, types.String(code)), nil
	}
	return nil, fmt.Errorf("the schema uses a type that no question can give")
}

func validCountry(code string) bool {
	return len(code) == 2 && code[0] >= 'A' && code[0] <= 'Z' && code[1] >= 'A' && code[1] <= 'Z'
}

// shorten keeps foreign text in messages readable and bounded.
func shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// Native gives attributes the Go types that policy knows, whether they went through JSON or not: whole numbers and lists of strings. What is
// empty is nil in both cases, so that policy is told the same when a document is issued and when it leaves.
func Native(v any) any {
	switch v := v.(type) {
	case []string:
		if v == nil {
			return nil
		}
	case float64:
		return int64(v)
	case int:
		return int64(v)
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return v
}
