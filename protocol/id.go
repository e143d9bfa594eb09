package protocol

import (
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
)

// NewID returns a UUIDv7 (RFC 9562) of the given time: ids of one node sort by the time of their making.
func NewID(now time.Time, random io.Reader) (string, error) {
	var u uuid.UUID
	if _, err := io.ReadFull(random, u[6:]); err != nil {
		return "", fmt.Errorf("new id: %w", err)
	}
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u.String(), nil
}

// CheckID reports whether s is a UUIDv7 in its canonical form.
func CheckID(s string) error {
	u, err := uuid.Parse(s)
	if err != nil || u.String() != s || u.Version() != 7 {
		return fmt.Errorf("id %.40q is not a UUIDv7 in canonical form", s)
	}
	return nil
}
