package policy

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

//go:embed schema.cedarschema
var schemaText string

// Schema is the text of the schema against which policies are checked, in
// Cedar's schema language, for a person who writes policies.
func Schema() string { return schemaText }

// schemaIndex is the schema, ready for checks and questions.
type schemaIndex struct {
	resolved  *resolved.Schema
	validator *validate.Validator
	// ancestors of every action: the groups that it is in, and itself.
	ancestors map[types.EntityUID]map[types.EntityUID]bool
	// actions as entities, their groups as parents.
	actions types.EntityMap
}

var loadSchema = sync.OnceValues(func() (*schemaIndex, error) {
	var s schema.Schema
	s.SetFilename("schema.cedarschema")
	if err := s.UnmarshalCedar([]byte(schemaText)); err != nil {
		return nil, fmt.Errorf("reading the policy schema: %w", err)
	}
	r, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("resolving the policy schema: %w", err)
	}
	x := &schemaIndex{
		resolved:  r,
		validator: validate.New(r, validate.WithStrict()),
		ancestors: make(map[types.EntityUID]map[types.EntityUID]bool),
		actions:   make(types.EntityMap),
	}
	for uid, action := range r.Actions {
		reach := make(map[types.EntityUID]bool)
		x.climb(uid, reach)
		x.ancestors[uid] = reach
		x.actions[uid] = action.Entity
	}
	return x, nil
})

func (x *schemaIndex) climb(uid types.EntityUID, reach map[types.EntityUID]bool) {
	if reach[uid] {
		return
	}
	reach[uid] = true
	for parent := range x.resolved.Actions[uid].Entity.Parents.All() {
		x.climb(parent, reach)
	}
}
