package protocol

import (
	"encoding/hex"
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

// NewDocumentID returns a NewID whose last two bytes are the issuer's code in ASCII. A country can so not occupy the id of another one's document: an
// id belongs to its issuer, in every store of every member.
func NewDocumentID(issuer Country, now time.Time, random io.Reader) (string, error) {
	id, err := NewID(now, random)
	if err != nil {
		return "", err
	}
	return id[:len(id)-4] + hex.EncodeToString([]byte(issuer)), nil
}

// CheckDocumentID reports whether s can be the id of a document of the issuer.
func CheckDocumentID(s string, issuer Country) error {
	if err := CheckID(s); err != nil {
		return err
	}
	if s[len(s)-4:] != hex.EncodeToString([]byte(issuer)) {
		return fmt.Errorf("id %s is not one of %s", s, issuer)
	}
	return nil
}

// CheckID reports whether s is a UUIDv7 in its canonical form.
func CheckID(s string) error {
	u, err := uuid.Parse(s)
	if err != nil || u.String() != s || u.Version() != 7 {
		return fmt.Errorf("id %.40q is not a UUIDv7 in canonical form", s)
	}
	return nil
}
