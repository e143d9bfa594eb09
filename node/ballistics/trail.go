package ballistics

import (
	"errors"

	"proofmark/policy"
	"proofmark/store"
)

// Part is an object that came of an exhibit, under the id by which the audit log names it.
type Part struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Parts lists what came of an exhibit, named by number or id, itself first: acquisitions, signatures, candidates, leads' and hits' documents. A signature,
// this country's or another's, is taken in the same way, without an exhibit. ErrNotFound if ref is neither.
func Parts(tx *store.Tx, ref string) (*Exhibit, []Part, error) {
	e, err := findExhibit(tx, ref)
	if err != nil {
		if _, serr := signatures.Get(tx, ref); serr != nil {
			return nil, nil, errors.Join(err, ignoreMissing(serr))
		}
		parts, err := partsOfSignature(tx, ref)
		return nil, parts, err
	}
	parts := []Part{{policy.KindExhibit, e.ID}, {policy.KindExhibit, e.Number}} // views name it as the person did
	if e.Firearm != "" {
		parts = append(parts, Part{policy.KindFirearm, e.Firearm})
	}
	list, err := allBy(tx, acquisitions, "exhibit", e.ID)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range list {
		more, err := partsOfSignature(tx, a.Signature)
		if err != nil {
			return nil, nil, err
		}
		parts = append(append(parts, Part{"acquisition", a.ID}), more...)
	}
	return e, parts, nil
}

func partsOfSignature(tx *store.Tx, id string) ([]Part, error) {
	parts := []Part{{policy.Signature, id}}
	for _, c := range candidates.ByPrefix(tx, "ranked", id+"/") {
		parts = append(parts, Part{policy.KindCandidate, c.Pair})
	}
	for _, l := range leads.By(tx, "signature", id) {
		parts = append(parts, Part{policy.Lead, l.Pair})
		for _, d := range leadDocuments(l) {
			parts = append(parts, Part{policy.Lead, d})
		}
		if l.Hit != nil {
			parts = append(parts, Part{policy.Hit, l.Hit.Document})
		}
	}
	return parts, tx.Err()
}

func ignoreMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
