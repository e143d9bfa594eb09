package release

import (
	"errors"
	"fmt"

	"proofmark/node/dispatch"
	"proofmark/store"
)

// AskedOf says what a purge of an own signature takes here: the requests of other countries for its scans with this country's answers; and what holds it up:
// an answer that must leave first, a legal hold on what another country asked.
func AskedOf(tx *store.Tx, signature string) (objects, documents, blocked []string, err error) {
	for id, r := range requests.By(tx, "signature", Incoming+"/"+signature) {
		objects = append(objects, id, r.Number)
		if r.Refusal != nil && r.Refusal.Document != "" {
			documents = append(documents, r.Refusal.Document)
		}
		if r.Release != nil {
			documents = append(documents, r.Release.Document)
		}
		if r.State == Filed || r.State == Refusing {
			blocked = append(blocked, fmt.Sprintf("request %s of %s for its scans is being answered: that takes seconds", r.Number, r.Counterpart))
		}
		switch doc, err := dispatch.Documents.Get(tx, id); {
		case errors.Is(err, store.ErrNotFound): // ended by its terms
		case err != nil:
			return nil, nil, nil, err
		case doc.Hold != nil:
			blocked = append(blocked, fmt.Sprintf("request %s of %s for its scans is under a legal hold (%s)", r.Number, r.Counterpart, doc.Hold.Ground))
		}
	}
	return objects, documents, blocked, tx.Err()
}

// EraseAsked erases the requests for an own signature's scans with the signature: the records of them, and the documents that asked.
func (s *Service) EraseAsked(tx *store.Tx, signature string) error {
	var ids []string
	for id := range requests.By(tx, "signature", Incoming+"/"+signature) {
		ids = append(ids, id)
	}
	for _, id := range ids {
		if err := s.out.EraseCopy(tx, id, "the exhibit that it asked about was purged"); err != nil {
			return err
		}
		if err := requests.Delete(tx, id); err != nil {
			return err
		}
	}
	return tx.Err()
}
