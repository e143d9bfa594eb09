package membership

import (
	"crypto/sha256"
	"sync"

	"proofmark/crypto/roster"
)

// readings keeps the last rosters that were read, by the hash of their bytes. The members' table shows the same few versions again and again, and to read
// one means three signatures for every member: in a federation of two hundred a tenth of a second.
type readings struct {
	mu   sync.Mutex
	last []reading
}

type reading struct {
	sum [sha256.Size]byte
	document
}

// maxReadings: the version in force, the one before, the next one, and one that does not belong there.
const maxReadings = 4

// read does as parse with one roster. What it returns is shared and must not be changed.
func (r *readings) read(raw []byte, known *roster.Roster) (document, error) {
	sum := sha256.Sum256(raw)
	r.mu.Lock()
	for _, k := range r.last {
		if k.sum == sum {
			r.mu.Unlock()
			return k.document, nil
		}
	}
	r.mu.Unlock()
	docs, err := parse([][]byte{raw}, known)
	if err != nil {
		return document{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.last) == maxReadings {
		r.last = r.last[1:]
	}
	r.last = append(r.last[:len(r.last):len(r.last)], reading{sum, docs[0]})
	return docs[0], nil
}
