package release

import "proofmark/store"

// Asked lists the requests for the scans behind a signature, and the documents that released or refused them.
func Asked(tx *store.Tx, signature string) (ids []string, err error) {
	for _, direction := range []string{Incoming, Outgoing} {
		for _, r := range requests.By(tx, "signature", direction+"/"+signature) {
			ids = append(ids, r.ID)
			if r.Release != nil {
				ids = append(ids, r.Release.Document)
			}
			if r.Refusal != nil && r.Refusal.Document != "" {
				ids = append(ids, r.Refusal.Document)
			}
		}
	}
	return ids, tx.Err()
}
