package tracing

import (
	"errors"
	"fmt"
	"slices"

	"proofmark/node/dispatch"
	"proofmark/node/retention"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Retained keeps firearm records and traces.
type Retained struct {
	s     *Service
	inUse func(tx *store.Tx, reference string) (string, error)
}

// Retained describes this service's own records to whoever decides on their retention. inUse says what else rests on a firearm record; "" for nothing.
func (s *Service) Retained(inUse func(tx *store.Tx, reference string) (string, error)) Retained {
	return Retained{s, inUse}
}

// Kinds implements retention.Keeper.
func (Retained) Kinds() []string { return []string{policy.KindFirearm, policy.KindTrace} }

func firearmRecord(f *Firearm) retention.Record {
	r := retention.Record{Kind: policy.KindFirearm, Rule: "firearm", ID: f.ID, Reference: f.Reference, Changed: f.Created, Last: "the record was made"}
	if f.Status == "registered" { // a record of manufacture, sale or ownership
		r.Rule = "registered"
	}
	if f.StatusDate.After(r.Changed) {
		r.Changed, r.Last = f.StatusDate, "the firearm became "+f.Status
	}
	return r
}

// traceRecord describes an own trace: one that this country asked for, or what it answered. A request of another country that nobody answered ends by its
// owner's terms.
func traceRecord(t *Trace) (retention.Record, bool) {
	r := retention.Record{Kind: policy.KindTrace, Rule: "trace", ID: t.ID, Reference: t.Number, Changed: t.Created, Last: "the trace was begun"}
	if t.Changed.After(r.Changed) {
		r.Changed, r.Last = t.Changed, "its last step"
	}
	return r, t.Direction == Outgoing || t.Answer != nil
}

// Kept implements retention.Keeper.
func (k Retained) Kept(tx *store.Tx, each func(retention.Record) bool) error {
	for _, f := range firearms.All(tx) {
		if !each(firearmRecord(f)) {
			return tx.Err()
		}
	}
	for _, t := range traces.All(tx) {
		if r, own := traceRecord(t); own && !each(r) {
			break
		}
	}
	return tx.Err()
}

// Find implements retention.Keeper.
func (k Retained) Find(tx *store.Tx, kind, ref string) (retention.Record, error) {
	if kind == policy.KindFirearm {
		f, err := Lookup(tx, ref)
		if err != nil {
			return retention.Record{}, err
		}
		return firearmRecord(f), nil
	}
	t, err := findTrace(tx, ref)
	if err != nil {
		return retention.Record{}, err
	}
	r, own := traceRecord(t)
	if !own {
		return r, fmt.Errorf("trace %s is a request of %s that nobody answered: %w: it ends by its owner's terms", t.Number, t.Counterpart, store.ErrNotFound)
	}
	return r, nil
}

// Plan implements retention.Keeper.
func (k Retained) Plan(tx *store.Tx, r retention.Record) (retention.Plan, error) {
	plan := retention.Plan{Objects: []string{r.ID, r.Reference}}
	if r.Kind == policy.KindFirearm {
		why, err := k.inUse(tx, r.Reference)
		if err != nil {
			return plan, err
		}
		if why != "" {
			plan.Blocked = append(plan.Blocked, why)
		}
		for _, t := range traces.All(tx) {
			if t.Firearm == r.Reference && t.Answer == nil && t.Direction == Outgoing && t.SourceWithdrawn.IsZero() {
				plan.Blocked = append(plan.Blocked, "trace "+t.Number+" about it awaits its answer")
			}
		}
		return plan, tx.Err()
	}
	for _, id := range append([]string{r.ID}, k.foreign(tx, r.ID)...) {
		doc, err := dispatch.Documents.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return plan, err
		}
		if doc.Hold != nil {
			plan.Blocked = append(plan.Blocked, fmt.Sprintf("document %s of %s is under a legal hold (%s)", id, doc.Issuer, doc.Hold.Ground))
		}
	}
	err := k.s.out.OwnDocuments(tx, []protocol.Type{protocol.TypeTraceRequest, protocol.TypeTraceStatus, protocol.TypeTraceAnswer}, func(id string, f *dispatch.Facts) {
		if f.Object == r.ID {
			plan.Documents = append(plan.Documents, id)
		}
	})
	return plan, err
}

// foreign are the documents of a trace that stand in its timeline.
func (k Retained) foreign(tx *store.Tx, id string) []string {
	t, err := traces.Get(tx, id)
	if err != nil {
		return nil // Plan's caller has just found it; a fault shows when it is erased
	}
	return t.documents()
}

// Erase implements retention.Keeper.
func (k Retained) Erase(tx *store.Tx, r retention.Record) error {
	if r.Kind == policy.KindFirearm {
		return firearms.Delete(tx, r.ID)
	}
	t, err := traces.Get(tx, r.ID)
	if err != nil {
		return err
	}
	// What the other country wrote is its own, and ends by its terms; of a trace that is gone nothing is left for it to be a copy of.
	for _, id := range slices.Compact(append([]string{t.ID}, t.documents()...)) {
		if err := k.s.out.EraseCopy(tx, id, "the own record it belonged to was purged"); err != nil {
			return err
		}
	}
	return traces.Delete(tx, t.ID)
}

var _ retention.Keeper = Retained{}
