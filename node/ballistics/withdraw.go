package ballistics

import (
	"context"
	"errors"
	"slices"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/store"
)

// WithdrawExhibit says which publications are taken back: those of one exhibit, or of all test fires of one firearm.
type WithdrawExhibit struct {
	Exhibit string `json:"exhibit,omitempty"` // number or id
	Firearm string `json:"firearm,omitempty"` // national reference
	dispatch.Withdrawal
}

// WithdrawExhibit takes back every signature that was published of an exhibit, in one act. The signatures stay in this country's own casework. What was
// withdrawn before stays as it is.
func (s *Service) WithdrawExhibit(ctx context.Context, who desk.Actor, key string, w WithdrawExhibit) ([]*dispatch.Recall, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	if (w.Exhibit == "") == (w.Firearm == "") {
		return nil, desk.Invalid("name an exhibit, or a firearm (--firearm) whose test fires are meant")
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.ExhibitWithdraw, Resource: policy.Resource{Type: policy.KindExhibit, ID: w.Exhibit + w.Firearm}, Purpose: Purpose, Request: w, Small: true}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) ([]*dispatch.Recall, error) {
		ids, err := published(tx, w)
		if err != nil {
			return nil, err
		}
		out := make([]*dispatch.Recall, len(ids))
		for i, id := range ids {
			if out[i], err = s.out.Withdraw(tx, who, id, w.Withdrawal); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// published lists the signatures that a withdrawal is about.
func published(tx *store.Tx, w WithdrawExhibit) ([]string, error) {
	var list []*Exhibit
	if w.Exhibit != "" {
		e, err := findExhibit(tx, w.Exhibit)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	} else {
		for _, e := range exhibits.By(tx, "firearm", w.Firearm) {
			list = append(list, e)
		}
		if len(list) == 0 {
			return nil, errors.Join(tx.Err(), desk.NotFound("no exhibit was test-fired from the firearm %.80q", w.Firearm))
		}
	}
	var ids []string
	for _, e := range list {
		for id, sig := range signatures.By(tx, "exhibit", e.ID) {
			if sig.Own {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil, errors.Join(tx.Err(), desk.Conflict("nothing was published of it: it has no signature"))
	}
	slices.Sort(ids)
	return ids, tx.Err()
}
