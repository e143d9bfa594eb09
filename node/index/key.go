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
	if k, ok := uuidOf(id); ok && k[versionByte]&versionBits == 7<<4 {
		return k
	}
	sum := sha256.Sum256([]byte(id))
	k := key(sum[:16])
	k[versionByte] &^= versionBits
	return k
}

// uuidOf reads a UUID in its canonical form. A search asks it of every id in a gallery, so it allocates nothing.
func uuidOf(id string) (k key, ok bool) {
	if len(id) != 36 {
		return k, false
	}
	at := 0
	for i := range k {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			if id[at] != '-' {
				return k, false
			}
			at++
		}
		high, low := hexDigit[id[at]], hexDigit[id[at+1]]
		if high|low > 15 {
			return k, false
		}
		k[i] = high<<4 | low
		at += 2
	}
	return k, true
}

// hexDigit is the value of a digit in lower case, 255 of everything else.
var hexDigit = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

// hashed reports whether the id cannot be told from the key.
func (k key) hashed() bool { return k[versionByte]&versionBits == 0 }

func (k key) String() string { return uuid.UUID(k).String() }
