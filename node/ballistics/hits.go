package ballistics

import (
	"context"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// NewConfirmation is an examiner's finding at the microscope. The verifier repeats the act with nothing but the pair, or with findings of their own.
type NewConfirmation struct {
	Pair       string   `json:"pair"`
	Conclusion string   `json:"conclusion,omitempty"`
	Items      []string `json:"items,omitempty"` // which items or casts were compared
	Where      string   `json:"where,omitempty"`
}

// ConfirmHit records an examiner's confirmation on the physical evidence; done again by another examiner it is the verification, and the hit is
// reported to the other country.
func (s *Service) ConfirmHit(ctx context.Context, who desk.Actor, key string, n NewConfirmation) (*Lead, error) {
	action := policy.HitConfirm
	err := s.desk.Store.View(func(tx *store.Tx) error {
		lead, err := findLead(tx, n.Pair)
		if err == nil && lead.Confirmation != nil && lead.Confirmation.By != who.Name {
			action = policy.HitVerify
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.onLead(ctx, who, key, n.Pair, action, n, func(tx *store.Tx, lead *Lead) error {
		switch {
		case lead.Hit != nil:
			if lead.Hit.Verifier == who.Name || lead.Hit.Examiner == who.Name {
				return nil // done before
			}
			return desk.Conflict("this pair is a hit already, verified by %s on %s", lead.Hit.Verifier, lead.Hit.Verified.Format("2006-01-02"))
		case lead.State == LeadRetracted:
			return desk.Conflict("the lead was retracted")
		case lead.Confirmation == nil:
			return s.confirm(tx, who, lead, n)
		case lead.Confirmation.By == who.Name:
			if same(lead.Confirmation, n) {
				return nil // a command that was retried
			}
			return desk.Forbidden("you confirmed this hit yourself: the verification is another examiner's own act, in that person's session")
		}
		return s.verify(tx, who, lead)
	})
}

func (s *Service) confirm(tx *store.Tx, who desk.Actor, lead *Lead, n NewConfirmation) error {
	if err := needed("conclusion", n.Conclusion, "where", n.Where); err != nil {
		return err
	}
	if len(n.Items) == 0 {
		return desk.Invalid("name the items or casts that were compared (--item, once for each)")
	}
	lead.Confirmation = &Confirmation{Conclusion: n.Conclusion, Items: n.Items, Where: n.Where, By: who.Name, At: tx.Now()}
	lead.stamp(tx, "confirmed at the microscope", who.Name, s.desk.Country)
	tx.Audit(s.leadEntry(lead, who.Name, protocol.ActAlter, "hit confirmed, awaits verification"))
	return nil
}

func same(c *Confirmation, n NewConfirmation) bool {
	return c.Conclusion == n.Conclusion && c.Where == n.Where && len(c.Items) == len(n.Items)
}

func (s *Service) verify(tx *store.Tx, who desk.Actor, lead *Lead) error {
	notice := lead.Sent
	if notice == nil || !notice.Retracted.IsZero() {
		notice = lead.Received
	}
	c := lead.Confirmation
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
