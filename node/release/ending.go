package release

import (
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// ending erases the scans that were fetched for a signature, or under a release, that its owner withdrew. At the owner nothing is to be done: what was
// withdrawn cannot be fetched. Scans whose signature merely expired have terms of their own.
func (s *Service) ending(tx *store.Tx, e dispatch.Ending) ([]protocol.Remainder, error) {
	if e.Own || e.Held || e.Cause != dispatch.CauseWithdrawn {
		return nil, nil
	}
	index, value := "signature", Outgoing+"/"+e.ID
	if e.Type == protocol.TypeScanRelease {
		index, value = "release", e.ID
	}
	var open []*Request
	for _, r := range requests.By(tx, index, value) {
		if r.Direction == Outgoing && r.Counterpart == e.Issuer && (r.State == Released || r.State == Received) {
			open = append(open, r)
		}
	}
	if err := tx.Err(); err != nil {
		return nil, err
	}
	for _, r := range open {
		if err := s.eraseFiles(tx, r, "withdrawal"); err != nil {
			return nil, err
		}
		r.State = Erased
		r.note(Step{Event: "erased: the " + string(e.Type) + " was withdrawn", At: tx.Now(), By: desk.Node.Name, Country: e.Issuer})
		if err := requests.Put(tx, r.ID, r); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
