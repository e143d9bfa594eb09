package release

import (
	"fmt"

	"proofmark/store"
)

// AskedOf says what a purge of an own signature takes here: the requests of other countries for its scans with this country's answers, and which of them
// await an answer that must leave first.
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
	}
	return objects, documents, blocked, tx.Err()
}

// EraseAsked erases the requests for an own signature's scans with the signature.
func EraseAsked(tx *store.Tx, signature string) error {
	var ids []string
	for id := range requests.By(tx, "signature", Incoming+"/"+signature) {
		ids = append(ids, id)
	}
	for _, id := range ids {
		if err := requests.Delete(tx, id); err != nil {
			return err
		}
	}
	return tx.Err()
}
