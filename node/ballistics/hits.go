package ballistics

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

// NewConfirmation is an examiner's finding at the microscope. A verifier who agrees repeats the act with nothing but the pair; one who does not states
// findings of their own.
type NewConfirmation struct {
	Pair       string   `json:"pair"`
	Conclusion string   `json:"conclusion,omitempty"` // one of protocol.Conclusions
	Items      []string `json:"items,omitempty"`      // which items or casts were compared
	Where      string   `json:"where,omitempty"`
}

// ConfirmHit records an examiner's finding on the physical evidence; done again by another examiner it is the verification. Two identifications are a hit,
// which is reported to the other country. Any other outcome, and any disagreement, is kept with the lead and makes none: the comparison may start over.
func (s *Service) ConfirmHit(ctx context.Context, who desk.Actor, key string, n NewConfirmation) (*Lead, error) {
	if n.Conclusion != "" && !slices.Contains(protocol.Conclusions, n.Conclusion) {
		return nil, desk.Invalid("conclusion %.60q is not one of %s", n.Conclusion, strings.Join(protocol.Conclusions, ", "))
	}
	action := policy.HitConfirm
	err := s.desk.Store.View(func(tx *store.Tx) error {
		lead, err := findLead(tx, n.Pair)
		if err == nil {
			action = lead.examination(who)
		}
		return err
	})
	if err != nil && !errors.Is(err, desk.ErrNotFound) && !errors.Is(err, desk.ErrInvalid) { // which the authorised act says itself
		return nil, err
	}
	return s.onLead(ctx, who, key, n.Pair, action, n, func(tx *store.Tx, lead *Lead) error {
		switch {
		case lead.Hit != nil && lead.Hit.From == s.desk.Country && (lead.Hit.Verifier == who.Name || lead.Hit.Examiner == who.Name):
			return nil // done before
		case lead.Hit != nil:
			return desk.Conflict("this pair is a hit already, reported by %s and verified on %s", lead.Hit.From, lead.Hit.Verified.Format("2006-01-02"))
		case lead.State == LeadRetracted:
			return desk.Conflict("the lead was retracted")
		case lead.examination(who) != action: // the permission was asked for what was due before
			return desk.Conflict("somebody else examined this pair at this moment: give the command again")
		case lead.Confirmation == nil:
			return s.confirm(tx, who, lead, n)
		case lead.Confirmation.By == who.Name:
			if same(lead.Confirmation, n) {
				return nil // a command that was retried
			}
			return desk.SamePerson("you examined this pair yourself: the verification is another examiner's own act, in that person's session")
		}
		return s.verify(tx, who, lead, n)
	})
}

// examination says whether a person's finding would be the first one or its verification, and so which permission it needs.
func (l *Lead) examination(who desk.Actor) policy.Action {
	if l.Confirmation != nil && l.Confirmation.By != who.Name {
		return policy.HitVerify
	}
	return policy.HitConfirm
}

func (s *Service) confirm(tx *store.Tx, who desk.Actor, lead *Lead, n NewConfirmation) error {
	if err := needed("conclusion", n.Conclusion, "where", n.Where); err != nil {
		return err
	}
	if len(n.Items) == 0 || len(n.Items) > 32 {
		return desk.Invalid("name the items or casts that were compared, 1 to 32 (--item, once for each)")
	}
	for _, it := range n.Items {
		if err := needed("item", it); err != nil {
			return err
		}
	}
	lead.Confirmation = &Confirmation{Conclusion: n.Conclusion, Items: n.Items, Where: n.Where, By: who.Name, At: tx.Now()}
	lead.stamp(tx, "at the microscope: "+n.Conclusion, who.Name, s.desk.Country)
	tx.Audit(s.leadEntry(lead, who.Name, protocol.ActAlter, "microscope: "+n.Conclusion+", awaits verification"))
	return nil
}

// same reports whether a command repeats a finding word for word: then it was retried. With nothing but the pair it is a verification.
func same(c *Confirmation, n NewConfirmation) bool {
	return c.Conclusion == n.Conclusion && c.Where == n.Where && slices.Equal(c.Items, n.Items)
}

func (s *Service) verify(tx *store.Tx, who desk.Actor, lead *Lead, n NewConfirmation) error {
	c := lead.Confirmation
	second := Confirmation{Conclusion: c.Conclusion, Items: c.Items, Where: c.Where, By: who.Name, At: tx.Now()}
	if n.Conclusion != "" {
		second.Conclusion = n.Conclusion
	}
	if len(n.Items) > 0 {
		second.Items = n.Items
	}
	if n.Where != "" {
		second.Where = n.Where
	}
	lead.Examinations = append(lead.Examinations, *c, second)
	lead.Confirmation = nil
	if c.Conclusion != protocol.Identification || second.Conclusion != protocol.Identification {
		event := "no hit: both conclude " + c.Conclusion
		if c.Conclusion != second.Conclusion {
			event = "no hit: " + c.Conclusion + " and " + second.Conclusion
		}
		lead.stamp(tx, event, who.Name, s.desk.Country)
		tx.Audit(s.leadEntry(lead, who.Name, protocol.ActAlter, event))
		return nil
	}
	notice := lead.Sent
	if notice == nil || !notice.Retracted.IsZero() {
		notice = lead.Received
	}
	body := &protocol.HitBody{Lead: notice.Document, Pair: lead.Pair, Conclusion: c.Conclusion, Items: c.Items, Where: c.Where, Examiner: c.By, Examined: c.At,
		Verifier: who.Name, Verified: tx.Now()}
	id, err := s.out.Issue(tx, protocol.TypeHit, body, s.directed(lead, who, policy.Hit))
	if err != nil {
		return err
	}
	lead.Hit = &Hit{Document: id, From: s.desk.Country, HitBody: *body, At: tx.Now()}
	lead.State = LeadHit
	lead.stamp(tx, "hit verified", who.Name, s.desk.Country)
	tx.Audit(s.leadEntry(lead, who.Name, protocol.ActAlter, "hit verified"))
	return nil
}
