package release

import (
	"errors"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// endSignature follows the withdrawal of a signature: its owner sends no scan behind it any more, and whoever fetched one erases it. A signature whose
// retention ends at its holder takes nothing with it: scans have terms of their own.
func (s *Service) endSignature(tx *store.Tx, e dispatch.Ending) ([]protocol.Remainder, error) {
	if e.Cause != dispatch.CauseWithdrawn || e.Held {
		return nil, nil
	}
	return nil, s.endAll(tx, requests.By(tx, "signature", direction(e.Own)+"/"+e.ID), "the signature was withdrawn")
}

// endRelease follows the end of a release: withdrawn by its owner, or its retention has ended where it is held.
func (s *Service) endRelease(tx *store.Tx, e dispatch.Ending) ([]protocol.Remainder, error) {
	if e.Held {
		return nil, nil
	}
	why := "the release was withdrawn"
	if e.Cause == dispatch.CauseExpired {
		why = "retention ended"
	}
	return nil, s.endAll(tx, requests.By(tx, "release", e.ID), why)
}

// endRequest follows the end of a request where it is held: what it said is erased.
func (s *Service) endRequest(tx *store.Tx, e dispatch.Ending) ([]protocol.Remainder, error) {
	r, err := requests.Get(tx, e.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && (e.Held || e.Own) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.Reason = ""
	return nil, requests.Put(tx, r.ID, r)
}

func direction(own bool) string {
	if own {
		return Incoming
	}
	return Outgoing
}

// endAll ends requests that something was released for, and erases what is here of foreign scans.
func (s *Service) endAll(tx *store.Tx, all func(yield func(string, *Request) bool), why string) error {
	var open []*Request
	for _, r := range all {
		if r.State == Released || r.State == Received || r.State == Awaiting && r.Direction == Incoming {
			open = append(open, r)
		}
	}
	if err := tx.Err(); err != nil {
		return err
	}
	for _, r := range open {
		if r.State == Awaiting { // decided at once, and told on the tick as everything that is refused
			r.Ground = "no-such-exhibit"
			s.refusing(tx, r, protocol.ScanUnknown, "", desk.Node.Name)
		} else {
			if r.Direction == Outgoing {
				ground := "withdrawal"
				if why == "retention ended" {
					ground = "retention"
				}
				if err := s.eraseFiles(tx, r, ground); err != nil {
					return err
				}
			}
			if r.State = Withdrawn; r.Direction == Outgoing {
				r.State = Erased
			}
			r.note(Step{Event: "ended: " + why, At: tx.Now(), By: desk.Node.Name})
			s.record(tx, r, protocol.ActAlter, desk.Node.Name, "release of a scan ended: "+why, nil)
		}
		if err := requests.Put(tx, r.ID, r); err != nil {
			return err
		}
	}
	return nil
}
