package release

import (
	"context"
	"errors"
	"slices"
	"strings"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// approvalsNeeded for a release that policy gives to people.
const approvalsNeeded = 2

// Approve is one person's consent to a release that policy puts into the hands of two. With the second one, by another person, the scan is released,
// after policy was asked once more.
func (s *Service) Approve(ctx context.Context, who desk.Actor, key, ref, note string) (*Request, error) {
	if len(note) > protocol.MaxText {
		return nil, desk.Invalid("the note is longer than %d bytes", protocol.MaxText)
	}
	made, err := s.prepare(ref)
	if err != nil {
		return nil, err
	}
	act := s.act(who, key, policy.ScanApprove, ref, []string{ref, note})
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Request, error) {
		r, err := decidable(tx, ref)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(r.Approvals, func(a Approval) bool { return a.By == who.Name }) {
			return nil, desk.SamePerson("you approved request %s yourself: the second approval is another person's own act, in that person's session", r.Number)
		}
		f, err := s.look(tx, r)
		if err != nil {
			return nil, err
		}
		v := judge(s.desk.Country, f)
		if v.outcome == refuse {
			return nil, desk.Conflict("the scan of request %s may no longer be released (%s): `proofmark scan refuse %s --reason %s`", r.Number, v.ground, r.Number, v.code)
		}
		r.Policies, r.Handling = f.policies, v.handling
		r.Approvals = append(r.Approvals, Approval{By: who.Name, At: tx.Now(), Note: note})
		r.note(Step{Event: "approved", At: tx.Now(), By: who.Name, Note: note})
		s.record(tx, r, protocol.ActAlter, who.Name, "release of a scan approved", map[string]string{"approval": []string{"first", "second"}[len(r.Approvals)-1]})
		if len(r.Approvals) < approvalsNeeded {
			return r.view(), requests.Put(tx, r.ID, r)
		}
		if !same(made, f) {
			return nil, desk.Conflict("the scans behind request %s changed at this moment: give the command again", r.Number)
		}
		if err := s.release(tx, r, f, v, made, who); err != nil {
			return nil, err
		}
		return r.view(), requests.Put(tx, r.ID, r)
	})
}

// same tells whether what was measured is what would be released.
func same(made []protocol.ReleasedScan, f *findings) bool {
	if len(made) != len(f.behind.Files) {
		return false
	}
	for i, m := range made {
		if m.SHA256 != f.behind.Files[i].Hash || m.Land != f.behind.Files[i].Land {
			return false
		}
	}
	return true
}

// prepare measures the scans of a request that one more approval would release: that reads all their bytes, and waits for no transaction.
func (s *Service) prepare(ref string) ([]protocol.ReleasedScan, error) {
	var f *findings
	err := s.desk.Store.View(func(tx *store.Tx) error {
		r, err := find(tx, ref)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, desk.ErrNotFound) || errors.Is(err, desk.ErrConflict) {
			return nil // the authorised act itself says so
		}
		if err != nil || r.State != Awaiting || len(r.Approvals) < approvalsNeeded-1 {
			return err
		}
		f, err = s.look(tx, r)
		return err
	})
	if err != nil || f == nil || judge(s.desk.Country, f).outcome == refuse {
		return nil, err
	}
	return s.measure(f.behind.Files)
}

// Refuse is a person's refusal, with a reason of the closed list. The answer leaves on a tick as every refusal does.
func (s *Service) Refuse(ctx context.Context, who desk.Actor, key, ref, code, note string) (*Request, error) {
	body := protocol.ScanRefusalBody{Request: "01900000-0000-7000-8000-000000000000", Signature: "01900000-0000-7000-8000-000000000000", Code: code, Note: note}
	if code == protocol.ScanQuota || !slices.Contains(protocol.ScanReasons, code) {
		return nil, desk.Invalid("reason %.60q is not one of %s", code, strings.Join(reasonsOfPeople(), ", "))
	}
	if err := protocol.CheckOwn(&body); err != nil {
		return nil, desk.Invalid("%v", err)
	}
	return desk.Do(ctx, s.desk, s.act(who, key, policy.ScanRefuse, ref, []string{ref, code, note}), func(tx *store.Tx) (*Request, error) {
		r, err := decidable(tx, ref)
		if err != nil {
			return nil, err
		}
		r.Ground = "person"
		s.refusing(tx, r, code, note, who.Name)
		return r.view(), requests.Put(tx, r.ID, r)
	})
}

// reasonsOfPeople are those that a person may give.
func reasonsOfPeople() []string {
	return slices.DeleteFunc(slices.Clone(protocol.ScanReasons), func(c string) bool { return c == protocol.ScanQuota })
}

// decidable finds an incoming request that waits for people.
func decidable(tx *store.Tx, ref string) (*Request, error) {
	r, err := find(tx, ref)
	switch {
	case err != nil:
		return nil, err
	case r.Direction != Incoming:
		return nil, desk.Conflict("request %s is this country's own: %s decides about it", r.Number, r.Counterpart)
	case r.State != Awaiting:
		return nil, desk.Conflict("request %s is %s: there is nothing to decide", r.Number, r.State)
	}
	return r, nil
}

// act is a person's act on a request that is there already. What is not there is described by its name alone, so that somebody who may not see requests
// cannot tell one from the other.
func (s *Service) act(who desk.Actor, key string, action policy.Action, ref string, request any) desk.Act {
	asked := policy.Resource{Type: policy.Scan, ID: ref[:min(len(ref), 60)]}
	return desk.Act{Actor: who, Key: key, Action: action, Purpose: Purpose, Request: request, Resource: asked,
		Hidden: &desk.Hidden{Absent: desk.Absent(ref, "scan request", "scan requests"), View: policy.ScanView},
		Describe: func(tx *store.Tx) (policy.Resource, error) {
			r, err := find(tx, ref)
			if err != nil {
				return asked, err
			}
			reviewers := []string{}
			for _, a := range r.Approvals {
				reviewers = append(reviewers, a.By)
			}
			return policy.Resource{Type: policy.Scan, ID: r.ID, Attributes: map[string]any{"owner": string(r.owner(s.desk.Country)),
				"addressee": string(r.addressee(s.desk.Country)), "handling": r.Handling.Codes(), "reviewers": reviewers}}, nil
		}}
}
