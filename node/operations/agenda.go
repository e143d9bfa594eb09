package operations

import (
	"proofmark/node/agenda"
	"proofmark/store"
)

// Ending counts the operations that this country is in and that are not over, and those that it has not accepted.
func (s *Service) Ending(tx *store.Tx) (in agenda.Ends, offered int, err error) {
	for _, o := range operations.By(tx, unsettled, "") {
		switch o.Phase(tx.Now(), s.desk.Country) {
		case PhaseRunning, PhaseWaiting:
			in.Add(tx.Now(), o.Body.Until, agenda.EndSoon)
		case PhaseOffered:
			offered++
		}
	}
	return in, offered, tx.Err()
}
