package ballistics

import (
	"context"
	"errors"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// NewCase is what somebody says of a case.
type NewCase struct {
	Reference string `json:"reference"`
	Agency    string `json:"agency"`
	Title     string `json:"title,omitempty"`
}

// AddCase opens a case. The same case again changes nothing; another agency under the same number is a conflict.
func (s *Service) AddCase(ctx context.Context, who desk.Actor, key string, n NewCase) (*Case, error) {
	if err := needed("case reference", n.Reference, "agency", n.Agency); err != nil {
		return nil, err
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.CaseAdd, Resource: policy.Resource{Type: policy.KindCase, ID: n.Reference}, Request: n}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Case, error) {
		if old, err := oneBy(tx, cases, "reference", n.Reference, "case"); err == nil {
			if old.Agency != n.Agency || old.Title != n.Title {
				return nil, desk.Conflict("case %s exists already, of %s (%q): a case number is unique in this node", old.Reference, old.Agency, old.Title)
			}
			return old, nil
		} else if !errors.Is(err, desk.ErrNotFound) {
			return nil, err
		}
		id, err := protocol.NewID(tx.Now(), tx.Random())
		if err != nil {
			return nil, err
		}
		c := &Case{ID: id, Reference: n.Reference, Agency: n.Agency, Title: n.Title, Created: tx.Now(), By: who.Name}
		tx.Audit(collected(who, policy.KindCase, id, c.Reference, "case opened"))
		return c, cases.Put(tx, id, c)
	})
}

// Cases lists the cases, the oldest first.
func (s *Service) Cases(ctx context.Context, who desk.Actor) ([]*Case, error) {
	act := desk.Act{Actor: who, Action: policy.CaseView}
	return desk.Read(ctx, s.desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindCase, Event: "cases listed"}},
		func(tx *store.Tx) ([]*Case, error) { return all(tx, cases) })
}

// NewIncident is what somebody says of an incident.
type NewIncident struct {
	Case        string            `json:"case"`
	Occurred    protocol.Interval `json:"occurred"`
	Place       string            `json:"place"`
	Precision   string            `json:"precision,omitempty"`
	Offence     string            `json:"offence"`
	Severity    string            `json:"severity,omitempty"`
	BorderKM    *int64            `json:"border_km,omitempty"`
	Terrorism   bool              `json:"terrorism,omitempty"`
	Customs     bool              `json:"customs,omitempty"`
	Trafficking bool              `json:"trafficking,omitempty"`
	GroupSize   int64             `json:"group_size,omitempty"`
	Links       []string          `json:"links,omitempty"`
}

// AddIncident records what happened in a case. The same place, time and offence again changes nothing.
func (s *Service) AddIncident(ctx context.Context, who desk.Actor, key string, n NewIncident) (*Incident, error) {
	if err := needed("case", n.Case, "place", n.Place, "offence", n.Offence); err != nil {
		return nil, err
	}
	if err := n.Occurred.Check(); err != nil {
		return nil, desk.Invalid("time of the incident: %v", err)
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.CaseAdd, Resource: policy.Resource{Type: policy.KindCase, ID: n.Case}, Request: n}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Incident, error) {
		c, err := oneBy(tx, cases, "reference", n.Case, "case")
		if err != nil {
			return nil, err
		}
		for _, old := range incidents.By(tx, "case", c.Reference) {
			if old.Place == n.Place && old.Offence == n.Offence && old.Occurred.From.Equal(n.Occurred.From) && old.Occurred.To.Equal(n.Occurred.To) {
				return old, nil
			}
		}
		if err := tx.Err(); err != nil {
			return nil, err
		}
		if n.Occurred.From.After(tx.Now().Add(time.Hour)) {
			return nil, desk.Invalid("the incident would begin in the future (%s)", n.Occurred.From.Format(time.RFC3339))
		}
		id, err := protocol.NewID(tx.Now(), tx.Random())
		if err != nil {
			return nil, err
		}
		i := &Incident{ID: id, Case: c.Reference, Occurred: n.Occurred, Place: n.Place, Precision: n.Precision, Offence: n.Offence, Severity: n.Severity,
			BorderKM: n.BorderKM, Terrorism: n.Terrorism, Customs: n.Customs, Trafficking: n.Trafficking, GroupSize: n.GroupSize, Links: n.Links,
			Created: tx.Now(), By: who.Name}
		tx.Audit(collected(who, "incident", id, c.Reference, "incident recorded"))
		return i, incidents.Put(tx, id, i)
	})
}

// Incidents lists the incidents of a case, or all.
func (s *Service) Incidents(ctx context.Context, who desk.Actor, caseRef string) ([]*Incident, error) {
	act := desk.Act{Actor: who, Action: policy.CaseView, Resource: policy.Resource{Type: policy.KindCase, ID: caseRef}}
	return desk.Read(ctx, s.desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: "incident", Case: caseRef, Event: "incidents listed"}},
		func(tx *store.Tx) ([]*Incident, error) {
			if caseRef == "" {
				return all(tx, incidents)
			}
			return allBy(tx, incidents, "case", caseRef)
		})
}

func collected(who desk.Actor, kind, id, caseRef, event string) protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActCollect, Decision: "permit", Ground: "policy"},
		AuditBody:   protocol.AuditBody{Actor: who.Name, Kind: kind, Object: id, Case: caseRef, Event: event, Purpose: Purpose},
	}
}

// needed takes pairs of a name and a value and refuses the first value that is missing or far too long.
func needed(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		v := strings.TrimSpace(pairs[i+1])
		if v == "" {
			return desk.Invalid("%s is missing", pairs[i])
		}
		if len(v) > 256 {
			return desk.Invalid("%s is longer than 256 bytes", pairs[i])
		}
	}
	return nil
}

func all[T any](tx *store.Tx, c *store.Collection[T]) ([]*T, error) {
	out := []*T{}
	for _, v := range c.All(tx) {
		out = append(out, v)
	}
	return out, tx.Err()
}

func allBy[T any](tx *store.Tx, c *store.Collection[T], index, value string) ([]*T, error) {
	out := []*T{}
	for _, v := range c.By(tx, index, value) {
		out = append(out, v)
	}
	return out, tx.Err()
}

// oneBy finds the one record with a unique index value.
func oneBy[T any](tx *store.Tx, c *store.Collection[T], index, value, what string) (*T, error) {
	for _, v := range c.By(tx, index, value) {
		return v, tx.Err()
	}
	if err := tx.Err(); err != nil {
		return nil, err
	}
	return nil, desk.NotFound("there is no %s %q in this node", what, value)
}
