package desk

import (
	"errors"
	"fmt"
	"strconv"
	"time"

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
	floor, err := numberFloor(tx)
	if err != nil {
		return "", fmt.Errorf("series %s: %w", series, err)
	}
	n = max(n, floor)
	if err := tx.Put(key, strconv.AppendUint(nil, n+1, 10)); err != nil {
		return "", fmt.Errorf("series %s: %w", series, err)
	}
	return fmt.Sprintf("%s-%s-%d-%06d", country, series, tx.Now().UTC().Year(), n+1), nil
}

// restoredFrom is where the numbers of a restored node go on: above all that a bureau gives in a year.
const restoredFrom = 400_000

// SkipNumbers has the numbers of all series go on far above those that were given: after a restore, when people and other countries know numbers that this
// database has forgotten. How far depends on the minute of the year, so that two restores from one backup do not meet either.
func SkipNumbers(tx *store.Tx) error {
	now := tx.Now().UTC()
	minutes := now.Sub(time.Date(now.Year(), 1, 1, 0, 0, 0, 0, time.UTC)) / time.Minute
	return tx.Put(floorKey(now), strconv.AppendUint(nil, restoredFrom+uint64(minutes), 10))
}

func floorKey(now time.Time) string { return fmt.Sprintf("series-floor/%d", now.UTC().Year()) }

// numberFloor is the number behind which those of this year go on, 0 where nothing was restored in it.
func numberFloor(tx *store.Tx) (uint64, error) {
	b, err := tx.Get(floorKey(tx.Now()))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(string(b), 10, 64)
}
