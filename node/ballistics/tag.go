package ballistics

import (
	"context"
	"slices"
	"strings"

	"proofmark/node/desk"
	"proofmark/node/operations"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// maxTags bounds the operations of one exhibit: they travel with the terms of what is shared.
const maxTags = 16

// TagExhibit changes the operations that an exhibit is tagged with.
type TagExhibit struct {
	Exhibit   string `json:"exhibit"`
	Operation string `json:"operation"` // by number or id
	Remove    bool   `json:"remove,omitempty"`
}

// TagExhibit tags an exhibit with an operation, or takes a tag away. Policy is asked again about each of its publications that is denied to somebody or
// waits; what has been sent stays where it is.
func (s *Service) TagExhibit(ctx context.Context, who desk.Actor, key string, t TagExhibit) (*Exhibit, error) {
	act := desk.Act{Actor: who, Key: key, Action: policy.ExhibitTag, Resource: policy.Resource{Type: policy.KindExhibit, ID: t.Exhibit}, Purpose: Purpose, Request: t}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Exhibit, error) {
		e, err := findExhibit(tx, t.Exhibit)
		if err != nil {
			return nil, err
		}
		event := "exhibit tagged with an operation"
		if t.Remove {
			event = "tag of an operation taken away"
			o, err := operations.Find(tx, t.Operation)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(e.Operations, o.Number) {
				return nil, desk.Conflict("exhibit %s is not tagged with %s", e.Number, o.Number)
			}
			e.Operations = slices.DeleteFunc(e.Operations, func(n string) bool { return n == o.Number })
		} else if e.Operations, err = tagsOf(tx, s.desk.Country, e.Operations, []string{t.Operation}); err != nil {
			return nil, err
		}
		entry := collected(who, policy.KindExhibit, e.ID, e.Case, event)
		entry.Action, entry.Details = protocol.ActAlter, map[string]string{"exhibit": e.Number, "operations": strings.Join(e.Operations, " ")}
		tx.Audit(entry)
		list, err := allBy(tx, acquisitions, "exhibit", e.ID)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			if err := s.out.Tag(tx, a.Signature, e.Operations); err != nil {
				return nil, err
			}
		}
		return e, exhibits.Put(tx, e.ID, e)
	})
}

// tagsOf adds operations to tags, by their numbers.
func tagsOf(tx *store.Tx, own protocol.Country, tags, add []string) ([]string, error) {
	tags = slices.Clone(tags)
	for _, ref := range add {
		o, err := operations.Taggable(tx, own, ref)
		if err != nil {
			return nil, err
		}
		tags = append(tags, o.Number)
	}
	slices.Sort(tags)
	if tags = slices.Compact(tags); len(tags) > maxTags {
		return nil, desk.Invalid("an exhibit has at most %d operations", maxTags)
	}
	return tags, nil
}
