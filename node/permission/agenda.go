package permission

import (
	"proofmark/node/agenda"
	"proofmark/store"
)

// Ending counts the permissions that stand now: those that this country gave, and those that it was given.
func (s *Service) Ending(tx *store.Tx) (granted, permitted agenda.Ends, err error) {
	for _, p := range permissions.All(tx) {
		if !p.Withdrawn.IsZero() || !p.Until.After(tx.Now()) {
			continue
		}
		if p.From == s.desk.Country {
			granted.Add(tx.Now(), p.Until, agenda.EndSoon)
		} else {
			permitted.Add(tx.Now(), p.Until, agenda.EndSoon)
		}
	}
	return granted, permitted, tx.Err()
}
