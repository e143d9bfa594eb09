package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Purge has a record erased, with everything that was made of it. Where policy asks for two people it becomes a proposal, and the same command of another
// person approves it. What was published of it is withdrawn first; it is erased when every holder has confirmed that.
func (s *Service) Purge(ctx context.Context, who desk.Actor, key, ref, reason string) (*Review, error) {
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.RetentionPurge, Request: []any{ref, reason}, TwoPeople: true, // whether a second one is needed is looked at below
		Resource: policy.Resource{Type: policy.KindRetention, ID: short(ref)}, Describe: s.describe(ref)}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Review, error) {
		r, k, err := s.find(tx, ref)
		if errors.Is(err, desk.ErrNotFound) {
			if v, gone := reviews.Get(tx, ref); gone == nil && v.Purged != nil { // done before: nothing is changed
				return v, nil
			}
		}
		if err != nil {
			return nil, err
		}
		plan, err := k.Plan(tx, r)
		if err != nil {
			return nil, err
		}
		if len(plan.Blocked) > 0 {
			return nil, desk.Conflict("%s %s cannot be purged: %s", r.Kind, r.Reference, strings.Join(plan.Blocked, "; "))
		}
		v, err := reviews.Get(tx, id(r))
		switch {
		case errors.Is(err, store.ErrNotFound):
			v = nil
		case err != nil:
			return nil, err
		case v.State == Withdrawing, v.State == Erasing:
			return v, nil
		}
		dec := s.desk.Policy().Decide(policy.Request{Principal: policy.Principal{User: who.Name, Roles: who.Roles, Country: string(s.desk.Country)}, Action: policy.RetentionPurge,
			Resource: policy.Resource{Type: policy.KindRetention, ID: id(r)}, Now: tx.Now()})
		two := dec.Obligations.Approval == policy.TwoPerson
		if v != nil && v.State == Proposed && two {
			if v.By == who.Name {
				return nil, desk.SamePerson("you proposed this purge yourself: another person approves it with the same command, in a session of their own")
			}
			v.Second = who.Name
			tx.Audit(s.entry(v, protocol.ActAlter, who, "purge approved: "+reason))
			return v, s.begin(tx, who, v, plan)
		}
		n := &Review{ID: id(r), Kind: r.Kind, Reference: r.Reference, State: Proposed, Reason: reason, By: who.Name, At: tx.Now()}
		if v != nil {
			n.Earlier = v.Earlier
			if !v.KeepUntil.IsZero() {
				n.Earlier = append(n.Earlier, KeptUntil{v.KeepUntil, v.Reason, v.By, v.At})
			}
		}
		if two {
			tx.Audit(s.entry(n, protocol.ActAlter, who, "purge proposed: "+reason))
			tx.OnCommit(s.decided)
			return n, reviews.Put(tx, n.ID, n)
		}
		tx.Audit(s.entry(n, protocol.ActAlter, who, "purge begun: "+reason))
		return n, s.begin(tx, who, n, plan)
	})
}

// begin withdraws what was published of a record.
func (s *Service) begin(tx *store.Tx, who desk.Actor, v *Review, plan Plan) error {
	v.State, v.Documents = Withdrawing, nil
	for _, id := range plan.Documents {
		doc, err := dispatch.Documents.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		v.Documents = append(v.Documents, id)
		if doc.Status != dispatch.Own || !protocol.Withdrawable(doc.Type) {
			continue
		}
		if _, err := s.out.Withdraw(tx, who, id, dispatch.Withdrawal{Reason: protocol.ReasonRetentionEnded}); err != nil {
			return err
		}
	}
	tx.OnCommit(s.decided)
	tx.OnCommit(s.carrySoon)
	return reviews.Put(tx, v.ID, v)
}

func (s *Service) carrySoon() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run carries purges on, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.Continue(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("purge own records", "error", err)
		}
		if err := s.count(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("count own records that are due", "error", err)
		}
		timer := time.NewTimer(time.Minute)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// Continue carries every purge as far as it goes now. Broken off anywhere, it goes on from there the next time.
func (s *Service) Continue(ctx context.Context) error {
	var going []string
	if err := s.desk.Store.View(func(tx *store.Tx) error {
		for _, state := range []State{Withdrawing, Erasing} {
			for id := range reviews.By(tx, "state", string(state)) {
				going = append(going, id)
			}
		}
		return tx.Err()
	}); err != nil {
		return fmt.Errorf("find purges: %w", err)
	}
	var faults []error
	for _, id := range going {
		if err := s.carryOn(ctx, id); err != nil {
			faults = append(faults, fmt.Errorf("purge %s: %w", id, err))
		}
	}
	return errors.Join(faults...)
}

func (s *Service) carryOn(ctx context.Context, id string) error {
	var v *Review
	err := s.desk.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if v, err = reviews.Get(tx, id); err != nil || v.State != Withdrawing {
			return err
		}
		waits, err := s.unconfirmed(tx, v)
		if err != nil {
			return err
		}
		if len(waits) > 0 {
			if slices.Equal(waits, v.Waits) {
				return nil
			}
			v.Waits = waits
			return reviews.Put(tx, id, v)
		}
		return s.erase(tx, v)
	})
	if err != nil || v.State != Erasing {
		return err
	}
	return s.eraseBodies(ctx, v)
}

