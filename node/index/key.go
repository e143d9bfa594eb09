package index

import (
	"crypto/sha256"

	"github.com/google/uuid"
)

// key stands for an id in 16 bytes, a seventh of what a text in a map takes: the UUIDv7 that ids of documents and exhibits are, or of any other text a
// hash in the form of a UUID of version 0, which there is not.
type key [16]byte

const (
	versionByte = 6
	versionBits = 0xf0
)

func keyOf(id string) key {
	if len(id) == 36 {
		if u, err := uuid.Parse(id); err == nil && u.Version() == 7 && u.String() == id {
			return key(u)
		}
	}
	sum := sha256.Sum256([]byte(id))
	k := key(sum[:16])
	k[versionByte] &^= versionBits
	return k
}

// hashed reports whether the id cannot be told from the key.
func (k key) hashed() bool { return k[versionByte]&versionBits == 0 }

func (k key) String() string { return uuid.UUID(k).String() }
