package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"

	"proofmark/protocol"
	"proofmark/store"
)

// RestoredHere is the restore that this node declared last; nil where there was none.
func RestoredHere(tx *store.Tx) (*protocol.Restored, error) {
	b, err := tx.Get(rawRestore)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	var r restore
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return nil, fmt.Errorf("state of the restore: %w", err)
	}
	return &r.Restored, nil
}