// unconfirmed says which countries have not confirmed that they erased the record's documents, and what has not reached them yet.
func (s *Service) unconfirmed(tx *store.Tx, v *Review) ([]string, error) {
	var out []string
	for _, id := range v.Documents {
		waits, err := s.out.Outstanding(tx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, waits...)
	}
	return out, nil
}

// erase erases a record and its documents, in the caller's transaction; what blocks it by now, such as a legal hold, holds it up.
func (s *Service) erase(tx *store.Tx, v *Review) error {
	r, k, err := s.find(tx, v.ID)
	if err != nil {
		return err
	}
	plan, err := k.Plan(tx, r)
	if err != nil {
		return err
	}
	if len(plan.Blocked) > 0 {
		v.Waits = plan.Blocked
		return reviews.Put(tx, v.ID, v)
	}
	if slices.ContainsFunc(plan.Documents, func(id string) bool { return !slices.Contains(v.Documents, id) }) {
		return s.begin(tx, desk.Actor{Name: v.By}, v, plan) // something was published meanwhile
	}
	if err := k.Erase(tx, r); err != nil {
		return err
	}
	for _, id := range v.Documents {
		if err := s.out.EraseOwn(tx, id); err != nil {
			return err
		}
	}
	v.State, v.Waits = Erasing, nil
	v.Objects, v.Cases = slices.Concat(plan.Objects, v.Documents), plan.Cases
	v.Purged = &Purge{At: tx.Now(), Documents: len(v.Documents)}
	return reviews.Put(tx, v.ID, v)
}

// bodiesAtOnce bounds one transaction of erasing.
const bodiesAtOnce = 64

// eraseBodies erases what the audit log's entries about the record say; their headers and the proofs of both stay.
func (s *Service) eraseBodies(ctx context.Context, v *Review) error {
	for {
		found, err := s.bodies(ctx, v)
		if err != nil {
			return err
		}
		err = s.desk.Store.Update(ctx, func(tx *store.Tx) error {
			now, err := reviews.Get(tx, v.ID)
			if err != nil {
				return err
			}
			if *v = *now; v.State != Erasing { // a person and the clock carried it on at once, and the other was first
				return nil
			}
			for _, index := range found {
				if slices.Contains(v.Purged.Bodies, index) {
					continue
				}
				if err := tx.EraseAudit(index); err != nil {
					return err
				}
				v.Purged.Bodies = append(v.Purged.Bodies, index)
			}
			if len(found) == 0 {
				s.finish(tx, v)
			}
			return reviews.Put(tx, v.ID, v)
		})
		if err != nil || v.State != Erasing {
			return err
		}
	}
}

// finish writes down that a record is gone, and forgets what it was called.
func (s *Service) finish(tx *store.Tx, v *Review) {
	slices.Sort(v.Purged.Bodies)
	v.State, v.Reference, v.Objects, v.Cases = Purged, "", nil, nil
	who := desk.Actor{Name: v.By}
	if v.Second != "" {
		who.Name = v.Second
	}
	e := s.entry(v, protocol.ActErase, who, "purged: "+v.Reason)
	e.Details = map[string]string{"kind": v.Kind, "documents": fmt.Sprint(v.Purged.Documents), "bodies": fmt.Sprint(len(v.Purged.Bodies)), "proposed_by": v.By}
	tx.Audit(e)
	tx.OnCommit(s.out.NoteErased)
	tx.OnCommit(s.decided)
}

// bodies finds some entries about the record whose bodies are still there, but for the entries of the purge itself.
func (s *Service) bodies(ctx context.Context, v *Review) ([]int64, error) {
	var out []int64
	search := func(q store.AuditQuery) error {
		for len(out) < bodiesAtOnce {
			page, err := s.desk.Store.FindAudit(ctx, q)
			if err != nil {
				return err
			}
			for _, e := range page.Records {
				if !e.Erased && e.Kind != policy.KindRetention && !(q.Case != "" && s.apart(v, e.Kind)) && !slices.Contains(out, e.Index) {
					out = append(out, e.Index)
				}
			}
			if q.Before = page.Next; page.Next == 0 {
				break
			}
		}
		return nil
	}
	for _, object := range v.Objects {
		if err := search(store.AuditQuery{Object: object}); err != nil {
			return nil, err
		}
	}
	for _, c := range v.Cases {
		if err := search(store.AuditQuery{Case: c}); err != nil {
			return nil, err
		}
	}
	return out[:min(len(out), bodiesAtOnce)], nil
}

// apart: records of another kind that name a case have periods of their own, and so have the entries about them.
func (s *Service) apart(v *Review, kind string) bool {
	for _, k := range s.keepers {
		if kind != v.Kind && slices.Contains(k.Kinds(), kind) {
			return true
		}
	}
	return false
}
