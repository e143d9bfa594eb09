package dispatch

import (
	"fmt"
	"reflect"

	"proofmark/protocol"
	"proofmark/store"
)

// Draft is a document that is composed and signed, and not issued: nothing of it is kept or sent, and it may be thrown away.
type Draft struct {
	rec  *Record
	body protocol.Body
	kid  string // of the key that signed it
}

// ID is the id that the document will have.
func (dr *Draft) ID() string { return dr.rec.ID }

// Draft composes and signs a document ahead of the act that issues it, in a view: the act runs on the store's one writer, where everybody would wait for the
// signature. body and what f points to must not be changed afterwards.
func (d *Dispatch) Draft(tx *store.Tx, t protocol.Type, body protocol.Body, f Facts) (*Draft, error) {
	id, err := protocol.NewDocumentID(d.Country, tx.Now(), tx.Random())
	if err != nil {
		return nil, fmt.Errorf("draft %s: %w", t, err)
	}
	kid := d.signer().KeyID()
	rec, err := d.compose(tx, id, t, body, f)
	if err != nil {
		return nil, err
	}
	return &Draft{rec: rec, body: body, kid: kid}, nil
}

// Redraft returns a draft that says this: the one at hand (nil: none), if it says the same and is signed with the key in use, or else a new one. For the act
// that issues it, where a thing may have changed since the draft was made.
func (d *Dispatch) Redraft(tx *store.Tx, at *Draft, t protocol.Type, body protocol.Body, f Facts) (*Draft, error) {
	if at != nil && at.rec.Type == t && at.kid == d.signer().KeyID() && reflect.DeepEqual(at.body, body) && reflect.DeepEqual(*at.rec.Facts, f) {
		return at, nil
	}
	return d.Draft(tx, t, body, f)
}

// IssueDraft issues a draft, as Issue does. A draft is issued once.
func (d *Dispatch) IssueDraft(tx *store.Tx, dr *Draft) error {
	rec := *dr.rec // an act may be run again
	rec.At = tx.Now()
	return d.issue(tx, &rec)
}
