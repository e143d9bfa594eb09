package roster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"proofmark/protocol"
)

// errNotCanonical: what is signed and hashed here has one spelling, so that no two byte strings mean the same roster.
var errNotCanonical = errors.New("not in canonical form: fields in their order, no spaces, no unknown fields")

// encodeCanonical writes JSON as the roster signs it: fields in the order of the struct, no spaces, no escapes beyond need.
func encodeCanonical(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// decodeCanonical reads what encodeCanonical writes and nothing else: it encodes again and compares, which catches unsorted and
// unknown fields, another letter case, spaces and needless escapes at once.
func decodeCanonical(b []byte, maxSize int, v any) error {
	if err := protocol.CheckJSON(b, maxSize, maxDepth); err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return err
	}
	again, err := encodeCanonical(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return errNotCanonical
	}
	return nil
}

func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// checkTimes accepts a period of whole seconds in UTC.
func checkTimes(from, until time.Time) error {
	if err := checkTime(from); err != nil {
		return err
	}
	if err := checkTime(until); err != nil {
		return err
	}
	if !from.Before(until) {
		return fmt.Errorf("it ends (%s) before it begins (%s)", until.Format(time.RFC3339), from.Format(time.RFC3339))
	}
	return nil
}

func checkTime(t time.Time) error {
	if t.Location() != time.UTC || t.Nanosecond() != 0 || t.Year() < 2000 || t.Year() > 9999 {
		return fmt.Errorf("time %s is not in whole seconds, UTC, from the year 2000 on", t.Format(time.RFC3339Nano))
	}
	return nil
}
