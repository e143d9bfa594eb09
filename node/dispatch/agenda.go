package dispatch

import (
	"fmt"
	"time"

	"proofmark/node/agenda"
	"proofmark/store"
)

// WaitingApprovals counts the deliveries that wait for two people's approval.
func (d *Dispatch) WaitingApprovals(tx *store.Tx) (agenda.Ends, error) {
	var out agenda.Ends
	for until, id := range Deliveries.Entries(tx, awaitingApproval) {
		end, err := time.Parse(time.RFC3339, until)
		if err != nil {
			return out, fmt.Errorf("delivery %s waits until %q: %w", id, until, err)
		}
		out.Add(tx.Now(), end, agenda.LapseSoon)
	}
	return out, tx.Err()
}
