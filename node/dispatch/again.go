package dispatch

import (
	"errors"
	"fmt"

	"proofmark/protocol"
	"proofmark/store"
)

// SentAgain makes a message that was sent again, byte for byte, from the document that it carried; nil where that cannot be: the document was erased, or
// went once more with other disclosures, or this node's own restore lost the message before it.
func (d *Dispatch) SentAgain(tx *store.Tx, to protocol.Country, ch protocol.Channel, seq uint64, document string) ([]byte, error) {
	hash, err := tx.MessageHash(string(to), string(ch), seq)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("message %d to %s (%s): %w", seq, to, ch, err)
	}
	return d.again(tx, to, ch, seq, hash, deliveryID(document, to))
}

// SentAs tells under which number a document went to a country last; 0 where it did not, or nothing of it is kept.
func (d *Dispatch) SentAs(tx *store.Tx, document string, to protocol.Country) (ch protocol.Channel, seq uint64, err error) {
	dl, err := Deliveries.Get(tx, deliveryID(document, to))
	if errors.Is(err, store.ErrNotFound) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, fmt.Errorf("delivery of %s to %s: %w", document, to, err)
	}
	return dl.Channel, dl.Seq, nil
}
