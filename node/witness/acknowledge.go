package witness

import (
	"context"
	"strings"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Noted is what an acknowledgement was about.
type Noted struct {
	Country protocol.Country `json:"country"`
	Alarms  []RecordView     `json:"alarms"`
}

// Acknowledge takes note of all alarms about one country's log, with the person's words on why that is in order. They stay in the history and in the evidence,
// and are told to members as before; nothing calls for people any more until the log contradicts itself anew.
func (s *Service) Acknowledge(ctx context.Context, who desk.Actor, key, country string) (*Noted, error) {
	c, err := protocol.ParseCountry(country)
	if err != nil {
		return nil, desk.Invalid("%v: name a member by its code, such as FR", err)
	}
	why := strings.TrimSpace(who.Justification)
	act := desk.Act{Actor: who, Key: key, Action: policy.WitnessAcknowledge, Resource: policy.Resource{Type: policy.KindPeer, ID: string(c)},
		Request: struct{ Country, Why string }{string(c), why}}
	return desk.Do(ctx, s.o.Desk, act, func(tx *store.Tx) (*Noted, error) {
		if why == "" {
			return nil, desk.Invalid("an alarm is acknowledged with words that others understand years later: --why TEXT")
		}
		ring, _, err := s.keyring()
		if err != nil {
			return nil, desk.NotFound("no roster is in force, so nobody's log is known: `proofmark join` says how to install one")
		}
		out := &Noted{Country: c}
		for _, r := range unexplained(tx, ring) {
			if r.Country != c || !r.alarming() {
				continue
			}
			r.Acknowledged = &Acknowledged{By: who.Name, At: tx.Now().UTC(), Why: why}
			if err := Evidences.Put(tx, r.ID, &r); err != nil {
				return nil, err
			}
			tx.Audit(protocol.AuditEntry{
				AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Counterpart: string(c), Decision: "permit", Ground: r.Verdict},
				AuditBody: protocol.AuditBody{Actor: who.Name, Kind: "witness", Object: string(c), Event: "alarm acknowledged: " + r.Text(),
					Details: map[string]string{"evidence": r.ID}},
			})
			out.Alarms = append(out.Alarms, RecordView{r, r.Text()})
		}
		if len(out.Alarms) == 0 {
			return nil, desk.NotFound("nothing alarms about the log of %s: `proofmark witness show %s` has the history", c, c)
		}
		return out, nil
	})
}
