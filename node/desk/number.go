package desk

import (
	"errors"
	"fmt"
	"strconv"

	"proofmark/protocol"
	"proofmark/store"
)

// NextNumber gives the next number of a series that is unique in this node, such as PT-L-2026-000001: what people say to each other.
func NextNumber(tx *store.Tx, country protocol.Country, series string) (string, error) {
	key := fmt.Sprintf("series/%s/%d", series, tx.Now().UTC().Year())
	n := uint64(0)
	switch b, err := tx.Get(key); {
	case err == nil:
		if n, err = strconv.ParseUint(string(b), 10, 64); err != nil {
			return "", fmt.Errorf("series %s: %w", series, err)
		}
	case !errors.Is(err, store.ErrNotFound):
		return "", fmt.Errorf("series %s: %w", series, err)
	}
	if err := tx.Put(key, strconv.AppendUint(nil, n+1, 10)); err != nil {
		return "", fmt.Errorf("series %s: %w", series, err)
	}
	return fmt.Sprintf("%s-%s-%d-%06d", country, series, tx.Now().UTC().Year(), n+1), nil
}
